"""Bad values for every field of everything that can be defined."""

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import registry_service_pb2 as registry
from tests.conformance.bad_values import (
    BAD_DURATIONS,
    BAD_IDS,
    BAD_TEXTS,
    BAD_TIMES,
    Bad,
    bad,
    deadline_cases,
    retry_cases,
)

WORKFLOW, QUEUE, WEBHOOK, SCHEDULE = (
    f"definitions[{index}].{kind}" for index, kind in enumerate(("workflow", "queue", "webhook", "schedule"))
)
VERIFICATION = f"{WEBHOOK}.verification"
TOO_MANY = 2**53 + 1
BAD_HEADERS = ("with space", "colon:", "x" * 257, "\u00e9")


def good() -> list[defs.Definition]:
    """Return one sound definition of each kind, in the order of the paths."""
    return [
        defs.Definition(workflow=defs.Workflow(workflow_id="w")),
        defs.Definition(queue=defs.Queue(queue="q")),
        defs.Definition(webhook=defs.Webhook(webhook_id="h", path="a/b", workflow_id="w")),
        defs.Definition(schedule=defs.Schedule(schedule_id="s", workflow_id="w", cron="0 2 * * *")),
    ]


def rate_cases(path: str) -> list[Bad]:
    return [
        *bad(path, defs.RateLimit(), field=f"{path}.limit"),
        *bad(f"{path}.limit", 0, 1_000_001),
        *bad(path, defs.RateLimit(limit=1), field=f"{path}.per"),
        *bad(path, *rates(Duration(), Duration(nanos=999_000), *BAD_DURATIONS), field=f"{path}.per"),
        *bad(path, defs.RateLimit(limit=1, per=Duration(seconds=1), burst=2), field=f"{path}.burst"),
    ]


def rates(*pers: Duration) -> list[defs.RateLimit]:
    return [defs.RateLimit(limit=1, per=per) for per in pers]


def concurrency_cases(path: str) -> list[Bad]:
    return [
        *bad(f"{path}.limit", 1_000_001),
        *bad(f"{path}.per_key", 1_000_001),
        *bad(f"{path}.over_limit", 3, 99),
    ]


def tracing_cases(path: str) -> list[Bad]:
    names = ("propagation", "live_parent", "sampling", "terminal_span", "settlement_logs")
    return [b for name in names for b in bad(f"{path}.{name}", 4, 99)]


def names_of(path: str, *names: str, required: bool = False) -> list[Bad]:
    values = ("", *BAD_IDS) if required else BAD_IDS
    return [b for name in names for b in bad(f"{path}.{name}", *values)]


def verification(scheme: str, **fields: Any) -> defs.Verification:
    value = defs.VerificationScheme.Value(f"VERIFICATION_SCHEME_{scheme}")
    given = {"secrets": ["long enough"], **fields}
    return defs.Verification(scheme=value, **given)


def verification_case(field: str, *values: defs.Verification) -> list[Bad]:
    return bad(VERIFICATION, *values, field=f"{VERIFICATION}.{field}")


VERIFICATIONS = [
    *bad(f"{VERIFICATION}.scheme", 99),
    *verification_case("scheme", defs.Verification(secrets=["long enough"])),
    *verification_case(
        "secrets",
        verification("GITHUB", secrets=[]),
        verification("GITHUB", secrets=["short"]),
        verification("GITHUB", secrets=["x" * 1_025]),
        verification("GITHUB", secrets=[""]),
        verification("GITHUB", secrets=["env:not a name"]),
        verification("GITHUB", secrets=["file:relative"]),
        verification("STANDARD", secrets=["whsec_!"]),
        verification("GITHUB", secrets=["long enough"] * 9),
    ),
    *verification_case(
        "header",
        verification("HEADER"),
        verification("GITHUB", header="X-Mine"),
        *(verification("HEADER", header=name) for name in BAD_HEADERS),
    ),
    *verification_case(
        "prefix",
        verification("HMAC", header="X-S", prefix="x" * 65),
        verification("HMAC", header="X-S", prefix="bell\x07"),
        verification("GITHUB", prefix="sha256="),
    ),
    *verification_case("encoding", verification("HMAC", header="X-S", encoding="rot13")),
    *verification_case("encoding", verification("GITHUB", encoding="hex")),
    *verification_case(
        "tolerance",
        *(verification("STRIPE", tolerance=d) for d in (Duration(nanos=1_000), *BAD_DURATIONS)),
        verification("STRIPE", tolerance=Duration(seconds=86_401)),
    ),
]

PATHS = ("", "/a", "a/", "a//b", "a/../b", ".", "a b", "a%2fb", "\u00e9", "x" * 513, "a?b")

