"""One worker's stream: frames of many in both directions, committed before they are answered."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from sidecar.core.commands import Command, Delivery, Noted, Released, Renewed, Settled
from sidecar.core.dispatch import Dispatcher
from sidecar.core.model import Execution
from sidecar.core.ports import Ledger
from sidecar.core.refusals import RefusalError, Refused, StoreUnavailableError, refused_by
from sidecar.core.sessions import Session
from sidecar.transport import leases, responses
from sidecar.transport.errors import refusal
from sidecar.transport.fields import bounded_int, refuse
from sidecar.transport.outgoing import Outgoing
from sidecar.v1 import worker_service_pb2 as work

MAX_FRAMES_IN_FLIGHT = 64

LeaseRef = work.LeaseRef
Item = TypeVar("Item", work.Heartbeat, work.StepReport, work.ReleaseLease, work.Settlement)
Say = Callable[[LeaseRef, Any], None]
OnBug = Callable[[str, Exception], None]


class WorkStream:
    """Reads on while commits are under way, but not while the worker does not read what it is told."""

    def __init__(self, ledger: Ledger, dispatcher: Dispatcher, on_bug: OnBug) -> None:
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._on_bug = on_bug
        self._outgoing = Outgoing()
        self._flight = asyncio.Semaphore(MAX_FRAMES_IN_FLIGHT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: Session | None = None
        self._closed = False
        self._draining = False

    def push(self, deliveries: Sequence[Delivery]) -> bool:
        """Hand over leases; False if the stream has ended."""
        if self._closed:
            return False
        for delivery in deliveries:
            self._outgoing.lease(delivery)
        return True

    def ask_to_cancel(self, execution: Execution, grace_left: timedelta) -> bool:
        """Pass a cancellation on; False if the stream has ended."""
        signal = responses.cancel_signal(execution, grace_left)
        if self._closed or signal is None:
            return False
        self._outgoing.add(signal)
        return True

    def drain(self) -> None:
        """Tell the worker that no more leases come here, and end the stream: it holds on to its leases."""
        self._draining = True
        self._outgoing.drain()

    async def open(self, hello: work.Hello, declare: leases.Declare, welcome: work.Welcome) -> None:
        """Begin the session; what the worker no longer holds is in the welcome.

        Raises:
            RefusalError: if the hello is malformed.
        """
        held = [leases.lease_ref("hello.held", ref) for ref in hello.held]
        self._session = session = leases.session(hello, declare, self)
        lost = await self._dispatcher.open(session, held)
        welcome.lost.extend(responses.lease_ref(ref) for ref in lost)
        self._outgoing.welcome(welcome)
        self._dispatcher.grant(session, hello.credits)

    async def close(self) -> None:
        """End the session; commits under way go on, and leases that were not handed over are released."""
        self._closed = True
        if self._session is not None:
            self._dispatcher.close(self._session)
        if unsent := self._outgoing.unsent():
            await self._dispatcher.give_back(unsent)

    async def frames(self, reader: "asyncio.Task[None]") -> AsyncIterator[work.WorkResponse]:
        """Yield a frame whenever there is something to say, until the worker or the sidecar is done."""
        ready = self._outgoing.ready
        reader.add_done_callback(lambda _: ready.set())
        while True:
            await ready.wait()
            ready.clear()
            while (frame := self._outgoing.frame()) is not None:
                yield frame
            if reader.done() or self._draining:
                if not self._tasks:
                    if reader.done():
                        reader.result()
                    return
                await asyncio.wait(self._tasks)
                ready.set()

    async def take(self, frame: work.WorkRequest) -> None:
        """Hand a frame's commands in, in order; their answers go out with a later frame.

        A malformed item is refused alone, so that one bad report does not end a worker's stream.

        Raises:
            RefusalError: if the frame itself is out of order.
        """
        if self._session is None or frame.HasField("hello"):
            refuse("hello", "a second one" if self._session else None, "must come once, in the first frame")
        bounded_int("credits", frame.credits, 0, leases.MAX_CREDITS)
        await self._outgoing.room.wait()
        if frame.draining:
            self._dispatcher.retire(self._session)
        batch: list[tuple[LeaseRef, Command[Any], Say]] = []
        self._parse(frame.heartbeats, leases.renew, self._renewed, batch)
        self._parse(frame.steps, leases.report_step, self._noted, batch)
        self._parse(frame.releases, leases.release, self._noted, batch)
        self._parse(frame.settlements, leases.settle, self._settled, batch)
        if batch:
            await self._flight.acquire()
            task = asyncio.create_task(self._run(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if frame.credits:
            self._dispatcher.grant(self._session, frame.credits)

    def _parse(
        self,
        items: Sequence[Item],
        parse: Callable[[Item], Command[Any]],
        say: Say,
        batch: list[tuple[LeaseRef, Command[Any], Say]],
    ) -> None:
        for item in items:
            try:
                batch.append((item.lease, parse(item), say))
            except RefusalError as error:
                say(item.lease, error.refused)

    async def _run(self, batch: Sequence[tuple[LeaseRef, Command[Any], Say]]) -> None:
        """Have a frame's commands applied together: its steps are never refused where its end is taken."""
        try:
            answers = await self._ledger.submit_many([command for _, command, _ in batch])
        except StoreUnavailableError as error:
            answers = [error] * len(batch)
        finally:
            self._flight.release()
        for (ref, _, say), answer in zip(batch, answers, strict=True):
            say(ref, self._refused_by(answer) if isinstance(answer, Exception) else answer)
        self._outgoing.ready.set()

    def _refused_by(self, error: Exception) -> Refused:
        if not isinstance(error, StoreUnavailableError):
            self._on_bug("sidecar.v1.WorkerService/Work", error)
        return refused_by(error)

    def _renewed(self, ref: LeaseRef, answer: Renewed | Refused) -> None:
        if isinstance(answer, Refused):
            self._outgoing.add(work.LeaseRefusal(lease=ref, refused=refusal(answer)))
            return
        self._outgoing.add(responses.renewal(ref, answer))
        self.ask_to_cancel(answer.execution, answer.grace_left)

    def _noted(self, ref: LeaseRef, answer: Noted | Released | Refused) -> None:
        """A step or release that went well needs no answer."""
        if isinstance(answer, Refused):
            self._outgoing.add(work.LeaseRefusal(lease=ref, refused=refusal(answer)))

    def _settled(self, ref: LeaseRef, answer: Settled | Refused) -> None:
        result = work.SettlementResult(lease=ref)
        if isinstance(answer, Refused):
            result.refused.CopyFrom(refusal(answer))
        else:
            result.settled.CopyFrom(responses.brief(answer.execution))
            result.replayed = answer.replayed
        self._outgoing.add(result)
