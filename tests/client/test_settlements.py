"""Every way a handler can end gives exactly one settlement, and it is repeated until it is answered."""

import asyncio
import sys
import threading
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest

from sidecar.client import FinalError, RetryError, Run, RunCancelledError, Worker, settling
from sidecar.client.retrying import Backoff
from sidecar.v1 import worker_service_pb2 as work
from tests.client.conftest import Serve
from tests.client.fake import WAIT, Conversation, FakeSidecar, lease, ref


class OddError(BaseException):
    """Like KeyboardInterrupt, but not the interpreter's own."""


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def raising(error: BaseException) -> Callable[[], object]:
    def handler() -> object:
        raise error

    return handler


def cycle() -> object:
    found: list[object] = []
    found.append(found)
    return found


def both_kinds(function: Callable[[], object]) -> list[Callable[[], object]]:
    async def handler() -> object:
        return function()

    return [function, handler]


def settled_once(
    fake: FakeSidecar, serve: Serve, handler: Callable[..., object], limit: int = 1_000
) -> work.Settlement:
    """Run one delivery through a handler; another one after it proves that the first settled once."""
    worker = Worker(fake.target, concurrency=1)
    worker.workflow("work")(handler)
    worker.workflow("next")(lambda: None)
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome(limit=limit)
    sidecar.deliver(lease("e", payload=b'{"n":1}', content_type="application/json"))
    first = sidecar.settlement()
    sidecar.settle(first)
    sidecar.deliver(lease("n", "next"))
    second = sidecar.settlement()
    sidecar.settle(second)
    assert (first.lease, second.lease) == (ref("e"), ref("n"))
    return first


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, work.Succeeded()),
        (b"\x00raw", work.Succeeded(output=b"\x00raw", content_type="application/octet-stream")),
        (b"", work.Succeeded(content_type="application/octet-stream")),
        ({"a": "ü"}, work.Succeeded(output='{"a":"ü"}'.encode(), content_type="application/json")),
        (object(), work.Succeeded(output_missing=True)),
        (cycle(), work.Succeeded(output_missing=True)),
        (float("nan"), work.Succeeded(output_missing=True)),
        ("\ud800", work.Succeeded(output_missing=True)),
        ("x" * 2_000, work.Succeeded(output_missing=True)),
    ],
    ids=["none", "bytes", "empty", "json", "object", "cycle", "nan", "surrogate", "too-large"],
)
def test_whatever_is_returned_is_a_success(
    fake: FakeSidecar, serve: Serve, value: object, expected: work.Succeeded, is_async: bool
) -> None:
    settlement = settled_once(fake, serve, both_kinds(lambda: value)[is_async])
    assert settlement.succeeded == expected


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("bad"), "ValueError", "bad"),
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (GeneratorExit(), "GeneratorExit", ""),
        (OddError("odd"), "tests.client.test_settlements.OddError", "odd"),
        (MuteError(), "tests.client.test_settlements.MuteError", "<MuteError: its message could not be made"),
        (ValueError("\ud800"), "ValueError", "\\ud800"),
        (StopIteration(1), "StopIteration", "1"),
    ],
    ids=["exception", "exit", "interrupt", "generator", "base", "mute", "surrogate", "stop"],
)
def test_whatever_is_raised_is_a_failure(
    fake: FakeSidecar, serve: Serve, error: BaseException, kind: str, message: str, is_async: bool
) -> None:
    failed = settled_once(fake, serve, both_kinds(raising(error))[is_async]).failed
    if is_async and isinstance(error, StopIteration):
        kind, message = "RuntimeError", "coroutine raised StopIteration"
    assert failed.error.type == kind
    assert failed.error.message.startswith(message)
    assert "raising" in failed.error.stack or "test_settlements" in failed.error.stack
    assert not failed.final
    assert not failed.HasField("retry_after")


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), RunCancelledError("enough")])
def test_giving_up_is_a_cancellation(
    fake: FakeSidecar, serve: Serve, error: BaseException, is_async: bool
) -> None:
    settlement = settled_once(fake, serve, both_kinds(raising(error))[is_async])
    assert settlement.cancelled.reason == str(error)


