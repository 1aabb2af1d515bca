"""The client and worker against a real sidecar, on both stores."""

import asyncio
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from sidecar.client import (
    AlreadyFinalizedError,
    ConflictError,
    Deadlines,
    Enqueue,
    ExecutionCancelledError,
    ExecutionFailedError,
    NotFoundError,
    OutputMissingError,
    RetryError,
    RetryPolicy,
    Run,
    State,
    SyncClient,
    SyncHandle,
    Worker,
)
from tests.client.conftest import Serve
from tests.client.fake import WAIT
from tests.conftest import StartSidecar
from tests.processes import SidecarProcess

pytestmark = pytest.mark.conformance


@pytest.fixture
def namespace() -> str:
    return f"ns-{uuid.uuid4()}"


@pytest.fixture
def client(sidecar: SidecarProcess, namespace: str) -> Iterator[SyncClient]:
    with SyncClient(sidecar.target, namespace=namespace) as opened:
        yield opened


@pytest.fixture
def work(sidecar: SidecarProcess, namespace: str, serve: Serve) -> Callable[..., None]:
    """Serves one handler as `audit`."""

    def begin(handler: Callable[..., object], *, concurrency: int = 4) -> None:
        worker = Worker(sidecar.target, namespace=namespace, concurrency=concurrency)
        worker.workflow("audit")(handler)
        serve(worker)

    return begin


def test_work_comes_back_with_its_output(client: SyncClient, work: Callable[..., None]) -> None:
    async def handler(run: Run, payload: dict[str, int]) -> dict[str, object]:
        async with run.step("count"):
            return {"n": payload["n"] + 1, "attempt": run.attempt}

    work(handler)
    handle = client.enqueue("audit", {"n": 1}, request_id="r")
    assert handle.result(WAIT) == {"n": 2, "attempt": 1}
    record = handle.get()
    assert (record.request_id, record.state, record.steps.last_completed) == ("r", State.SUCCEEDED, "count")
    assert record.trace_id == handle.trace_id


def test_an_error_comes_back_unchanged(client: SyncClient, work: Callable[..., None]) -> None:
    def handler() -> None:
        raise LookupError("no\x00such\nmodule")

    work(handler)
    with pytest.raises(ExecutionFailedError) as caught:
        client.enqueue("audit").result(WAIT)
    assert caught.value.type == "LookupError"
    assert caught.value.message.startswith("no")
    assert "in handler" in caught.value.stack


def test_a_lost_output_leaves_a_success(client: SyncClient, work: Callable[..., None]) -> None:
    work(object)
    with pytest.raises(OutputMissingError):
        client.enqueue("audit").result(WAIT)


def test_an_attempt_that_asks_for_it_is_repeated(client: SyncClient, work: Callable[..., None]) -> None:
    def handler(run: Run) -> int:
        if run.attempt < 3:
            raise RetryError(timedelta(milliseconds=1))
        return run.attempt

    work(handler)
    assert client.enqueue("audit", retry=RetryPolicy(max_attempts=3)).result(WAIT) == 3


def test_a_deadline_is_a_timeout_not_a_cancellation(client: SyncClient, work: Callable[..., None]) -> None:
    async def handler() -> None:
        await asyncio.Event().wait()

    work(handler)
    handle = client.enqueue("audit", deadlines=Deadlines(attempt=timedelta(milliseconds=200)))
    with pytest.raises(ExecutionFailedError) as caught:
        handle.result(WAIT)
    assert caught.value.type == "timeout"


def test_a_cancellation_reaches_the_handler(client: SyncClient, work: Callable[..., None]) -> None:
    begun = threading.Event()

    async def handler() -> None:
        begun.set()
        await asyncio.Event().wait()

    work(handler)
    handle = client.enqueue("audit")
    assert begun.wait(WAIT)
    answer = handle.cancel("enough")
    assert (answer.settled, answer.worker_told) == (False, True)
    with pytest.raises(ExecutionCancelledError, match="enough"):
        handle.result(WAIT)
    assert handle.cancel("again").settled


