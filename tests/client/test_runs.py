"""What a handler sees: its context, its steps, its limits, and when it should stop."""

import asyncio
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sidecar.client import Client, CorrelationSpanProcessor, Run, SyncClient, Worker, current_run
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.client.conftest import Serve
from tests.client.fake import PROCESS_SPAN_ID, TRACE_ID, WAIT, Conversation, FakeSidecar, lease, ref


@dataclass
class Telemetry:
    """The user's own SDK."""

    spans: InMemorySpanExporter
    tracer: trace.Tracer

    def named(self, name: str) -> ReadableSpan:
        [found] = [span for span in self.spans.get_finished_spans() if span.name == name]
        return found

    def parent(self, name: str) -> str:
        parent = self.named(name).parent
        return f"{parent.span_id:016x}" if parent else ""


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(CorrelationSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Telemetry(exporter, provider.get_tracer("user"))
    provider.shutdown()


def begun(
    fake: FakeSidecar, serve: Serve, worker: Worker, *leases: work.Lease, ttl: float = 30
) -> Conversation:
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome(ttl=ttl)
    sidecar.deliver(*leases)
    return sidecar


def finish(sidecar: Conversation) -> work.Settlement:
    settlement = sidecar.settlement()
    sidecar.settle(settlement)
    return settlement


def test_a_run_knows_its_execution(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target)
    seen: list[Run] = []

    @worker.workflow("work")
    async def handler(run: Run) -> bool:
        seen.append(run)
        return current_run() is run

    assert finish(begun(fake, serve, worker, lease("e", deadline=60))).succeeded.output == b"true"
    [run] = seen
    assert (run.execution_id, run.request_id, run.attempt) == ("e", "request-of-e", 1)
    assert run.correlation.root_execution_id == "the-root"
    assert run.deadline is not None
    assert timedelta(seconds=50) < run.deadline <= timedelta(seconds=60)
    assert not run.cancelled
    assert current_run() is None


def test_the_users_spans_nest_under_steps_and_bear_the_ids(
    fake: FakeSidecar, serve: Serve, telemetry: Telemetry
) -> None:
    worker = Worker(fake.target)

    @worker.workflow("work")
    def handler(ctx: Run) -> None:
        with telemetry.tracer.start_as_current_span("before"):
            pass
        with ctx.step("parse"):
            with telemetry.tracer.start_as_current_span("in-parse"), ctx.step("lex"):
                telemetry.tracer.start_span("in-lex").end()
            telemetry.tracer.start_span("after-lex").end()
        telemetry.tracer.start_span("after").end()

    sidecar = begun(fake, serve, worker, lease("e"))
    finish(sidecar)
    started = {s.name: s for s in sidecar.steps() if s.phase == work.STEP_PHASE_STARTED}
    parse, lex = started["parse"].span_id, started["lex"].span_id
    assert telemetry.parent("before") == telemetry.parent("after") == PROCESS_SPAN_ID
    assert telemetry.parent("in-parse") == telemetry.parent("after-lex") == parse.hex()
    assert telemetry.parent("in-lex") == lex.hex()
    assert (started["parse"].parent_span_id, started["lex"].parent_span_id) == (b"", parse)
    for span in telemetry.spans.get_finished_spans():
        assert f"{span.context.trace_id:032x}" == TRACE_ID
        assert span.attributes == {
            "sidecar.execution.id": "e",
            "sidecar.request.id": "request-of-e",
            "sidecar.workflow.id": "work",
        }


def test_steps_of_concurrent_tasks_do_not_nest_in_each_other(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target)

    @worker.workflow("work")
    async def handler(ctx: Run) -> None:
        both = asyncio.Barrier(2)

        async def part(name: str) -> None:
            async with ctx.step(name):
                await both.wait()
                async with ctx.step(f"{name}-inner"):
                    await both.wait()

        async with ctx.step("outer"):
            await asyncio.gather(part("a"), part("b"))

    sidecar = begun(fake, serve, worker, lease("e"))
    finish(sidecar)
    started = {s.name: s for s in sidecar.steps() if s.phase == work.STEP_PHASE_STARTED}
    parents = {name: started[name].parent_span_id for name in started}
    assert parents["a"] == parents["b"] == started["outer"].span_id
    assert parents["a-inner"] == started["a"].span_id
    assert parents["b-inner"] == started["b"].span_id
    assert sorted(s.sequence for s in started.values()) == [1, 2, 3, 4, 5]


def test_a_steps_error_marks_it_and_goes_on(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target)

    @worker.workflow("work")
    def handler(ctx: Run) -> None:
        with ctx.step("first\nline\x00"):
            pass
        with ctx.step("second"):
            raise LookupError("gone")

    sidecar = begun(fake, serve, worker, lease("e"))
    assert finish(sidecar).failed.error.type == "LookupError"
    reports = [(s.name, s.phase, s.error_type) for s in sidecar.steps()]
    assert reports == [
        ("first line ", work.STEP_PHASE_STARTED, ""),
        ("first line ", work.STEP_PHASE_COMPLETED, ""),
        ("second", work.STEP_PHASE_STARTED, ""),
        ("second", work.STEP_PHASE_COMPLETED, "LookupError"),
    ]
    for step in sidecar.steps():
        assert step.HasField("started_after")
        completed = step.phase == work.STEP_PHASE_COMPLETED
        assert step.HasField("completed_after") == completed
        assert not completed or step.completed_after.ToTimedelta() >= step.started_after.ToTimedelta()


def test_steps_past_the_limit_are_not_reported_and_fail_nothing(
    fake: FakeSidecar, serve: Serve, telemetry: Telemetry
) -> None:
    worker = Worker(fake.target)

    @worker.workflow("work")
    def handler(ctx: Run) -> None:
        for _ in range(1_000):
            with ctx.step("many"):
                pass
        with ctx.step("too many"):
            telemetry.tracer.start_span("inside").end()

    sidecar = begun(fake, serve, worker, lease("e"))
    assert finish(sidecar).HasField("succeeded")
    assert {s.name for s in sidecar.steps()} == {"many"}
    assert telemetry.parent("inside") == PROCESS_SPAN_ID


def test_steps_are_said_again_after_a_reconnect(fake: FakeSidecar, serve: Serve) -> None:
    worker, go = Worker(fake.target), threading.Event()

    @worker.workflow("work")
    def handler(ctx: Run) -> None:
        with ctx.step("one"):
            pass
        with ctx.step("two"):
            go.wait(WAIT)

    sidecar = begun(fake, serve, worker, lease("e"))
    sidecar.expect(lambda f: next((s for s in f.steps if s.name == "two"), None))
    sidecar.cut()
    again = fake.conversation()
    assert list(again.hello.held) == [ref("e")]
    again.welcome()
    again.expect(lambda f: next((s for s in f.steps if s.name == "two"), None))
    go.set()
    finish(again)
    phases = [(s.name, s.phase) for s in again.steps()]
    assert phases == [
        ("one", work.STEP_PHASE_COMPLETED),
        ("two", work.STEP_PHASE_STARTED),
        ("two", work.STEP_PHASE_COMPLETED),
    ]


def test_a_cancellation_reaches_an_async_handler_once(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target)
    at_work: queue.SimpleQueue[str] = queue.SimpleQueue()

    @worker.workflow("work")
    async def handler(ctx: Run) -> None:
        at_work.put("begun")
        try:
            await asyncio.Event().wait()
        finally:
            at_work.put(f"told {ctx.cancelled} {ctx.cancel_reason}")
            await asyncio.sleep(0.05)
            at_work.put("cleaned up")

    sidecar = begun(fake, serve, worker, lease("e"))
    assert at_work.get(timeout=WAIT) == "begun"
    for _ in range(3):
        sidecar.say(work.WorkResponse(cancels=[work.CancelSignal(lease=ref("e"), reason="enough")]))
    assert at_work.get(timeout=WAIT) == "told True enough"
    assert at_work.get(timeout=WAIT) == "cleaned up"
    assert finish(sidecar).cancelled.reason == "enough"


def test_a_blocking_handler_sees_the_flag(fake: FakeSidecar, serve: Serve) -> None:
    worker, begun_at = Worker(fake.target), threading.Event()

    @worker.workflow("work")
    def handler(ctx: Run) -> None:
        begun_at.set()
        asyncio.run(ctx.wait_cancelled())
        ctx.raise_if_cancelled()

    sidecar = begun(fake, serve, worker, lease("e"))
    assert begun_at.wait(WAIT)
    sidecar.say(work.WorkResponse(cancels=[work.CancelSignal(lease=ref("e"), reason="enough")]))
    assert finish(sidecar).cancelled.reason == "enough"


def test_a_value_returned_after_a_cancellation_wins(fake: FakeSidecar, serve: Serve) -> None:
    worker, at_work = Worker(fake.target), threading.Event()

    @worker.workflow("work")
    async def handler(ctx: Run) -> str:
        at_work.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return await ctx.wait_cancelled()
        return "never"

    sidecar = begun(fake, serve, worker, lease("e"))
    assert at_work.wait(WAIT)
    sidecar.say(work.WorkResponse(cancels=[work.CancelSignal(lease=ref("e"), reason="enough")]))
    assert finish(sidecar).succeeded.output == b'"enough"'


@pytest.mark.parametrize("is_async", [False, True])
def test_the_deadline_stops_a_handler(fake: FakeSidecar, serve: Serve, is_async: bool) -> None:
    worker = Worker(fake.target)

    async def waits(_run: Run) -> None:
        await asyncio.Event().wait()

    def checks(run: Run) -> None:
        asyncio.run(run.wait_cancelled())
        assert run.deadline == timedelta()
        run.raise_if_cancelled()

    worker.workflow("work")(waits if is_async else checks)
    sidecar = begun(fake, serve, worker, lease("e", deadline=0.1))
    assert finish(sidecar).cancelled.reason == "deadline"


def test_a_lost_lease_stops_the_handler_and_settles_nothing(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target, concurrency=1)
    reasons: queue.SimpleQueue[str] = queue.SimpleQueue()

    @worker.workflow("work")
    async def handler(ctx: Run) -> None:
        if ctx.execution_id == "e":
            reasons.put("begun")
            try:
                await asyncio.Event().wait()
            finally:
                reasons.put(ctx.cancel_reason)

    sidecar = begun(fake, serve, worker, lease("e"))
    assert reasons.get(timeout=WAIT) == "begun"
    refusal = work.LeaseRefusal(
        lease=ref("e"), refused=pb.Refusal(code=9, reason="LEASE_LOST", message="it passed on")
    )
    sidecar.say(work.WorkResponse(refused=[refusal]))
    assert reasons.get(timeout=WAIT) == "lease_lost"
    assert sidecar.expect(lambda f: f.credits or None) == 1
    sidecar.deliver(lease("f"))
    assert finish(sidecar).lease == ref("f")


def test_leases_lost_over_a_reconnect_stop_their_handlers(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target)
    reasons: queue.SimpleQueue[str] = queue.SimpleQueue()

    @worker.workflow("work")
    async def handler(ctx: Run) -> None:
        reasons.put("begun")
        try:
            await asyncio.Event().wait()
        finally:
            reasons.put(ctx.cancel_reason)

    sidecar = begun(fake, serve, worker, lease("e"))
    assert reasons.get(timeout=WAIT) == "begun"
    sidecar.cut()
    again = fake.conversation()
    assert list(again.hello.held) == [ref("e")]
    again.welcome(lost=[ref("e")])
    assert reasons.get(timeout=WAIT) == "lease_lost"


def test_heartbeats_go_on_while_the_users_loop_is_blocked(fake: FakeSidecar, serve: Serve) -> None:
    worker, beaten = Worker(fake.target), threading.Event()

    @worker.workflow("work")
    async def handler() -> bool:
        return beaten.wait(WAIT)

    sidecar = begun(fake, serve, worker, lease("e"), lease("f"), ttl=0.15)
    for _ in range(3):
        beats = sidecar.expect(lambda f: list(f.heartbeats) or None)
        assert [beat.lease for beat in beats] == [ref("e"), ref("f")]
    beaten.set()
    assert [finish(sidecar).succeeded.output, finish(sidecar).succeeded.output] == [b"true", b"true"]


def test_work_enqueued_by_a_handler_is_its_child_and_its_context_goes_on_verbatim(
    fake: FakeSidecar, serve: Serve
) -> None:
    worker = Worker(fake.target)
    carrier = pb.Carrier(
        traceparent=f"00-{TRACE_ID}-{PROCESS_SPAN_ID}-03",
        tracestate="0vendor=a , other=b",
        baggage="k=v;prop=1, tenant=a%20b",
    )
    seen: list[object] = []

    @worker.workflow("work")
    async def handler(ctx: Run) -> None:
        seen.append(baggage.get_all())
        async with Client(fake.target) as client:
            with ctx.step("hand on"):
                await client.enqueue("child")

    @worker.workflow("sync")
    def blocking() -> None:
        with SyncClient(fake.target) as client:
            client.enqueue("child", request_id="own", parent_execution_id="p")

    sidecar = begun(fake, serve, worker, lease("e", carrier=carrier), lease("f", "sync", carrier=carrier))
    finish(sidecar)
    finish(sidecar)
    items = {item.request_id: item for request in fake.enqueued for item in request.items}
    child, other = items["request-of-e"], items["own"]
    assert (child.parent_execution_id, child.root_execution_id) == ("e", "the-root")
    assert (other.parent_execution_id, other.root_execution_id) == ("p", "the-root")
    [step] = {s.span_id.hex() for s in sidecar.steps()}
    assert child.carrier.traceparent == f"00-{TRACE_ID}-{step}-03"
    assert other.carrier.traceparent == carrier.traceparent
    for item in (child, other):
        assert (item.carrier.tracestate, item.carrier.baggage) == (carrier.tracestate, carrier.baggage)
    assert seen == [{"k": "v", "tenant": "a b"}]


def test_a_cancellation_in_the_frame_of_its_lease_is_heard(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target)

    @worker.workflow("work")
    async def handler() -> None:
        await asyncio.Event().wait()

    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    signal = work.CancelSignal(lease=ref("e"), reason="enough")
    sidecar.say(work.WorkResponse(leases=[lease("e")], cancels=[signal]))
    assert finish(sidecar).cancelled.reason == "enough"
