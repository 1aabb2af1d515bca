"""Trace context of webhooks (WEB-4), on both stores: continued, linked or ignored, by level 2 of W3C's."""

from collections.abc import Callable, Iterator

import pytest

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.processes import SidecarProcess
from tests.web import SECRET, Web, trusted, webs
from tests.wire import PATIENCE

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
CONTEXT = {"traceparent": TRACEPARENT, "tracestate": "vendor=1", "baggage": "tenant=a;p=1"}
PROOF = {"authorization": f"Bearer {SECRET}"}
BEARER = trusted(defs.VERIFICATION_SCHEME_BEARER)
CONTINUE, LINK, IGNORE = (
    defs.PROPAGATION_CONTINUE,
    defs.PROPAGATION_LINK,
    defs.PROPAGATION_IGNORE,
)


@pytest.fixture
def web(sidecar: SidecarProcess) -> Iterator[Web]:
    with webs(sidecar) as web:
        yield web


Pairs = list[tuple[str, str]]


def delivered(web: Web, path: str, headers: Pairs) -> tuple[work.Lease, pb.Execution, admin.Span]:
    """Deliver with some headers; return what the worker gets, the record, and its `send` span."""
    with web.wire.worker() as worker:
        answer = web.client.post(f"/hooks/{path}", content=b"{}", headers=[*headers, *PROOF.items()])
        assert answer.status_code == 202, answer.text
        lease = worker.lease()
        worker.settle(lease)
    execution_id = lease.correlation.execution_id
    request = admin.GetTraceRequest(namespace=web.wire.namespace, execution_id=execution_id)
    spans = web.wire.admin.GetTrace(request, timeout=PATIENCE).spans
    (send,) = [span for span in spans if span.name.startswith("send ")]
    assert answer.headers["traceresponse"].split("-")[1:3] == [web.record(answer).trace_id, send.span_id]
    return lease, web.record(answer), send


def assert_continued(lease: work.Lease, record: pb.Execution, send: admin.Span) -> None:
    assert (record.trace_id, send.parent_span_id, list(send.links)) == (TRACE, SPAN, [])
    assert lease.carrier.traceparent.startswith(f"00-{TRACE}-")
    assert (lease.carrier.tracestate, lease.carrier.baggage) == ("vendor=1", "tenant=a;p=1")


def assert_linked(lease: work.Lease, record: pb.Execution, send: admin.Span) -> None:
    """A trace of its own, and nothing of a stranger's baggage."""
    assert record.trace_id != TRACE
    assert send.parent_span_id == ""
    assert [(link.trace_id, link.span_id) for link in send.links] == [(TRACE, SPAN)]
    assert lease.carrier.traceparent.startswith(f"00-{record.trace_id}-")
    assert lease.carrier.traceparent.endswith("-03")
    assert lease.carrier.baggage == ""


def assert_ignored(lease: work.Lease, record: pb.Execution, send: admin.Span) -> None:
    assert record.trace_id != TRACE
    assert (send.parent_span_id, list(send.links)) == ("", [])
    assert (lease.carrier.tracestate, lease.carrier.baggage) == ("", "")


@pytest.mark.parametrize(
    ("verification", "propagation", "expected"),
    [
        (BEARER, None, assert_continued),
        (None, None, assert_linked),
        (BEARER, LINK, assert_linked),
        (None, CONTINUE, assert_continued),
        (BEARER, IGNORE, assert_ignored),
        (None, IGNORE, assert_ignored),
    ],
    ids=["verified", "open", "verified, link", "open, continue", "verified, ignore", "open, ignore"],
)
def test_the_senders_context_is_continued_linked_or_ignored(
    web: Web,
    verification: defs.Verification | None,
    propagation: defs.Propagation.ValueType | None,
    expected: Callable[[work.Lease, pb.Execution, admin.Span], None],
) -> None:
    """WEB-4: by default a verified sender's goes on, anybody else's is linked to."""
    path = web.hook(verification=verification, propagation=propagation)
    expected(*delivered(web, path, list(CONTEXT.items())))


def test_the_webhook_decides_before_the_workflow(web: Web) -> None:
    tracing = defs.Tracing(propagation=IGNORE)
    web.wire.define(defs.Workflow(workflow_id="audit", tracing=tracing))
    path = web.hook(verification=BEARER)
    assert_continued(*delivered(web, path, list(CONTEXT.items())))


def test_repeated_headers_count_as_the_specification_says(web: Web) -> None:
    """Several tracestate and baggage headers are one list; two traceparents are none at all."""
    path = web.hook(verification=BEARER)
    lists = [("tracestate", "a=1"), ("baggage", "x=1"), ("tracestate", "b=2,c=3"), ("Baggage", "y=2;p")]
    lease, record, _ = delivered(web, path, [("traceparent", TRACEPARENT), *lists])
    assert (lease.carrier.tracestate, lease.carrier.baggage) == ("a=1,b=2,c=3", "x=1,y=2;p")
    assert record.trace_id == TRACE
    twice = [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT), *lists]
    lease, record, send = delivered(web, path, twice)
    assert record.trace_id != TRACE
    assert (lease.carrier.tracestate, send.parent_span_id) == ("", "")


@pytest.mark.parametrize("bad", ["nonsense", TRACEPARENT.upper(), f"ff{TRACEPARENT[2:]}", "ü"])
def test_a_malformed_context_refuses_nothing(web: Web, bad: str) -> None:
    path = web.hook(verification=BEARER)
    pairs = [(b"traceparent", bad.encode("latin-1")), (b"authorization", PROOF["authorization"].encode())]
    answer = web.client.post(f"/hooks/{path}", content=b"{}", headers=pairs)
    assert answer.status_code == 202
    assert answer.json()["trace_id"] not in (TRACE, "0" * 32)


def test_baggage_as_large_as_is_legal_arrives_whole(web: Web) -> None:
    path = web.hook(verification=BEARER)
    members = [f"key{n:02}={'v' * 121}" for n in range(64)]
    baggage = ",".join(members)[:8_192]
    lease, _, _ = delivered(web, path, [("traceparent", TRACEPARENT), ("baggage", baggage)])
    assert lease.carrier.baggage == baggage


def test_an_unsampled_sender_hears_that_nothing_is_recorded(web: Web) -> None:
    path = web.hook(verification=BEARER)
    headers = {"traceparent": f"{TRACEPARENT[:-2]}00", **PROOF}
    answer = web.deliver(path, headers=headers)
    assert answer.headers["traceresponse"].endswith("-00")
    assert not web.record(answer).sampled