def test_what_has_ended_is_not_cancelled_any_more(client: SyncClient, work: Callable[..., None]) -> None:
    work(lambda: 1)
    handle = client.enqueue("audit")
    assert handle.result(WAIT) == 1
    with pytest.raises(AlreadyFinalizedError) as refused:
        handle.cancel()
    assert refused.value.execution is not None
    assert refused.value.execution.state is State.SUCCEEDED


def test_a_repeat_is_the_first_and_another_work_is_a_conflict(client: SyncClient) -> None:
    first = client.enqueue("audit", 1, idempotency_key="k")
    again = client.enqueue("audit", 1, idempotency_key="k")
    assert (again.execution_id, again.existing, first.existing) == (first.execution_id, True, False)
    with pytest.raises(ConflictError) as caught:
        client.enqueue("audit", 2, idempotency_key="k")
    assert caught.value.reason == "IDEMPOTENCY_CONFLICT"
    with pytest.raises(NotFoundError):
        client.get("never")


def test_many_are_accepted_listed_and_traced(client: SyncClient, work: Callable[..., None]) -> None:
    accepted = client.enqueue_many(Enqueue("audit", n) for n in range(250))
    handles = [each for each in accepted if isinstance(each, SyncHandle)]
    assert len({each.execution_id for each in handles}) == 250
    work(lambda payload: payload)
    assert [each.result(WAIT) for each in handles] == list(range(250))
    listed = list(client.list(states=[State.SUCCEEDED], page_size=100))
    assert {each.execution_id for each in listed} == {each.execution_id for each in handles}
    names = {span.name for span in client.trace(handles[0].execution_id).spans}
    assert names == {"send default", "process default", "execution audit"}
    assert client.verify().violations == ()
    assert client.verify().states["succeeded"] == 250


def test_a_watch_follows_to_the_end(client: SyncClient, work: Callable[..., None]) -> None:
    handle = client.enqueue("audit")
    changes = handle.watch()
    assert next(changes).state is State.QUEUED
    work(lambda: None)
    assert [change.state for change in changes][-1] is State.SUCCEEDED


def test_a_child_hangs_under_the_step_that_enqueued_it(
    sidecar: SidecarProcess, namespace: str, client: SyncClient, serve: Serve
) -> None:
    worker = Worker(sidecar.target, namespace=namespace, concurrency=2)

    @worker.workflow("parent")
    def parent(run: Run) -> str:
        with run.step("hand on"):
            return client.enqueue("child").execution_id

    @worker.workflow("child")
    def child(run: Run) -> str:
        return run.correlation.parent_execution_id

    serve(worker)
    handle = client.enqueue("parent", request_id="r")
    child_id = handle.result(WAIT)
    assert isinstance(child_id, str)
    assert client.handle(child_id).result(WAIT) == handle.execution_id
    assert client.get(child_id).request_id == "r"
    steps = [span for span in client.trace(handle.execution_id).spans if span.name == "hand on"]
    sends = [span for span in client.trace(child_id).spans if span.name == "send default"]
    assert [send.parent_span_id for send in sends] == [step.span_id for step in steps]


@pytest.mark.chaos
def test_a_sidecar_killed_while_handlers_run_loses_nothing(start_sidecar: StartSidecar, serve: Serve) -> None:
    sidecar = start_sidecar()
    sidecar.start()
    go, begun = threading.Event(), threading.Semaphore(0)
    worker = Worker(sidecar.target, concurrency=8)

    @worker.workflow("audit")
    def handler(run: Run, payload: int) -> int:
        with run.step("wait"):
            begun.release()
            go.wait(WAIT)
        return payload

    serve(worker)
    with SyncClient(sidecar.target) as client:
        accepted = client.enqueue_many(Enqueue("audit", n) for n in range(40))
        handles = [each for each in accepted if isinstance(each, SyncHandle)]
        for _ in range(8):
            assert begun.acquire(timeout=WAIT)
        sidecar.send(signal.SIGKILL)
        sidecar.await_death()
        go.set()
        sidecar.start()
        assert [each.result(60) for each in handles] == list(range(40))
        records = [each.get() for each in handles]
        assert {(each.attempts, each.steps.last_completed) for each in records} == {(1, "wait")}
        assert client.verify().violations == ()
