"""What a handler's calls to other services carry, with a real worker on a real sidecar, on both stores."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult

import sidecar.client
from sidecar.client import Run, SyncClient, Worker
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from tests.client.conftest import Serve
from tests.client.fake import PROCESS_SPAN_ID, FakeSidecar, lease
from tests.client.upstream import Upstream
from tests.wire import PATIENCE, Wire

pytestmark = pytest.mark.conformance

TRACE = "0af7651916cd43dd8448eb211c80319c"
STATE = "0vendor@x/y*=a b,congo=t61rcWkgMzE,tenant@1=2,ot=th:8;rv:6e6d1a75832a2f"
BAGGAGE = "userId=alice%20b;p=1;q , serverNode=DF%2028,isProduction=false,twice=1,twice=2"

Headers = dict[str, str]


class Served:
    """What the run of one handler gave back, and its execution's spans by name."""

    def __init__(self, wire: Wire, serve: Serve, handler: Callable[..., object], flags: str) -> None:
        worker = Worker(wire.target, namespace=wire.namespace)
        worker.workflow("audit")(handler)
        serve(worker)
        parent = f"00-{TRACE}-b7ad6b7169203331-{flags}"
        accepted = wire.enqueue(carrier=pb.Carrier(traceparent=parent, tracestate=STATE, baggage=BAGGAGE))
        self.execution_id = accepted.execution.correlation.execution_id
        record = wire.wait(self.execution_id)
        assert record.state == pb.EXECUTION_STATE_SUCCEEDED, record
        self.output: Any = json.loads(record.output)
        with SyncClient(wire.target, namespace=wire.namespace) as client:
            self.spans = {span.name: span for span in client.trace(self.execution_id).spans}

    def parent(self, span: str, flags: str = "03") -> str:
        """The `traceparent` that names a span of the execution."""
        return f"00-{TRACE}-{self.spans[span].span_id}-{flags}"


RunHandler = Callable[..., Served]


@pytest.fixture
def ran(wire: Wire, serve: Serve) -> RunHandler:
    """Runs one handler, for a caller that sends a context with everything in it."""
    return lambda handler, flags="03": Served(wire, serve, handler, flags)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A service that handlers call."""
    service = Upstream()
    yield service
    service.close()


def injected() -> Headers:
    """Return what the stock propagator writes."""
    carrier: Headers = {}
    propagate.inject(carrier)
    return carrier


def texts(headers: Sequence[Headers], name: str) -> list[str]:
    return [each.get(name, "") for each in headers]


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_outside_a_step_the_parent_is_the_attempt(ran: RunHandler, flags: str) -> None:
    """COR-1: the trace, the flags, and both texts as the caller sent them."""

    async def handler(run: Run) -> list[Headers]:
        return [run.headers(), sidecar.client.headers(), run.step("never entered").headers(), injected()]

    served = ran(handler, flags)
    assert texts(served.output, "traceparent") == [served.parent("process default", flags)] * 4
    assert texts(served.output, "tracestate") == [STATE] * 4
    assert texts(served.output, "baggage")[:3] == [BAGGAGE] * 3


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_each_call_in_a_step_has_a_parent_of_its_own(ran: RunHandler, flags: str) -> None:
    """Sampled or not; the step is a span of the record, so no parent is one that nobody knows."""

    async def handler(run: Run) -> list[Headers]:
        found = []
        for name in ("GET /a", "GET /b"):
            async with run.step(name) as step:
                found += [step.headers(), run.headers(), sidecar.client.headers(), injected()]
        return found

    served = ran(handler, flags)
    wanted = [served.parent(name, flags) for name in ("GET /a", "GET /b")]
    assert wanted[0] != wanted[1]
    assert texts(served.output, "traceparent") == [wanted[0]] * 4 + [wanted[1]] * 4
    assert texts(served.output, "tracestate") == [STATE] * 8
    assert texts(served.output[:3], "baggage") == [BAGGAGE] * 3


def test_calls_side_by_side_do_not_share_a_parent(ran: RunHandler) -> None:
    async def handler(run: Run) -> list[Headers]:
        both = asyncio.Barrier(2)

        async def call(name: str) -> Headers:
            async with run.step(name) as step:
                await both.wait()
                return step.headers() | {"same": str(run.headers() == step.headers())}

        return list(await asyncio.gather(call("a"), call("b")))

    served = ran(handler)
    assert texts(served.output, "traceparent") == [served.parent("a"), served.parent("b")]
    assert texts(served.output, "same") == ["True", "True"]


def test_a_handlers_calls_arrive_in_the_callers_trace(
    ran: RunHandler, wire: Wire, upstream: Upstream
) -> None:
    """Over HTTP as another service reads it, and over gRPC, where the next span's parent is the step."""

    def handler(run: Run) -> str:
        for path in ("/a", "/b"):
            with run.step(f"GET {path}") as step:
                upstream.get(path, step.headers())
        with run.step("enqueue") as step:
            request = api.EnqueueExecutionRequest(
                namespace=wire.namespace, item=wire.item(workflow_id="next")
            )
            metadata = tuple(step.headers().items())
            answer = wire.executions.EnqueueExecution(request, metadata=metadata, timeout=PATIENCE)
        return answer.execution.correlation.execution_id

    served = ran(handler)
    for path in ("/a", "/b"):
        arrived = upstream.arrived[path]
        assert arrived["traceparent"] == [served.parent(f"GET {path}")]
        assert (arrived["tracestate"], arrived["baggage"]) == ([STATE], [BAGGAGE])
    with SyncClient(wire.target, namespace=wire.namespace) as client:
        child = client.trace(served.output)
    [send] = [span for span in child.spans if span.name == "send default"]
    assert (child.trace_id, send.parent_span_id) == (TRACE, served.spans["enqueue"].span_id)


