"""What a caller's headers lead to over the API, on both stores: the cases of the specifications again."""

from collections.abc import Iterator

import pytest

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from tests.conventions.w3c_cases import CASES, FUTURE, SPAN, TRACE, Case
from tests.conventions.w3c_texts import FULL
from tests.wire import PATIENCE, Wire

pytestmark = pytest.mark.conformance

METADATA, FIELD = "metadata", "field"
RANDOM = 0x02


def ways() -> Iterator[tuple[str, Case]]:
    """Yield each case by each way that can hold it."""
    for case in CASES:
        if case.fits_metadata():
            yield METADATA, case
        if case.fits_fields():
            yield FIELD, case


def accept(wire: Wire, way: str, case: Case) -> api.EnqueueExecutionResponse:
    """Enqueue with the headers in the call's metadata, or in the item's own carrier."""
    if way == FIELD:
        return wire.enqueue(carrier=pb.Carrier(**dict(case.headers)))
    request = api.EnqueueExecutionRequest(namespace=wire.namespace, item=wire.item())
    return wire.executions.EnqueueExecution(request, metadata=case.headers, timeout=PATIENCE)


@pytest.mark.parametrize(("way", "case"), [pytest.param(w, c, id=f"{w}-{c.name}") for w, c in ways()])
def test_what_goes_on_of_a_callers_headers(wire: Wire, way: str, case: Case) -> None:
    """A new root has the random flag and is sampled; a trace that goes on keeps the caller's flags."""
    answer = accept(wire, way, case)
    version, trace_id, span_id, flags = answer.carrier.traceparent.split("-")
    assert (version, trace_id == TRACE) == ("00", case.flags is not None)
    assert flags == f"{3 if case.flags is None else case.flags:02x}"
    assert span_id not in (SPAN, "0" * 16)
    assert (answer.carrier.tracestate, answer.carrier.baggage) == (case.tracestate, case.baggage)
    assert answer.execution.trace_id == trace_id


def test_of_two_parents_in_metadata_grpc_hands_over_the_last_alone(wire: Wire) -> None:
    """The core of gRPC keeps one `traceparent` of a call: that there were two, no server on it can see."""
    headers = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("traceparent", f"00-{'5' * 32}-{SPAN}-00"))
    request = api.EnqueueExecutionRequest(namespace=wire.namespace, item=wire.item())
    answer = wire.executions.EnqueueExecution(request, metadata=headers, timeout=PATIENCE)
    assert answer.execution.trace_id == "5" * 32


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_the_worker_gets_flags_tracestate_and_baggage_as_the_caller_sent_them(wire: Wire, flags: str) -> None:
    """COR-1: in the carrier of each lease, under a span of its own."""
    state = "0vendor@x/y*=a b,tenant@vendor=2,ot=th:8;rv:6e6d1a75832a2f"
    sent = pb.Carrier(traceparent=f"00-{TRACE}-{SPAN}-{flags}", tracestate=state, baggage=FULL)
    accepted = wire.enqueue(carrier=sent)
    with wire.worker() as worker:
        given = worker.lease().carrier
        worker.settle(worker.lease())
    _, trace_id, span_id, kept = given.traceparent.split("-")
    assert (trace_id, kept) == (TRACE, flags)
    assert span_id not in (SPAN, accepted.carrier.traceparent.split("-")[2])
    assert (given.tracestate, given.baggage) == (state, FULL)


def test_new_roots_have_random_ids_and_say_so(wire: Wire) -> None:
    request = api.EnqueueExecutionsRequest(namespace=wire.namespace, items=[wire.item() for _ in range(50)])
    results = wire.executions.EnqueueExecutions(request, timeout=PATIENCE).results
    parents = [result.accepted.carrier.traceparent.split("-") for result in results]
    assert all(int(flags, 16) & RANDOM for _, _, _, flags in parents)
    assert len({trace_id[-14:] for _, trace_id, _, _ in parents}) == 50
    assert len({trace_id[-14] for _, trace_id, _, _ in parents}) > 4


def test_each_item_has_its_own_context_before_that_of_the_call(wire: Wire) -> None:
    """COR-1: the item's carrier counts as a whole, else the metadata of the call."""
    own = pb.Carrier(traceparent=FUTURE.replace(TRACE, "1" * 32), baggage="mine=1")
    bad = pb.Carrier(traceparent="bad", tracestate="a=1")
    items = [wire.item(), wire.item(carrier=own), wire.item(carrier=bad)]
    request = api.EnqueueExecutionsRequest(namespace=wire.namespace, items=items)
    metadata = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "a=1"), ("baggage", "theirs=1"))
    results = wire.executions.EnqueueExecutions(request, metadata=metadata, timeout=PATIENCE).results
    call, item, restarted = (result.accepted.carrier for result in results)
    assert (call.traceparent[3:35], call.tracestate, call.baggage) == (TRACE, "a=1", "theirs=1")
    assert (item.traceparent[3:35], item.tracestate, item.baggage) == ("1" * 32, "", "mine=1")
    assert restarted.traceparent[3:35] not in (TRACE, "1" * 32)
    assert (restarted.tracestate, restarted.baggage) == ("", "")
