"""What callers learn: outcomes, changes, pages, and errors with all that came along."""

import asyncio
import multiprocessing
import os
import typing
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from sidecar.client import (
    AlreadyFinalizedError,
    Client,
    ExecutionCancelledError,
    ExecutionFailedError,
    ForkedProcessError,
    NotFoundError,
    OutputMissingError,
    SidecarError,
    State,
    SyncClient,
    TimedOutError,
)
from sidecar.client.channel import target_of
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from tests.client.fake import WAIT, FakeSidecar


@pytest.fixture
def client(fake: FakeSidecar) -> Iterator[SyncClient]:
    with SyncClient(fake.target, timeout=5) as opened:
        yield opened


def record(state: pb.ExecutionState.ValueType, version: int = 1, **fields: typing.Any) -> pb.Execution:
    correlation = pb.Correlation(execution_id="e", request_id="r")
    return pb.Execution(correlation=correlation, state=state, version=version, **fields)


def details(*parts: Message) -> bytes:
    packed = []
    for part in parts:
        packed.append(Any())
        packed[-1].Pack(part)
    return status_pb2.Status(code=9, message="m", details=packed).SerializeToString()


def test_a_refusal_brings_reason_metadata_and_the_record_as_it_stands(
    fake: FakeSidecar, client: SyncClient
) -> None:
    info = error_details_pb2.ErrorInfo(reason="ALREADY_FINALIZED", domain="sidecar", metadata={"a": "b"})
    current = pb.CurrentExecution(execution=record(pb.EXECUTION_STATE_SUCCEEDED, 7))
    fake.abort = (grpc.StatusCode.FAILED_PRECONDITION, "it has ended", details(info, current))
    with pytest.raises(AlreadyFinalizedError, match="it has ended") as caught:
        client.get("e")
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_FINALIZED")
    assert error.metadata == {"a": "b"}
    assert error.execution is not None
    assert (error.execution.state, error.execution.version) == (State.SUCCEEDED, 7)


def test_details_that_cannot_be_read_still_leave_the_error(fake: FakeSidecar, client: SyncClient) -> None:
    fake.abort = (grpc.StatusCode.NOT_FOUND, "no such execution", b"\xff\xff")
    with pytest.raises(NotFoundError, match="no such execution"):
        client.get("e")