DEFINE = [
    *bad("namespace", *BAD_IDS),
    *bad("definitions", [], [defs.Definition(queue=defs.Queue(queue="q"))] * 1_001),
    *bad("definitions", [defs.Definition()], field="definitions[0]"),
    *bad("definitions", [good()[0], good()[0]], field="definitions[1]"),
    *names_of(WORKFLOW, "workflow_id", required=True),
    *bad(f"{WORKFLOW}.description", *BAD_TEXTS),
    *names_of(WORKFLOW, "queue"),
    *bad(f"{WORKFLOW}.json_schema", "{", "[]", '{"type": "nothing"}', '{"pattern": "(?=a)"}', "x" * 65_537),
    *bad(f"{WORKFLOW}.json_schema", '{"$ref": "https://example.com/schema"}'),
    *retry_cases(f"{WORKFLOW}.retry"),
    *deadline_cases(f"{WORKFLOW}.deadlines"),
    *bad(f"{WORKFLOW}.max_payload_bytes", TOO_MANY),
    *rate_cases(f"{WORKFLOW}.rate"),
    *concurrency_cases(f"{WORKFLOW}.concurrency"),
    *bad(f"{WORKFLOW}.sources", [0], [99]),
    *tracing_cases(f"{WORKFLOW}.tracing"),
    *names_of(QUEUE, "queue", required=True),
    *bad(f"{QUEUE}.description", *BAD_TEXTS),
    *bad(f"{QUEUE}.max_depth", TOO_MANY),
    *rate_cases(f"{QUEUE}.rate"),
    *concurrency_cases(f"{QUEUE}.concurrency"),
    *tracing_cases(f"{QUEUE}.tracing"),
    *names_of(WEBHOOK, "webhook_id", "workflow_id", required=True),
    *names_of(WEBHOOK, "queue", "provider"),
    *bad(f"{WEBHOOK}.description", *BAD_TEXTS),
    *bad(f"{WEBHOOK}.path", *PATHS),
    *VERIFICATIONS,
    *bad(f"{WEBHOOK}.delivery_header", *BAD_HEADERS),
    *bad(f"{WEBHOOK}.propagation", 4, 99),
    *bad(f"{WEBHOOK}.max_body_bytes", TOO_MANY),
    *bad(f"{WEBHOOK}.content_types", ["json"], ["a/b; c=d"], ["a/b"] * 33),
    *bad(f"{WEBHOOK}.wait", Duration(seconds=61), Duration(), *BAD_DURATIONS),
    *retry_cases(f"{WEBHOOK}.retry"),
    *deadline_cases(f"{WEBHOOK}.deadlines"),
    *rate_cases(f"{WEBHOOK}.rate"),
    *names_of(SCHEDULE, "schedule_id", "workflow_id", required=True),
    *names_of(SCHEDULE, "queue"),
    *bad(f"{SCHEDULE}.description", *BAD_TEXTS),
    *bad(f"{SCHEDULE}.payload", bytes(262_145)),
    *bad(f"{SCHEDULE}.content_type", *BAD_TEXTS),
    *bad(f"{SCHEDULE}.cron", "nonsense", "0 0 30 2 *", "x" * 201, "* * * * *\x07"),
    *bad(f"{SCHEDULE}.every", Duration(nanos=1_000), Duration(seconds=40_000_000), *BAD_DURATIONS),
    *bad(f"{SCHEDULE}.once", *BAD_TIMES),
    *bad(f"{SCHEDULE}.zone", "Mars/Olympus", "../etc/passwd", "localtime", "x" * 201),
    *bad(f"{SCHEDULE}.start_at", *BAD_TIMES),
    *bad(f"{SCHEDULE}.end_at", *BAD_TIMES),
    *bad(f"{SCHEDULE}.misfire", 4, 99),
    *bad(f"{SCHEDULE}.misfire_limit", 1_001),
    *bad(f"{SCHEDULE}.misfire_after", Duration(), *BAD_DURATIONS),
    *bad(f"{SCHEDULE}.overlap", 4, 99),
    *bad(f"{SCHEDULE}.max_failures", 1_000_001),
    *retry_cases(f"{SCHEDULE}.retry"),
    *deadline_cases(f"{SCHEDULE}.deadlines"),
    *bad(f"{SCHEDULE}.expect_within", Duration(), *BAD_DURATIONS),
]

LIST = [*bad("namespace", *BAD_IDS), *bad("kinds", [0], [99])]
DELETE = [*bad("namespace", *BAD_IDS), *bad("kind", 0, 99), *bad("name", "", *BAD_IDS)]

ANY_VALUE_IS_GOOD: dict[type[Message], dict[str, str]] = {
    registry.ApplyDefinitionsRequest: {"prune": "a flag", "dry_run": "a flag"},
    defs.Workflow: {"disabled": "a flag"},
    defs.Webhook: {"disabled": "a flag"},
}

COVERED: list[tuple[type[Message], list[Bad], str]] = [
    (registry.ApplyDefinitionsRequest, DEFINE, ""),
    (registry.ListDefinitionsRequest, LIST, ""),
    (registry.DeleteDefinitionRequest, DELETE, ""),
    (defs.Workflow, DEFINE, f"{WORKFLOW}."),
    (defs.Queue, DEFINE, f"{QUEUE}."),
    (defs.Webhook, DEFINE, f"{WEBHOOK}."),
    (defs.Schedule, DEFINE, f"{SCHEDULE}."),
    (defs.RateLimit, DEFINE, f"{WORKFLOW}.rate."),
    (defs.Concurrency, DEFINE, f"{WORKFLOW}.concurrency."),
    (defs.Tracing, DEFINE, f"{WORKFLOW}.tracing."),
    (defs.Verification, DEFINE, f"{VERIFICATION}."),
]
"""Which cases cover which message's fields, and the path that they lie under."""
