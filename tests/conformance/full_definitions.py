"""One definition of each kind with every field set."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb

SECRET = "do not tell anybody"


def seconds(number: float) -> Duration:
    return Duration(seconds=int(number), nanos=int(number % 1 * 1e9))


RETRY = pb.RetryPolicy(
    max_attempts=3,
    initial_interval=seconds(1.5),
    max_interval=seconds(60),
    multiplier=1.1,
    non_retryable=["Bad", "Worse"],
)
DEADLINES = pb.Deadlines(in_queue=seconds(10), attempt=seconds(20), total=seconds(90))
RATE = defs.RateLimit(limit=100, per=seconds(60), burst=5)
CONCURRENCY = defs.Concurrency(limit=4, per_key=1, over_limit=defs.OVER_LIMIT_REFUSE)
TRACING = defs.Tracing(
    propagation=defs.PROPAGATION_LINK,
    live_parent=defs.LIVE_PARENT_START,
    sampling=defs.SAMPLING_RULE_ALWAYS,
    terminal_span=defs.TERMINAL_SPAN_SUMMARY,
    settlement_logs=defs.SETTLEMENT_LOGS_NONE,
)
SCHEMA = '{"type": "object",\n "description": "Straße ☃"}'

WORKFLOW = defs.Workflow(
    workflow_id="audit",
    description="All of it.\nOn two lines.",
    queue="fast",
    disabled=True,
    json_schema=SCHEMA,
    retry=RETRY,
    deadlines=DEADLINES,
    max_payload_bytes=2**53,
    rate=RATE,
    concurrency=CONCURRENCY,
    sources=[pb.SOURCE_SCHEDULE, pb.SOURCE_WEBHOOK],
    tracing=TRACING,
)
QUEUE = defs.Queue(
    queue="fast", description="Fast.", max_depth=7, rate=RATE, concurrency=CONCURRENCY, tracing=TRACING
)
SCHEDULE = defs.Schedule(
    schedule_id="nightly",
    description="At night.",
    workflow_id="audit",
    queue="slow",
    payload=b"\x00\xff",
    content_type="application/octet-stream",
    cron="0 2 * * *",
    zone="Europe/Berlin",
    start_at=Timestamp(seconds=1_800_000_000, nanos=1_000),
    end_at=Timestamp(seconds=1_900_000_000),
    misfire=defs.MISFIRE_RUN_ALL,
    misfire_limit=7,
    misfire_after=seconds(90),
    overlap=defs.OVERLAP_QUEUE,
    max_failures=5,
    retry=RETRY,
    deadlines=DEADLINES,
    expect_within=seconds(600),
)


def webhook(path: str) -> defs.Webhook:
    return defs.Webhook(
        webhook_id="hook",
        description="From outside.",
        path=path,
        workflow_id="audit",
        queue="fast",
        provider="acme",
        disabled=True,
        verification=defs.Verification(
            scheme=defs.VERIFICATION_SCHEME_HMAC,
            secrets=[SECRET, "env:ACME_SECRET", "file:/run/secrets/acme"],
            header="X-Acme-Signature",
            prefix="sha256=",
            encoding="base64",
            tolerance=seconds(30),
        ),
        delivery_header="X-Acme-Delivery",
        propagation=defs.PROPAGATION_IGNORE,
        max_body_bytes=10_000,
        content_types=["application/json", "text/*"],
        wait=seconds(2.5),
        retry=RETRY,
        deadlines=DEADLINES,
        rate=RATE,
    )
