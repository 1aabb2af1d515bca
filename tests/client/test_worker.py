"""A worker's life: what it says of itself, its slots, its drains, and handlers of every shape."""

import asyncio
import collections.abc
import functools
import os
import queue
import signal
import subprocess
import sys
import threading

import grpc
import pytest

from sidecar.client import InvalidArgumentError, Run, Worker
from sidecar.client.resource import resource
from sidecar.client.workflows import workflow
from sidecar.v1 import worker_service_pb2 as work
from tests.client.conftest import Serve
from tests.client.fake import WAIT, Conversation, FakeSidecar, lease, ref


def audit_module() -> None:
    """A handler."""


def test_the_hello_says_who_the_worker_is(
    fake: FakeSidecar, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "auditor")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=1%2C2,service.name=not-this,broken")
    worker = Worker(
        fake.target, queues=["q", "r"], concurrency=7, namespace="n", resource={"host.name": "here"}
    )
    worker.workflow("a")(lambda: None)
    worker.workflow()(audit_module)
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    hello = sidecar.hello
    assert (hello.namespace, list(hello.queues), hello.credits) == ("n", ["q", "r"], 7)
    assert list(hello.workflows) == ["a", "audit_module"]
    assert hello.worker_id == worker.worker_id
    assert hello.sdk.startswith("execution-sidecar-python/")
    assert dict(hello.resource) == {
        "host.name": "here",
        "service.instance.id": worker.worker_id,
        "service.name": "auditor",
        "service.version": "1,2",
    }


def test_without_settings_the_resource_still_names_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    assert resource("w", {"password": "secret"}) == {
        "service.instance.id": "w",
        "service.name": "unknown_service:python",
    }


def test_slots_are_given_out_once_and_again_when_they_are_free(fake: FakeSidecar, serve: Serve) -> None:
    worker, go = Worker(fake.target, concurrency=2), threading.Event()
    worker.workflow("work")(lambda: go.wait(WAIT))
    serve(worker)
    sidecar = fake.conversation()
    assert sidecar.hello.credits == 2
    sidecar.welcome()
    sidecar.deliver(lease("e"))
    sidecar.cut()
    again = fake.conversation()
    assert again.hello.credits == 1
    again.welcome()
    again.deliver(lease("f"))
    go.set()
    freed = 0
    for _ in range(2):
        frame = again.expect(lambda f: f if f.settlements else None)
        freed += frame.credits
        for settlement in frame.settlements:
            again.settle(settlement)
        if freed == 2:
            break
    assert freed == 2


def test_a_lease_for_an_unknown_workflow_is_given_back(fake: FakeSidecar, serve: Serve) -> None:
    worker = Worker(fake.target)
    worker.workflow("work")(lambda: None)
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    sidecar.deliver(lease("e", "other"))
    assert sidecar.expect(lambda f: list(f.releases) or None) == [work.ReleaseLease(lease=ref("e"))]


def test_a_lease_that_is_pushed_twice_runs_once(fake: FakeSidecar, serve: Serve) -> None:
    worker, go, runs = Worker(fake.target), threading.Event(), queue.SimpleQueue[str]()

    @worker.workflow("work")
    def handler(run: Run) -> None:
        runs.put(run.execution_id)
        go.wait(WAIT)

    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    sidecar.deliver(lease("e"), lease("e"), lease("f"))
    assert {runs.get(timeout=WAIT), runs.get(timeout=WAIT)} == {"e", "f"}
    go.set()
    for _ in range(2):
        sidecar.settle(sidecar.settlement())
    assert runs.empty()


def test_a_draining_sidecar_is_left_and_joined_again_with_what_runs(fake: FakeSidecar, serve: Serve) -> None:
    worker, go = Worker(fake.target), threading.Event()
    worker.workflow("work")(lambda: go.wait(WAIT))
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    sidecar.deliver(lease("e"))
    sidecar.say(work.WorkResponse(draining=True))
    again = fake.conversation()
    assert list(again.hello.held) == [ref("e")]
    again.welcome()
    go.set()
    settlement = again.settlement()
    again.settle(settlement)
    assert settlement.lease == ref("e")


def test_leaving_finishes_what_runs_and_gives_back_the_rest(fake: FakeSidecar) -> None:
    go = threading.Event()

    async def work_a_while() -> list[str]:
        done: list[str] = []
        begun = asyncio.Event()
        worker = Worker(fake.target, concurrency=5)

        @worker.workflow("work")
        async def handler(run: Run) -> None:
            begun.set()
            await asyncio.to_thread(go.wait, WAIT)
            done.append(run.execution_id)

        async with worker:
            sidecar = await asyncio.to_thread(fake.conversation)
            sidecar.welcome()
            await worker.connected()
            sidecar.deliver(lease("e"))
            await begun.wait()
            watching = asyncio.create_task(asyncio.to_thread(see_out, sidecar))
        await watching
        return done

    def see_out(sidecar: Conversation) -> None:
        sidecar.deliver(lease("late"))
        released = sidecar.expect(lambda f: list(f.releases) or None)
        assert [each.lease for each in released] == [ref("late")]
        go.set()
        sidecar.settle(sidecar.settlement())

    assert asyncio.run(work_a_while()) == ["e"]


