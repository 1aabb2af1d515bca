"""The dispatcher: gives ready work to workers with free slots, woken by enqueues and credits."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from sidecar import failpoints
from sidecar.core.catalog import EMPTY, Catalog
from sidecar.core.commands import Claim, Claimed, LeaseRef, Release
from sidecar.core.lifecycle import State
from sidecar.core.model import Execution
from sidecar.core.ports import Change, Ledger, Reader
from sidecar.core.refusals import StoreUnavailableError
from sidecar.core.sessions import Lane, Session


class Dispatcher:
    """All sessions of one process. An idle one does nothing but wait for a wake-up."""

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        *,
        on_error: Callable[[Exception], None] = lambda _: None,
        catalog: Callable[[], Catalog] = lambda: EMPTY,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._catalog = catalog
        self._on_error = on_error
        self._lanes: dict[Lane, dict[Session, None]] = {}
        self._workers: dict[tuple[str, str], Session] = {}
        self._timers: dict[Lane, asyncio.TimerHandle] = {}
        self._draining = False

    @property
    def catalog(self) -> Catalog:
        """What is defined now, as claims look at it."""
        return self._catalog()

    @property
    def sessions(self) -> int:
        """How many workers are connected."""
        return len(self._workers)

    async def open(self, session: Session, held: Sequence[LeaseRef]) -> list[LeaseRef]:
        """Begin a session; what this worker was pushed but never received is released, uncounted.

        Returns the leases of `held` that are no longer the worker's.
        """
        former = self._workers.get((session.namespace, session.worker_id))
        if former is not None:
            self.close(former)
        self._workers[session.namespace, session.worker_id] = session
        running = await self._reader.held_by(session.namespace, session.worker_id)
        refs = {_ref(execution) for execution in running}
        await self.give_back(sorted(refs.difference(held), key=lambda ref: ref.fence))
        if session.open:
            for lane in session.lanes():
                self._lanes.setdefault(lane, {})[session] = None
        return [ref for ref in held if ref not in refs]

    def close(self, session: Session) -> None:
        """End a session; its leases stay with the worker until they expire."""
        session.open = False
        for lane in session.lanes():
            self._leave(lane, session)
        if self._workers.get((session.namespace, session.worker_id)) is session:
            del self._workers[session.namespace, session.worker_id]

    def retire(self, session: Session) -> None:
        """Claim nothing more for a worker that is leaving; it stays to settle what it holds."""
        session.leaving, session.credits = True, 0

    def grant(self, session: Session, slots: int) -> None:
        """Take note of free slots and look for work to fill them."""
        if not session.leaving:
            session.credits += slots
            self._feed(session)

    def wake(self, lane: Lane, count: int = 1) -> None:
        """Have enough sessions look at a lane that `count` executions were put on."""
        if self._draining:
            return
        sessions = self._lanes.get(lane, {})
        for session in list(sessions):
            if session.credits > 0 and session.task is None:
                sessions[session] = sessions.pop(session)
                count -= session.credits
                self._feed(session)
            else:
                session.hungry = True
            if count <= 0:
                return

    def wake_all(self) -> None:
        """Have every session with room look for work: the net under wake-ups of other processes."""
        for session in list(self._workers.values()):
            self._feed(session)

    def changed(self, changes: Sequence[Change]) -> None:
        """Wake lanes that a commit put work on; work for later sets a timer."""
        for change in changes:
            lane = (change.key[0], change.queue, change.workflow_id)
            if change.state is not State.RUNNING:
                self._tell_room(lane)
            if change.state is State.QUEUED:
                if change.run_at <= change.now:
                    self.wake(lane)
                elif lane in self._lanes:
                    self._wake_in(lane, change.run_at - change.now)

    def _tell_room(self, lane: Lane) -> None:
        """Wake whoever waits for the room that an execution of this lane has left under a limit."""
        catalog = self._catalog()
        if catalog.is_capped and catalog.rule(*lane).caps:
            for other in list(self._lanes):
                if other[0] == lane[0] and (other[1] == lane[1] or other[2] == lane[2]):
                    self.wake(other)

    def tell_cancel(self, execution: Execution, grace_left: timedelta) -> bool:
        """Pass a cancellation to the worker that runs the execution, if it is connected here."""
        attempt = execution.attempt
        if attempt is None or execution.state is not State.RUNNING:
            return False
        session = self._workers.get((execution.correlation.namespace, attempt.worker_id))
        return session is not None and session.sink.ask_to_cancel(execution, grace_left)

    async def give_back(self, refs: Sequence[LeaseRef]) -> None:
        """Release leases that no worker saw; those for which that fails too will expire."""
        try:
            answers = await self._ledger.submit_many([Release(ref) for ref in refs])
        except StoreUnavailableError as error:
            self._on_error(error)
            return
        for answer in answers:
            if isinstance(answer, Exception):
                self._on_error(answer)

    def drain(self) -> None:
        """Claim nothing more."""
        self._draining = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _feed(self, session: Session) -> None:
        session.hungry = True
        if session.task is None and session.credits > 0 and session.open and not self._draining:
            session.task = asyncio.create_task(self._claim_while_hungry(session))

    async def _claim_while_hungry(self, session: Session) -> None:
        try:
            while session.hungry and session.credits > 0 and session.open and not self._draining:
                session.hungry = False
                await self._claim(session)
        finally:
            session.task = None
            if session.hungry:
                self._pass_on(session)

    def _pass_on(self, session: Session) -> None:
        """Have others look at what a session was woken for and did not get to."""
        session.hungry = False
        for lane in session.lanes():
            self.wake(lane)

    async def _claim(self, session: Session) -> None:
        reserved, session.credits = session.credits, 0
        claimed = await self._submit(session, reserved)
        if not session.leaving:
            session.credits += reserved - len(claimed.deliveries)
        if claimed.deliveries:
            failpoints.hit("claim.before_push")
            if not (session.open and session.sink.push(claimed.deliveries)):
                await self.give_back([d.ref for d in claimed.deliveries])
        if not claimed.exhausted:
            session.hungry = True
        elif claimed.next_run_at is not None:
            for lane in session.lanes():
                self._wake_in(lane, claimed.next_run_at - claimed.now)

    async def _submit(self, session: Session, limit: int) -> Claimed:
        command = Claim(
            session.namespace,
            session.worker_id,
            session.resource,
            session.queues,
            session.workflows,
            limit,
            self._catalog(),
        )
        try:
            return await self._ledger.submit(command)
        except Exception as error:  # whatever it was, the worker's slots must not be forgotten
            self._on_error(error)
            await asyncio.sleep(0.5)
            return Claimed((), exhausted=False, next_run_at=None, now=0)

    def _wake_in(self, lane: Lane, nanoseconds: int) -> None:
        loop = asyncio.get_running_loop()
        rings_at = loop.time() + max(0.005, nanoseconds / 1e9)
        known = self._timers.get(lane)
        if known is not None:
            if known.when() <= rings_at:
                return
            known.cancel()
        self._timers[lane] = loop.call_at(rings_at, self._ring, lane)

    def _ring(self, lane: Lane) -> None:
        self._timers.pop(lane, None)
        for session in list(self._lanes.get(lane, {})):
            self._feed(session)

    def _leave(self, lane: Lane, session: Session) -> None:
        """Take a session off a lane; one that nobody takes from keeps no timer."""
        sessions = self._lanes.get(lane, {})
        sessions.pop(session, None)
        if not sessions:
            self._lanes.pop(lane, None)
            if (timer := self._timers.pop(lane, None)) is not None:
                timer.cancel()


def _ref(execution: Execution) -> LeaseRef:
    attempt = execution.attempt
    return LeaseRef(execution.key, attempt.token if attempt else b"", execution.fence)