def test_exit_by_sys_exit_is_one_failure(fake: FakeSidecar, serve: Serve) -> None:
    settlement = settled_once(fake, serve, lambda: sys.exit("done for"))
    assert (settlement.failed.error.type, settlement.failed.error.message) == ("SystemExit", "done for")


def test_a_retry_and_a_final_failure_say_so(fake: FakeSidecar, serve: Serve) -> None:
    def handler(run: Run, payload: object) -> None:
        assert run.payload == payload == {"n": 1}
        try:
            raise ConnectionError("refused")
        except ConnectionError as error:
            raise RetryError(timedelta(seconds=7)) from error

    failed = settled_once(fake, serve, handler).failed
    assert (failed.error.type, failed.error.message) == ("ConnectionError", "refused")
    assert failed.retry_after.seconds == 7
    assert not failed.final


def test_a_run_can_fail_itself(fake: FakeSidecar, serve: Serve) -> None:
    failed = settled_once(fake, serve, lambda ctx: ctx.fail("no", error_type="quota", final=True)).failed
    assert (failed.error.type, failed.error.message, failed.final) == ("quota", "no", True)


def test_final_error_forbids_another_attempt(fake: FakeSidecar, serve: Serve) -> None:
    assert settled_once(fake, serve, raising(FinalError("never"))).failed.final


def test_a_payload_that_does_not_decode_is_a_failure(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target)
    worker.workflow("work")(lambda payload: payload)
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    sidecar.deliver(lease("e", payload=b"{", content_type="application/json"))
    settlement = sidecar.settlement()
    sidecar.settle(settlement)
    assert settlement.failed.error.type == "json.decoder.JSONDecodeError"


def test_a_coroutine_from_a_plain_function_is_a_failure_not_lost_work(
    fake: FakeSidecar, serve: Serve
) -> None:
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    failed = settled_once(fake, serve, lambda: future).failed
    loop.close()
    assert failed.error.type == "TypeError"
    assert "awaitable" in failed.error.message


def test_texts_of_an_error_are_bounded_by_what_the_welcome_said(fake: FakeSidecar, serve: Serve) -> None:
    failed = settled_once(fake, serve, raising(ValueError("é" * 5_000)), limit=1_001).failed
    assert failed.error.message == "é" * 500
    assert len(failed.error.stack.encode()) <= 1


def unanswered(fake: FakeSidecar, serve: Serve) -> tuple[Conversation, work.Settlement]:
    worker = Worker(fake.target, concurrency=2)
    worker.workflow("work")(lambda: {"n": 1})
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    sidecar.deliver(lease("e"))
    return sidecar, sidecar.settlement()


def test_a_reconnect_repeats_an_unanswered_settlement_in_the_same_bytes(
    fake: FakeSidecar, serve: Serve
) -> None:
    sidecar, first = unanswered(fake, serve)
    sidecar.cut()
    again = fake.conversation()
    assert list(again.hello.held) == [ref("e")]
    assert again.hello.credits == 2
    assert again.hello.worker_id == sidecar.hello.worker_id
    again.welcome(lost=[ref("e")])
    second = again.settlement()
    assert second.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    again.settle(second)
    again.cut()
    last = fake.conversation()
    assert list(last.hello.held) == []
    last.welcome()


def test_a_restarted_sidecar_is_found_again(fake: FakeSidecar, serve: Serve) -> None:
    _, first = unanswered(fake, serve)
    fake.stop()
    fake.start()
    again = fake.conversation()
    again.welcome()
    assert again.settlement() == first
    again.settle(first)