def test_a_worker_that_leaves_says_so_at_once_and_again_after_a_reconnect(fake: FakeSidecar) -> None:
    async def leave() -> None:
        begun, go = asyncio.Event(), asyncio.Event()
        worker = Worker(fake.target, concurrency=5)

        @worker.workflow("work")
        async def handler() -> None:
            begun.set()
            await go.wait()

        async with worker:
            sidecar = await asyncio.to_thread(fake.conversation)
            sidecar.welcome()
            sidecar.deliver(lease("e"))
            await begun.wait()
            loop = asyncio.get_running_loop()
            watching = asyncio.create_task(
                asyncio.to_thread(see_out, sidecar, lambda: loop.call_soon_threadsafe(go.set))
            )
        await watching

    def see_out(sidecar: Conversation, let_go: collections.abc.Callable[[], object]) -> None:
        frame = sidecar.expect(lambda f: f if f.draining else None)
        assert (frame.credits, list(frame.settlements)) == (0, [])
        sidecar.cut()
        again = fake.conversation()
        assert (again.first.draining, again.hello.credits, list(again.hello.held)) == (True, 0, [ref("e")])
        again.welcome()
        let_go()
        again.settle(again.settlement())

    asyncio.run(leave())


def test_a_silent_connection_is_replaced_and_the_new_one_names_what_is_held(
    fake: FakeSidecar, serve: Serve
) -> None:
    worker, go = Worker(fake.target), threading.Event()
    worker.workflow("work")(lambda: go.wait(WAIT))
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome(ttl=0.9)
    sidecar.deliver(lease("e"))
    again = fake.conversation()
    assert list(again.hello.held) == [ref("e")]
    assert again.peer != sidecar.peer
    again.welcome()
    go.set()
    again.settle(again.settlement())


def test_a_connection_on_which_renewals_come_is_kept(fake: FakeSidecar, serve: Serve) -> None:
    worker, go = Worker(fake.target), threading.Event()
    worker.workflow("work")(lambda: go.wait(WAIT))
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome(ttl=0.9)
    sidecar.deliver(lease("e"))
    for _ in range(6):
        sidecar.expect(lambda f: list(f.heartbeats) or None)
        sidecar.say(work.WorkResponse(renewals=[work.Renewal(lease=ref("e"))]))
    assert fake.conversations.empty()
    go.set()
    sidecar.settle(sidecar.settlement())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
        (grpc.StatusCode.UNAVAILABLE, "OVERLOADED"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
def test_a_release_that_was_not_taken_is_repeated(
    fake: FakeSidecar, serve: Serve, code: grpc.StatusCode, reason: str
) -> None:
    worker = Worker(fake.target)
    worker.workflow("work")(lambda: None)
    serve(worker)
    sidecar = fake.conversation()
    sidecar.welcome()
    sidecar.deliver(lease("e", "other"))
    for _ in range(3):
        assert sidecar.expect(lambda f: list(f.releases) or None) == [work.ReleaseLease(lease=ref("e"))]
        sidecar.refuse_lease(ref("e"), code, reason)
    sidecar.expect(lambda f: list(f.releases) or None)


def test_past_the_grace_handlers_are_told_to_stop(fake: FakeSidecar) -> None:
    async def leave() -> work.Settlement:
        begun = asyncio.Event()
        worker = Worker(fake.target, grace=0.05)

        @worker.workflow("work")
        async def handler() -> None:
            begun.set()
            await asyncio.Event().wait()

        async with worker:
            sidecar = await asyncio.to_thread(fake.conversation)
            sidecar.welcome()
            sidecar.deliver(lease("e"))
            await begun.wait()
            answering = asyncio.create_task(asyncio.to_thread(sidecar.settlement))
            answering.add_done_callback(lambda task: sidecar.settle(task.result()))
        return await answering

    assert asyncio.run(leave()).failed.error.type == "worker_shutdown"


WORKER = """
import sys, time
from sidecar.client import Worker

worker = Worker(sys.argv[1])

@worker.workflow("work")
async def handler():
    print("begun", flush=True)
    time.sleep(0.3)
    return "done"

worker.run()
print("left")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_even_while_the_loop_is_blocked(fake: FakeSidecar, number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, fake.target], stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
    )
    sidecar = fake.conversation()
    sidecar.welcome()
    sidecar.deliver(lease("e"))
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    settlement = sidecar.settlement()
    sidecar.settle(settlement)
    out, _ = process.communicate(timeout=WAIT)
    assert settlement.succeeded.output == b'"done"'
    assert (process.returncode, out) == (0, "left\n")


def test_a_worker_whose_description_is_refused_says_so(fake: FakeSidecar) -> None:
    fake.hello_refused = True
    worker = Worker(fake.target)
    worker.workflow("work")(lambda: None)
    with pytest.raises(InvalidArgumentError, match="staged"):
        worker.run()


def test_a_worker_without_handlers_does_not_start(fake: FakeSidecar) -> None:
    with pytest.raises(ValueError, match="at least one workflow"):
        Worker(fake.target).run()


def test_a_workflow_has_one_handler() -> None:
    worker = Worker()
    worker.workflow("work")(lambda: None)
    with pytest.raises(ValueError, match="has a handler already"):
        worker.workflow("work")(lambda: None)


class Callable:
    async def __call__(self, payload: object) -> object:
        return payload


@pytest.mark.parametrize(
    ("function", "is_async", "wants_run", "wants_payload"),
    [
        (lambda: None, False, False, False),
        (lambda payload: payload, False, False, True),
        (lambda ctx: ctx, False, True, False),
        (lambda a, b: (a, b), False, True, True),
        (lambda run, payload=None: (run, payload), False, True, True),
        (Callable(), True, False, True),
        (functools.partial(lambda a, b, c: (a, b, c), 1), False, True, True),
    ],
)
def test_a_handler_is_called_by_its_signature(
    function: object, is_async: bool, wants_run: bool, wants_payload: bool
) -> None:
    assert callable(function)
    known = workflow("w", function)
    found = (known.is_async, known.wants_run, known.wants_payload)
    assert found == (is_async, wants_run, wants_payload)


def test_a_handler_of_three_arguments_is_refused() -> None:
    with pytest.raises(TypeError, match="not 3 arguments"):
        workflow("w", lambda a, b, c: (a, b, c))