def test_a_span_of_the_users_own_is_the_parent_and_loses_no_key(ran: RunHandler) -> None:
    provider = TracerProvider()
    tracer = provider.get_tracer("user")

    def handler(run: Run) -> list[object]:
        with tracer.start_as_current_span("mine") as span:
            outer = [run.headers(), injected()]
        with run.step("step") as step, tracer.start_as_current_span("inner") as inner:
            within = [run.headers(), injected(), step.headers()]
        ids = [f"{each.get_span_context().span_id:016x}" for each in (span, inner)]
        return [ids, outer, within]

    served = ran(handler)
    provider.shutdown()
    ids, outer, within = served.output
    assert texts(outer, "traceparent") == [f"00-{TRACE}-{ids[0]}-03"] * 2
    assert texts(within, "traceparent") == [f"00-{TRACE}-{ids[1]}-03"] * 2 + [served.parent("step")]
    assert texts([*outer, *within], "tracestate") == [STATE] * 5


def test_a_step_is_sampled_as_its_run_whatever_the_users_sampler_says(ran: RunHandler) -> None:
    """Whether the sidecar records the step was decided at accept; so the flag under it is true."""
    provider = TracerProvider(sampler=ALWAYS_OFF)
    tracer = provider.get_tracer("user")

    def handler(run: Run) -> list[Headers]:
        with tracer.start_as_current_span("mine"), run.step("step") as step:
            return [step.headers(), run.headers(), injected()]

    served = ran(handler, "01")
    provider.shutdown()
    assert texts(served.output, "traceparent") == [served.parent("step", "01")] * 3


def test_under_a_span_of_another_trace_calls_stay_in_the_runs(ran: RunHandler) -> None:
    provider = TracerProvider()
    tracer = provider.get_tracer("user")

    def handler(run: Run) -> list[Headers]:
        with tracer.start_as_current_span("root", context=context.Context()):
            found = [run.headers(), sidecar.client.headers()]
            with run.step("step") as step:
                return [*found, step.headers(), injected()]

    served = ran(handler)
    provider.shutdown()
    attempt, step = served.parent("process default"), served.parent("step")
    assert texts(served.output, "traceparent") == [attempt, attempt, step, step]


def test_a_thread_that_was_handed_no_context_still_speaks_for_the_run(ran: RunHandler) -> None:
    def handler(run: Run) -> list[Headers]:
        def stepping() -> list[Headers]:
            with run.step("pooled") as step:
                return [step.headers(), sidecar.client.headers(), injected()]

        with ThreadPoolExecutor(1) as pool:
            bare = [pool.submit(run.headers).result(), pool.submit(sidecar.client.headers).result()]
            return [*bare, *pool.submit(stepping).result(), pool.submit(sidecar.client.headers).result()]

    served = ran(handler)
    step = served.parent("pooled")
    wanted = [served.parent("process default"), "", step, step, step, ""]
    assert texts(served.output, "traceparent") == wanted
    assert texts(served.output, "tracestate") == [STATE, "", STATE, STATE, STATE, ""]
    assert texts(served.output, "baggage")[:4] == [BAGGAGE, "", BAGGAGE, BAGGAGE]


def test_baggage_that_a_handler_changes_leaves_the_rest_as_it_came(ran: RunHandler) -> None:
    def handler(run: Run) -> list[Headers]:
        context.attach(baggage.set_baggage("mine", "a b,\ud800"))
        added = run.headers()
        context.attach(baggage.set_baggage("serverNode", "other"))
        context.attach(baggage.set_baggage("not a token", "x"))
        context.attach(baggage.remove_baggage("twice"))
        with run.step("step") as step:
            return [added, step.headers()]

    served = ran(handler)
    added, changed = texts(served.output, "baggage")
    assert added == f"{BAGGAGE},mine=a%20b%2C?"
    assert changed == "userId=alice%20b;p=1;q ,isProduction=false,serverNode=other,mine=a%20b%2C?"


class Forgetful(Sampler):
    """Samples and passes no tracestate on, as samplers of users do."""

    def should_sample(self, *_args: Any, **_kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        return "forgetful"


def test_what_a_sampler_of_the_user_loses_is_put_back(ran: RunHandler) -> None:
    provider = TracerProvider(sampler=Forgetful())

    def handler(run: Run) -> list[Headers]:
        with provider.get_tracer("user").start_as_current_span("mine"):
            return [run.headers()]

    served = ran(handler)
    provider.shutdown()
    assert texts(served.output, "tracestate") == [STATE]


def test_a_step_that_is_not_reported_names_no_parent_that_nobody_knows(
    fake: FakeSidecar, serve: Serve
) -> None:
    worker = Worker(fake.target)

    @worker.workflow("work")
    def handler(run: Run) -> list[Headers]:
        for _ in range(1_000):
            run.step("counted")
        with run.step("too many") as step:
            return [step.headers(), run.headers()]

    serve(worker)
    conversation = fake.conversation()
    conversation.welcome()
    conversation.deliver(lease("e"))
    settlement = conversation.settlement()
    conversation.settle(settlement)
    parent = {"traceparent": f"00-{TRACE}-{PROCESS_SPAN_ID}-01"}
    assert json.loads(settlement.succeeded.output) == [parent, parent]


def test_outside_a_handler_the_headers_are_those_of_the_current_context() -> None:
    assert sidecar.client.headers() == {}
    provider = TracerProvider()
    with provider.get_tracer("user").start_as_current_span("caller") as span:
        ids = span.get_span_context()
        parent = f"00-{trace.format_trace_id(ids.trace_id)}-{trace.format_span_id(ids.span_id)}-03"
        assert sidecar.client.headers() == {"traceparent": parent}
    provider.shutdown()
