"""Webhooks over real HTTP, on both stores: who gets in, what is refused, and that twice is once."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from sidecar.triggers.headers import Headers
from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from tests.processes import SidecarProcess
from tests.triggers import senders
from tests.web import DELIVERY, SECRET, Web, reason, signed, trusted, webs
from tests.wire import refused

FAILED, QUEUED = pb.EXECUTION_STATE_FAILED, pb.EXECUTION_STATE_QUEUED
HOURLY = defs.RateLimit(limit=1, per=Duration(seconds=3600))
NUMBER = '{"type": "object", "required": ["n"]}'


@pytest.fixture
def web(sidecar: SidecarProcess) -> Iterator[Web]:
    with webs(sidecar) as web:
        yield web


def test_a_delivery_is_answered_when_it_is_durable_with_all_that_finds_it(web: Web) -> None:
    """WEB-1, COR-1, COR-2."""
    path = web.hook(provider="shop", queue="fast")
    headers = {"content-type": "application/json; charset=utf-8", "x-request-id": "req-1", DELIVERY: "d-1"}
    answer = web.deliver(path, b'{"n": 1}', headers)
    assert answer.status_code == 202
    document = answer.json()
    record = web.record(answer)
    ids = record.correlation
    assert document == {
        "execution_id": ids.execution_id,
        "request_id": "req-1",
        "status_url": f"/executions/{ids.execution_id}?namespace={web.wire.namespace}",
        "existing": False,
        "state": "queued",
        "trace_id": record.trace_id,
    }
    assert ids == pb.Correlation(
        namespace=web.wire.namespace,
        execution_id=ids.execution_id,
        request_id="req-1",
        root_execution_id=ids.execution_id,
        source=pb.SOURCE_WEBHOOK,
        workflow_id="audit",
        trigger_type="webhook",
        webhook_id="hook",
        path=path,
        provider="shop",
    )
    assert (record.queue, record.state) == ("fast", QUEUED)
    assert answer.headers["location"] == document["status_url"]
    assert answer.headers["x-request-id"] == "req-1"
    version, trace_id, span_id, flags = answer.headers["traceresponse"].split("-")
    assert (version, trace_id, flags) == ("00", record.trace_id, "03")
    assert len(span_id) == 16
    assert web.client.get(document["status_url"]).json()["execution_id"] == ids.execution_id


def test_the_worker_gets_the_body_byte_for_byte_and_its_type(web: Web) -> None:
    body = bytes(range(256))
    with web.wire.worker(queues=["default"]) as worker:
        web.deliver(web.hook(), body, {"content-type": "Application/X-Thing; v=1"})
        lease = worker.lease()
        assert (lease.payload, lease.content_type) == (body, "Application/X-Thing; v=1")
        assert lease.correlation.source == pb.SOURCE_WEBHOOK
        worker.settle(lease)


@pytest.mark.parametrize("given", ["", "a b", "x" * 257, "ü"])
def test_a_request_id_that_is_none_is_replaced_by_one_of_our_own(web: Web, given: str) -> None:
    pairs = [(b"x-request-id", given.encode("latin-1"))]
    answer = web.client.post(f"/hooks/{web.hook()}", content=b"{}", headers=pairs)
    assert answer.json()["request_id"] == answer.json()["execution_id"]


OTHER_SECRET = "another-secret-of-some-length"
Prove = Callable[[bytes, str], Headers]
SCHEMES: dict[str, tuple[defs.Verification, Prove]] = {
    "bearer": (trusted(defs.VERIFICATION_SCHEME_BEARER), lambda _, secret: senders.bearer(secret)),
    "header": (
        trusted(defs.VERIFICATION_SCHEME_HEADER, header="X-Token"),
        lambda _, secret: senders.header(secret),
    ),
    "github": (trusted(defs.VERIFICATION_SCHEME_GITHUB), senders.github),
    "stripe": (
        trusted(defs.VERIFICATION_SCHEME_STRIPE),
        lambda body, secret: senders.stripe(body, secret, at=int(time.time())),
    ),
    "standard": (
        trusted(defs.VERIFICATION_SCHEME_STANDARD, f"whsec_{base64.b64encode(SECRET.encode()).decode()}"),
        lambda body, secret: senders.standard(
            body, f"whsec_{base64.b64encode(secret.encode()).decode()}", at=int(time.time())
        ),
    ),
    "hmac": (
        trusted(defs.VERIFICATION_SCHEME_HMAC, header="X-Signature", prefix="v1:", encoding="base64"),
        senders.hmac_header,
    ),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_only_the_genuine_delivery_is_queued(web: Web, scheme: str) -> None:
    """WEB-1: 401 for a wrong or missing proof, and nothing is queued, not even a record."""
    verification, prove = SCHEMES[scheme]
    path = web.hook(verification=verification)
    proof = dict(prove(b'{"a":1}', SECRET))
    assert web.deliver(path, b'{"a":1}').status_code == 401
    for wrong in (dict(prove(b'{"a":1}', OTHER_SECRET)), dict.fromkeys(proof, "nonsense")):
        answer = web.deliver(path, b'{"a":1}', wrong)
        assert (answer.status_code, reason(answer)) == (401, "UNAUTHENTICATED")
        assert ("www-authenticate" in answer.headers) == (scheme == "bearer")
    if scheme not in ("bearer", "header"):
        assert web.deliver(path, b'{"a":2}', proof).status_code == 401
    repeated = [*proof.items(), list(proof.items())[-1]]
    answer = web.client.post(f"/hooks/{path}", content=b'{"a":1}', headers=repeated)
    assert answer.json()["error"]["metadata"] == {"fault": "malformed"}
    assert web.records() == []
    assert web.deliver(path, b'{"a":1}', proof).status_code == 202
    assert len(web.records()) == 1


def test_of_several_secrets_each_one_counts(web: Web) -> None:
    """Both, while one is rotated; an altered definition holds at once."""
    both = trusted(defs.VERIFICATION_SCHEME_GITHUB, "the-old-secret", "the-new-secret")
    path = web.hook(verification=both)
    for secret in ("the-old-secret", "the-new-secret"):
        answer = web.deliver(path, headers={"x-hub-signature-256": signed(secret, b"{}")})
        assert answer.status_code == 202
    web.hook(verification=trusted(defs.VERIFICATION_SCHEME_GITHUB, "the-new-secret"))
    old = web.deliver(path, headers={"x-hub-signature-256": signed("the-old-secret", b"{}")})
    assert old.status_code == 401


def test_unknown_and_disabled_webhooks_cannot_be_told_apart(web: Web) -> None:
    """WEB-1: 404, before anything is looked at."""
    disabled = web.hook(disabled=True)
    unknown = f"{web.wire.namespace}/nobody"
    answers = [web.deliver(path) for path in (disabled, unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert reason(answers[0]) == "WEBHOOK_NOT_FOUND"
    assert web.records() == []


def test_a_webhook_that_is_deleted_or_moved_is_gone_at_once(web: Web) -> None:
    path = web.hook()
    web.hook(path=f"{path}/moved")
    assert web.deliver(path).status_code == 404
    assert web.deliver(f"{path}/moved").status_code == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_told_which_ones_there_are(web: Web, method: str) -> None:
    """WEB-1: 405 with Allow."""
    answer = web.client.request(method, f"/hooks/{web.hook()}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert web.records() == []


def test_a_provider_with_a_handshake_by_get_takes_get_too(web: Web) -> None:
    answer = web.client.put(f"/hooks/{web.hook(provider='dropbox')}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_webhooks_limit_is_refused(web: Web, chunked: bool) -> None:
    """WEB-1: 413, whether its length is told or not; what is within the limit is taken."""
    path = web.hook(max_body_bytes=1_000)

    def body(size: int) -> Any:
        return iter([b"a" * 400, b"a" * (size - 400)]) if chunked else b"a" * size

    assert web.deliver(path, body(1_000)).status_code == 202
    answer = web.deliver(path, body(1_001))
    assert (answer.status_code, reason(answer)) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json()["error"]["metadata"] == {"limit": "1000"}
    assert len(web.records()) == 1


def test_the_sidecars_own_limit_comes_before_everything(web: Web) -> None:
    """WEB-1: nothing is looked up for a body that is too large for any webhook."""
    path = web.hook(max_body_bytes=100_000_000)
    for each in (path, f"{web.wire.namespace}/nobody"):
        answer = web.deliver(each, bytes(1_048_577))
        assert (answer.status_code, reason(answer)) == (413, "PAYLOAD_TOO_LARGE")
    assert web.deliver(path, bytes(1_048_576)).status_code == 202


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("application/json", 202),
        ("Application/JSON ; charset=utf-8", 202),
        ("text/csv", 202),
        ("application/xml", 415),
        ("application/jsonx", 415),
        ("text", 415),
        ("", 415),
        (None, 415),
    ],
)
def test_only_the_types_that_a_webhook_names_are_taken(web: Web, given: str | None, status: int) -> None:
    """WEB-1: 415."""
    path = web.hook(content_types=["application/json", "text/*"])
    answer = web.deliver(path, headers={} if given is None else {"content-type": given})
    assert answer.status_code == status
    assert len(web.records()) == (status == 202)


def test_a_type_that_is_none_is_refused_even_where_all_are_taken(web: Web) -> None:
    path = web.hook()
    for given in ("json", "a/b; \x07", "a/" + "b" * 300):
        answer = web.client.post(f"/hooks/{path}", content=b"", headers={"content-type": given})
        assert answer.status_code in (400, 415)
    assert web.records() == []


@pytest.mark.parametrize("given", ["", "a b", "ü", "x" * 257])
def test_a_malformed_delivery_id_is_refused_not_replaced(web: Web, given: str) -> None:
    """WEB-1: 400; WEB-2: a substitute could make two deliveries one."""
    path = web.hook()
    pairs = [(DELIVERY.encode(), given.encode("latin-1"))]
    answer = web.client.post(f"/hooks/{path}", content=b"{}", headers=pairs)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")
    twice = [(DELIVERY, "d-1"), (DELIVERY, "d-1")]
    assert web.client.post(f"/hooks/{path}", content=b"{}", headers=twice).status_code == 400
    assert web.records() == []


WORKFLOWS = [
    (defs.Workflow(disabled=True), 409, "WORKFLOW_DISABLED"),
    (defs.Workflow(json_schema=NUMBER), 400, "PAYLOAD_INVALID"),
    (defs.Workflow(max_payload_bytes=1), 413, "PAYLOAD_TOO_LARGE"),
    (defs.Workflow(sources=[pb.SOURCE_WORKFLOW]), 403, "CALLER_NOT_ALLOWED"),
]


@pytest.mark.parametrize(("workflow", "status", "expected"), WORKFLOWS, ids=[row[2] for row in WORKFLOWS])
def test_what_admission_refuses_is_a_record_that_the_answer_names(
    web: Web, workflow: defs.Workflow, status: int, expected: str
) -> None:
    """ADM-2: with the whole correlation."""
    workflow = defs.Workflow(**{f.name: v for f, v in workflow.ListFields()}, workflow_id="audit")
    web.wire.define(workflow)
    path = web.hook(provider="shop")
    answer = web.deliver(path, b"{}", {DELIVERY: "d-1", "x-request-id": "req-1"})
    assert (answer.status_code, reason(answer)) == (status, expected)
    record = web.record(answer)
    assert (record.state, record.finalization_path) == (FAILED, pb.FINALIZATION_PATH_REJECTED)
    assert record.error.type == f"preprocessing.{expected.lower()}"
    ids = record.correlation
    assert (ids.webhook_id, ids.path, ids.provider) == ("hook", path, "shop")
    assert (ids.request_id, answer.json()["request_id"]) == ("req-1", "req-1")
    assert answer.headers["traceresponse"].split("-")[1] == record.trace_id
    assert web.client.get(answer.json()["status_url"]).json()["state"] == "failed"


@pytest.mark.parametrize("limited", ["webhook", "workflow", "queue", "depth"])
def test_what_is_over_a_limit_is_told_when_to_come_again(web: Web, limited: str) -> None:
    """ADM-2: 429 with Retry-After in whole seconds."""
    if limited == "workflow":
        web.wire.define(defs.Workflow(workflow_id="audit", rate=HOURLY))
    elif limited != "webhook":
        bounds: dict[str, Any] = {"rate": HOURLY} if limited == "queue" else {"max_depth": 1}
        web.wire.define(defs.Queue(queue="default", **bounds))
    path = web.hook(rate=HOURLY if limited == "webhook" else None)
    assert web.deliver(path, headers={DELIVERY: "d-1"}).status_code == 202
    answer = web.deliver(path, headers={DELIVERY: "d-2"})
    assert (answer.status_code, reason(answer)) == (
        429,
        "QUEUE_FULL" if limited == "depth" else "RATE_LIMITED",
    )
    wait = int(answer.headers["retry-after"])
    assert wait == 1 if limited == "depth" else 3_500 < wait <= 3_600
    assert web.record(answer).error.type.startswith("preprocessing.")
    again = web.deliver(path, headers={DELIVERY: "d-1"})
    assert (again.status_code, again.json()["existing"]) == (202, True)


def test_a_webhooks_rate_is_its_own(web: Web) -> None:
    first, second = web.hook("one", rate=HOURLY), web.hook("two", rate=HOURLY)
    assert [web.deliver(p).status_code for p in (first, second, first)] == [202, 202, 429]


def test_a_hundred_equal_deliveries_at_once_are_one_execution(web: Web) -> None:
    """WEB-2."""
    path = web.hook()
    with ThreadPoolExecutor(25) as senders_:
        calls = [senders_.submit(web.deliver, path, b"{}", {DELIVERY: "d-1"}) for _ in range(100)]
    answers = [call.result() for call in calls]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["execution_id"] for answer in answers}) == 1
    assert [answer.json()["existing"] for answer in answers].count(False) == 1
    assert len(web.records()) == 1


def test_the_same_delivery_with_another_body_is_refused(web: Web) -> None:
    """WEB-2, COR-4."""
    path = web.hook()
    first = web.deliver(path, b"one", {DELIVERY: "d-1"})
    other = web.deliver(path, b"two", {DELIVERY: "d-1"})
    assert (other.status_code, reason(other)) == (409, "IDEMPOTENCY_CONFLICT")
    assert other.json()["execution_id"] == first.json()["execution_id"]
    assert len(web.records()) == 1


def test_a_repeat_of_what_has_ended_says_so(web: Web) -> None:
    path = web.hook()
    with web.wire.worker() as worker:
        first = web.deliver(path, headers={DELIVERY: "d-1"})
        worker.settle(worker.lease())
    again = web.deliver(path, headers={DELIVERY: "d-1"})
    assert (again.status_code, again.json()["existing"], again.json()["state"]) == (200, True, "succeeded")
    assert again.json()["execution_id"] == first.json()["execution_id"]


@pytest.mark.parametrize(
    "name", ["webhook-id", "x-github-delivery", "svix-id", "x-event-id", "x-shopify-webhook-id", "x-own"]
)
def test_each_usual_header_and_the_webhooks_own_name_a_delivery(web: Web, name: str) -> None:
    """WEB-2."""
    path = web.hook(delivery_header="X-Own")
    ids = {web.deliver(path, headers={name: "d-1"}).json()["execution_id"] for _ in range(2)}
    assert len(ids) == 1
    assert web.deliver(path, headers={name: "d-2"}).json()["execution_id"] not in ids


def test_deliveries_without_an_id_are_work_each(web: Web) -> None:
    path = web.hook()
    assert len({web.deliver(path).json()["execution_id"] for _ in range(3)}) == 3


def test_nobody_reaches_the_keys_of_another_webhook(web: Web) -> None:
    """WEB-2, COR-4: the key begins with what only the server writes."""
    one, two = web.hook("a"), web.hook("a:b", path=f"{web.wire.namespace}/b")
    first = web.deliver(one, headers={DELIVERY: "b:d-1"})
    second = web.deliver(two, headers={DELIVERY: "d-1"})
    assert first.json()["execution_id"] != second.json()["execution_id"]
    key = web.record(first).idempotency_key
    with refused("INVALID_ARGUMENT", code_pb2.INVALID_ARGUMENT):
        web.wire.enqueue(idempotency_key=key)


HANDSHAKES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "slack",
        {},
        {"method": "POST", "json": {"type": "url_verification", "challenge": "abc123"}},
        "abc123",
    ),
    (
        "meta",
        {"verification": trusted(defs.VERIFICATION_SCHEME_GITHUB)},
        {
            "method": "GET",
            "params": {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": SECRET},
        },
        "42",
    ),
    (
        "microsoft-graph",
        {"content_types": ["application/json"]},
        {
            "method": "POST",
            "params": {"validationToken": "<b>&amp"},
            "headers": {"content-type": "text/plain"},
        },
        "&lt;b&gt;&amp;amp",
    ),
    ("dropbox", {}, {"method": "GET", "params": {"challenge": "xyz"}}, "xyz"),
    ("github", {}, {"method": "POST", "content": b"{}", "headers": {"x-github-event": "ping"}}, "pong"),
]


@pytest.mark.parametrize(
    ("provider", "fields", "sent", "answered"), HANDSHAKES, ids=[row[0] for row in HANDSHAKES]
)
def test_a_challenge_is_answered_and_not_queued(
    web: Web, provider: str, fields: dict[str, Any], sent: dict[str, Any], answered: str
) -> None:
    """WEB-3."""
    path = web.hook(provider=provider, **fields)
    answer = web.client.request(url=f"/hooks/{path}", **sent)
    assert (answer.status_code, answer.text) == (200, answered)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == (
        "nosniff",
        "no-store",
    )
    assert web.records() == []


def test_a_challenge_with_the_wrong_token_is_refused(web: Web) -> None:
    path = web.hook(provider="meta", verification=trusted(defs.VERIFICATION_SCHEME_GITHUB))
    query = {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": "a-wrong-token"}
    answer = web.client.get(f"/hooks/{path}", params=query)
    assert answer.status_code == 401
    assert "42" not in answer.text


def test_every_answer_is_json_that_nobody_keeps(web: Web) -> None:
    path = web.hook()
    for answer in (web.deliver(path), web.deliver("nobody"), web.client.get(f"/hooks/{path}")):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        assert isinstance(json.loads(answer.content), dict)


def test_the_retry_policy_and_deadlines_of_the_webhook_hold(web: Web) -> None:
    retry = pb.RetryPolicy(max_attempts=2, initial_interval=Duration(nanos=1_000_000))
    path = web.hook(retry=retry, deadlines=pb.Deadlines(attempt=Duration(seconds=600)))
    with web.wire.worker() as worker:
        answer = web.deliver(path)
        lease = worker.lease()
        assert lease.max_attempts == 2
        assert 590 < lease.deadline.seconds <= 600
        worker.settle(lease)
    assert web.record(answer).state == pb.EXECUTION_STATE_SUCCEEDED


def test_an_unusual_client_may_send_its_path_in_any_case_of_percent(web: Web) -> None:
    """What RFC 3986 calls equivalent leads to the same webhook; an encoded slash is no slash."""
    path = web.hook()
    encoded = "".join(f"%{ord(c):02x}" if c != "/" else c for c in path)
    url = httpx.URL(str(web.client.base_url), raw_path=f"/hooks/{encoded}".encode())
    assert web.client.post(url, content=b"{}").status_code == 202
    slashed = httpx.URL(str(web.client.base_url), raw_path=f"/hooks/{path.replace('/', '%2F')}".encode())
    assert web.client.post(slashed, content=b"{}").status_code == 404