def test_a_settlement_that_the_store_did_not_take_is_repeated(fake: FakeSidecar, serve: Serve) -> None:
    sidecar, first = unanswered(fake, serve)
    sidecar.refuse(first, grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert sidecar.settlement() == first
    sidecar.settle(first)


@pytest.mark.parametrize("reason", ["ALREADY_FINALIZED", "LEASE_LOST"])
def test_what_the_core_owns_is_left_alone(fake: FakeSidecar, serve: Serve, reason: str) -> None:
    sidecar, first = unanswered(fake, serve)
    sidecar.refuse(first, grpc.StatusCode.FAILED_PRECONDITION, reason)
    sidecar.deliver(lease("f"))
    second = sidecar.settlement()
    assert second.lease == ref("f")
    sidecar.cut()
    again = fake.conversation()
    assert list(again.hello.held) == [ref("f")]
    again.welcome()
    again.settle(again.settlement())


def test_a_refused_rich_settlement_is_followed_by_a_minimal_one_only_once(
    fake: FakeSidecar, serve: Serve
) -> None:
    sidecar, first = unanswered(fake, serve)
    sidecar.refuse(first, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    minimal = sidecar.settlement()
    assert minimal.lease == first.lease
    assert minimal.succeeded == work.Succeeded(output_missing=True)
    sidecar.refuse(minimal, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    sidecar.cut()
    again = fake.conversation()
    assert list(again.hello.held) == []
    again.welcome()


def test_a_fault_of_the_sidecar_is_waited_out_a_few_times(fake: FakeSidecar, serve: Serve) -> None:
    sidecar, first = unanswered(fake, serve)
    for _ in range(3):
        sidecar.refuse(first, grpc.StatusCode.INTERNAL, "INTERNAL")
        assert sidecar.settlement() == first
    sidecar.settle(first)


def test_a_lasting_fault_ends_in_a_minimal_settlement(
    fake: FakeSidecar, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "MAX_FAULTS", 2)
    sidecar, first = unanswered(fake, serve)
    for _ in range(2):
        sidecar.refuse(first, grpc.StatusCode.INTERNAL, "INTERNAL")
        assert sidecar.settlement() == first
    sidecar.refuse(first, grpc.StatusCode.INTERNAL, "INTERNAL")
    minimal = sidecar.settlement()
    assert minimal.succeeded == work.Succeeded(output_missing=True)
    sidecar.settle(minimal)


def stepping(fake: FakeSidecar, serve: Serve, go: threading.Event) -> Conversation:
    worker = Worker(fake.target)

    @worker.workflow("work")
    def handler(run: Run) -> None:
        with run.step("one"):
            pass
        go.wait(WAIT)

    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    sidecar.deliver(lease("e"))
    sidecar.expect(completed)
    return sidecar


def completed(frame: work.WorkRequest) -> work.WorkRequest | None:
    return frame if any(s.phase == work.STEP_PHASE_COMPLETED for s in frame.steps) else None


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_a_step_that_was_not_taken_is_repeated_while_the_handler_runs(
    fake: FakeSidecar, serve: Serve, code: grpc.StatusCode
) -> None:
    go = threading.Event()
    sidecar = stepping(fake, serve, go)
    for _ in range(2):
        sidecar.refuse_lease(ref("e"), code, code.name)
        again = sidecar.expect(completed)
        assert [(s.sequence, s.name) for s in again.steps] == [(1, "one")]
    go.set()
    sidecar.settle(sidecar.settlement())


def test_a_repeated_settlement_brings_its_steps_along(fake: FakeSidecar, serve: Serve) -> None:
    go = threading.Event()
    sidecar = stepping(fake, serve, go)
    go.set()
    first = sidecar.settlement()
    sidecar.refuse_lease(ref("e"), grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    sidecar.refuse(first, grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    again = sidecar.expect(lambda f: f if f.settlements else None)
    assert [s.phase for s in again.steps] == [work.STEP_PHASE_COMPLETED]
    assert list(again.settlements) == [first]
    sidecar.settle(first)


def test_a_handler_that_ends_while_its_steps_wait_says_them_before_its_settlement(
    fake: FakeSidecar, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "next", lambda *_: 60.0)
    go = threading.Event()
    sidecar = stepping(fake, serve, go)
    sidecar.refuse_lease(ref("e"), grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
    sidecar.deliver(lease("other", "unknown"))
    sidecar.expect(lambda f: list(f.releases) or None)
    go.set()
    last = sidecar.expect(lambda f: f if f.settlements else None)
    assert [s.phase for s in last.steps] == [work.STEP_PHASE_COMPLETED]
    sidecar.settle(last.settlements[0])
