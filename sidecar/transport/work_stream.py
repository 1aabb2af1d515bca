"""One worker's stream: frames of many in both directions, committed before they are answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration

from sidecar.core.commands import Command, Delivery, Noted, Released, Renewed, Settled
from sidecar.core.dispatch import Dispatcher, Session
from sidecar.core.model import Execution
from sidecar.core.ports import Clock, Ledger
from sidecar.core.refusals import RefusalError, Refused, StoreUnavailableError
from sidecar.transport import leases, responses
from sidecar.transport.errors import refusal, refused_for
from sidecar.transport.fields import bounded_int, refuse
from sidecar.v1 import worker_service_pb2 as work

MAX_FRAMES_IN_FLIGHT = 64

LeaseRef = work.LeaseRef
Item = TypeVar("Item", work.Heartbeat, work.StepReport, work.ReleaseLease, work.Settlement)


class WorkStream:
    """Joins what there is to say into one frame per write; reads on while commits are under way."""

    def __init__(self, ledger: Ledger, dispatcher: Dispatcher, clock: Clock) -> None:
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._clock = clock
        self._frame = work.WorkResponse()
        self._ready = asyncio.Event()
        self._room = asyncio.Semaphore(MAX_FRAMES_IN_FLIGHT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: Session | None = None
        self._closed = False
        self._draining = False

    def push(self, deliveries: Sequence[Delivery]) -> bool:
        """Hand over leases; False if the stream has ended."""
        if self._closed:
            return False
        self._frame.leases.extend(responses.lease(d) for d in deliveries)
        self._ready.set()
        return True

    def ask_to_cancel(self, execution: Execution) -> bool:
        """Pass a cancellation on; False if the stream has ended."""
        if self._closed or execution.cancel is None:
            return False
        left = max(0, execution.cancel.grace_until - self._clock.now())
        signal = self._frame.cancels.add(lease=responses.held_ref(execution), reason=execution.cancel.reason)
        signal.grace.CopyFrom(Duration(seconds=left // 10**9, nanos=left % 10**9))
        self._ready.set()
        return True

    def drain(self) -> None:
        """Tell the worker that no more leases come here, and end the stream: it holds on to its leases."""
        self._frame.draining = self._draining = True
        self._ready.set()

    async def open(self, hello: work.Hello, declare: leases.Declare, welcome: work.Welcome) -> None:
        """Begin the session; what the worker no longer holds is in the welcome.

        Raises:
            RefusalError: if the hello is malformed.
        """
        session = leases.session(hello, declare, self)
        held = [leases.lease_ref("hello.held", ref) for ref in hello.held]
        lost = await self._dispatcher.open(session, held)
        self._session = session
        welcome.lost.extend(responses.lease_ref(ref) for ref in lost)
        self._frame.welcome.CopyFrom(welcome)
        self._ready.set()
        self._dispatcher.grant(session, hello.credits)

    def close(self) -> None:
        """End the session; commits under way go on, and what was not pushed is released."""
        self._closed = True
        if self._session is not None:
            self._dispatcher.close(self._session)

    async def frames(self, reader: "asyncio.Task[None]") -> AsyncIterator[work.WorkResponse]:
        """Yield a frame whenever there is something to say, until the worker or the sidecar is done."""
        reader.add_done_callback(lambda _: self._ready.set())
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self._frame.ByteSize():
                frame, self._frame = self._frame, work.WorkResponse()
                yield frame
            elif reader.done() or self._draining:
                if not self._tasks:
                    if reader.done():
                        reader.result()
                    return
                await asyncio.wait(self._tasks)
                self._ready.set()

    async def take(self, frame: work.WorkRequest) -> None:
        """Hand a frame's commands in, in order; their answers go out with a later frame.

        A malformed item is refused alone, so that one bad report does not end a worker's stream.

        Raises:
            RefusalError: if the frame itself is out of order.
        """
        if self._session is None or frame.HasField("hello"):
            refuse("hello", "a second one" if self._session else None, "must come once, in the first frame")
        bounded_int("credits", frame.credits, 0, leases.MAX_CREDITS)
        await self._hand_in(frame.heartbeats, leases.renew, self._renewed)
        await self._hand_in(frame.steps, leases.report_step, self._noted)
        await self._hand_in(frame.releases, leases.release, self._noted)
        await self._hand_in(frame.settlements, leases.settle, self._settled)
        if frame.credits:
            self._dispatcher.grant(self._session, frame.credits)

    async def _hand_in(
        self,
        items: Sequence[Item],
        parse: Callable[[Item], Command[Any]],
        say: Callable[[LeaseRef, Any], None],
    ) -> None:
        good: list[tuple[LeaseRef, Command[Any]]] = []
        for item in items:
            try:
                good.append((item.lease, parse(item)))
            except RefusalError as error:
                say(item.lease, error.refused)
                self._ready.set()
        if good:
            await self._room.acquire()
            task = asyncio.create_task(self._run(good, say))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(
        self, batch: list[tuple[LeaseRef, Command[Any]]], say: Callable[[LeaseRef, Any], None]
    ) -> None:
        try:
            answers = await _answers(self._ledger.submit_many([command for _, command in batch]), len(batch))
        finally:
            self._room.release()
        for (ref, _), answer in zip(batch, answers, strict=True):
            say(ref, answer)
        self._ready.set()

    def _renewed(self, ref: LeaseRef, answer: Renewed | Refused) -> None:
        if isinstance(answer, Refused):
            self._frame.refused.add(lease=ref, refused=refusal(answer))
            return
        self._frame.renewals.add(lease=ref).ttl.FromTimedelta(answer.ttl)
        if answer.execution.cancel is not None:
            self.ask_to_cancel(answer.execution)

    def _noted(self, ref: LeaseRef, answer: Noted | Released | Refused) -> None:
        """A step or release that went well needs no answer."""
        if isinstance(answer, Refused):
            self._frame.refused.add(lease=ref, refused=refusal(answer))

    def _settled(self, ref: LeaseRef, answer: Settled | Refused) -> None:
        if isinstance(answer, Refused):
            self._frame.settled.add(lease=ref, refused=refusal(answer))
        else:
            settled = responses.execution(answer.execution)
            self._frame.settled.add(lease=ref, settled=settled, replayed=answer.replayed)


async def _answers(submitted: Awaitable[list[Any]], count: int) -> list[Any]:
    """Return the answers, or the same refusal for each command if the store took none."""
    try:
        return await submitted
    except (RefusalError, StoreUnavailableError) as error:
        return [refused_for(error)] * count