def test_a_hint_to_come_back_is_honoured_within_the_callers_time(
    fake: FakeSidecar, client: SyncClient
) -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromSeconds(60)
    fake.abort = (grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", details(retry))
    with pytest.raises(TimedOutError, match="busy"):
        client.get("e")


def test_waiting_goes_on_over_an_outage(fake: FakeSidecar, client: SyncClient) -> None:
    fake.faults = [grpc.StatusCode.UNAVAILABLE]
    fake.waits = [
        api.WaitExecutionResponse(execution=record(pb.EXECUTION_STATE_RUNNING)),
        api.WaitExecutionResponse(
            execution=record(
                pb.EXECUTION_STATE_SUCCEEDED, output=b'{"n":1}', output_content_type="application/json"
            ),
            finalized=True,
        ),
    ]
    assert client.handle("e").result() == {"n": 1}


def test_waiting_ends_when_the_time_is_up(fake: FakeSidecar, client: SyncClient) -> None:
    fake.waits = [api.WaitExecutionResponse(execution=record(pb.EXECUTION_STATE_RUNNING))] * 10
    with pytest.raises(TimeoutError, match="still running"):
        client.handle("e").wait(0.001)


@pytest.mark.parametrize(
    ("end", "error", "text"),
    [
        (
            record(pb.EXECUTION_STATE_FAILED, error=pb.ExecutionError(type="a.B", message="m", stack="s")),
            ExecutionFailedError,
            "a.B: m",
        ),
        (record(pb.EXECUTION_STATE_CANCELLED, cancel_reason="enough"), ExecutionCancelledError, "enough"),
        (record(pb.EXECUTION_STATE_SUCCEEDED, output_missing=True), OutputMissingError, "not kept"),
    ],
)
def test_an_outcome_without_a_result_is_raised_unchanged(
    fake: FakeSidecar, client: SyncClient, end: pb.Execution, error: type[Exception], text: str
) -> None:
    fake.waits = [api.WaitExecutionResponse(execution=end, finalized=True)]
    with pytest.raises(error, match=text) as caught:
        client.handle("e").result()
    if isinstance(caught.value, ExecutionFailedError):
        assert (caught.value.type, caught.value.message, caught.value.stack) == ("a.B", "m", "s")
        assert caught.value.execution.request_id == "r"


def test_watching_goes_on_over_a_lost_connection_without_repeats(fake: FakeSidecar) -> None:
    running = record(pb.EXECUTION_STATE_RUNNING, 2)
    ended = record(pb.EXECUTION_STATE_SUCCEEDED, 3)
    fake.watches = [[record(pb.EXECUTION_STATE_QUEUED, 1), running], [running, ended]]

    async def watch() -> list[State]:
        async with Client(fake.target) as client:
            return [each.state async for each in client.handle("e").watch()]

    assert asyncio.run(watch()) == [State.QUEUED, State.RUNNING, State.SUCCEEDED]


def test_a_watch_may_be_left_early(fake: FakeSidecar, client: SyncClient) -> None:
    fake.watches = [[record(pb.EXECUTION_STATE_QUEUED, 1), record(pb.EXECUTION_STATE_RUNNING, 2)]]
    changes = client.watch("e")
    assert next(iter(changes)).state is State.QUEUED
    del changes
    assert fake.left.get(timeout=WAIT) is None


def test_lists_go_on_to_the_next_page(fake: FakeSidecar, client: SyncClient) -> None:
    first, second = record(pb.EXECUTION_STATE_QUEUED, 1), record(pb.EXECUTION_STATE_QUEUED, 2)
    fake.pages = {
        "": api.ListExecutionsResponse(executions=[first], next_page_token="t"),
        "t": api.ListExecutionsResponse(executions=[second]),
    }
    assert [each.version for each in client.list(states=[State.QUEUED])] == [1, 2]


def test_a_cancelled_caller_leaves_no_call_behind(fake: FakeSidecar) -> None:
    async def call() -> bool:
        async with Client(fake.target) as client:
            fake.gate.clear()
            task = asyncio.create_task(client.enqueue("audit"))
            await asyncio.to_thread(fake.arrived.get)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            client._connection.io.post(fake.gate.set)
            return (await client.get("e")).execution_id == "e"

    assert asyncio.run(call())


def test_closing_ends_what_still_waits(fake: FakeSidecar) -> None:
    async def call() -> None:
        client = Client(fake.target)
        fake.gate.clear()
        task = asyncio.create_task(client.enqueue("audit"))
        await asyncio.to_thread(fake.arrived.get)
        await client.close()
        await task

    with pytest.raises(SidecarError, match="closed"):
        asyncio.run(call())
    fake.gate.set()


def test_the_target_is_the_argument_else_the_environment_else_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SIDECAR_TARGET", raising=False)
    assert target_of(None) == "127.0.0.1:50551"
    monkeypatch.setenv("SIDECAR_TARGET", "elsewhere:1")
    assert target_of(None) == "elsewhere:1"
    assert target_of("here:2") == "here:2"


def test_use_after_a_fork_is_refused_clearly(client: SyncClient) -> None:
    assert client.get("e").execution_id == "e"
    ours, theirs = multiprocessing.Pipe(duplex=False)
    if (child := os.fork()) == 0:
        try:
            client.get("e")
        except ForkedProcessError as error:
            theirs.send(str(error))
        finally:
            os._exit(0)
    theirs.close()
    assert "before it forked" in ours.recv()
    os.waitpid(child, 0)
