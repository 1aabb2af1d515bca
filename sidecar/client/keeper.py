"""The leases that this worker holds: begun, told to stop, and given back."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from sidecar.client.delivery import Delivery
from sidecar.client.errors import AlreadyFinalizedError, LeaseLostError, NotFoundError, SidecarError
from sidecar.client.handlers import Handlers
from sidecar.client.io_thread import IoThread
from sidecar.client.outgoing import Outgoing
from sidecar.client.returns import Returns
from sidecar.client.roster import Roster
from sidecar.client.settling import Settler
from sidecar.client.status import error_of_refusal
from sidecar.client.workflows import Workflow
from sidecar.conventions import names
from sidecar.v1 import worker_service_pb2 as work

LEASE_LOST: Final = "lease_lost"
_LOG: Final = logging.getLogger(__name__)


class Keeper:
    """Lives on the I/O thread; step reports of handlers cross over to it."""

    def __init__(
        self,
        io: IoThread,
        workflows: Mapping[str, Workflow],
        concurrency: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.roster = Roster(concurrency)
        self.outgoing = Outgoing(self.roster.credits)
        self._io = io
        self._workflows = workflows
        self._returns = Returns(io, self.outgoing)
        self._settler = Settler(io, self.roster, self.outgoing)
        self._handlers = Handlers(loop, concurrency, self._settler.ended)
        self._max_output_bytes = 0

    def reconnecting(self) -> int:
        """Forget what was meant for a former stream; return the credits for the next."""
        self.outgoing.clear()
        self._returns.clear()
        return self.roster.reconnecting()

    def welcomed(self, welcome: work.Welcome) -> None:
        """Let go of what is no longer ours, and say again what a former stream may have lost."""
        self._max_output_bytes = welcome.max_output_bytes
        for ref in welcome.lost:
            self._lose(ref, "not ours any more after a reconnect")
        self._settler.repeat_all()

    def take(self, frame: work.WorkResponse) -> None:
        """Act on what the sidecar says; a lease comes before the cancellation that is meant for it."""
        for result in frame.settled:
            self._settler.answered(result)
        for refusal in frame.refused:
            self._refused(refusal)
        for lease in frame.leases:
            self._deliver(lease)
        for signal in frame.cancels:
            self._cancel(signal)

    def withdraw(self) -> None:
        """Take no more, say so, and give back what has not begun."""
        self.roster.draining = True
        self.outgoing.withdraw()
        for delivery in self.roster:
            if delivery.running and delivery.seize():
                self._give_back(delivery)

    def interrupt_all(self, reason: str) -> None:
        """Tell every running handler to stop."""
        for delivery in self.roster:
            if delivery.running:
                self._interrupt(delivery, reason)

    def close(self) -> list[str]:
        """Let the handlers' threads end; return the executions that are left without an answer."""
        self._handlers.close()
        return [delivery.ref.execution_id for delivery in self.roster]

    def _deliver(self, lease: work.Lease) -> None:
        self.roster.used()
        workflow = self._workflows.get(lease.correlation.workflow_id)
        if self.roster.find(lease.lease) is not None:
            return
        if self.roster.draining or workflow is None:
            self._returns.give(lease.lease)
            return
        delivery = Delivery(lease, self._report, self._max_output_bytes)
        self.roster.add(delivery)
        if (limit := delivery.deadline) is not None:
            delivery.timer = self._io.loop.call_later(
                limit.total_seconds(), self._interrupt, delivery, names.REASON_DEADLINE
            )
        self._begin(delivery, workflow)

    def _begin(self, delivery: Delivery, workflow: Workflow) -> None:
        try:
            self._handlers.begin(delivery, workflow)
        except RuntimeError as error:
            _LOG.error("%s: given back, the handlers' loop is closed: %s", delivery.ref.execution_id, error)
            self._give_back(delivery)

    def _report(self, delivery: Delivery, report: work.StepReport) -> None:
        self._io.post(self._say, delivery, report)

    def _say(self, delivery: Delivery, report: work.StepReport) -> None:
        delivery.reports[report.sequence] = report
        if not delivery.lost:
            self.outgoing.step(report)

    def _refused(self, refusal: work.LeaseRefusal) -> None:
        error = error_of_refusal(refusal.refused)
        if isinstance(error, AlreadyFinalizedError | LeaseLostError | NotFoundError):
            self._lose(refusal.lease, str(error))
        elif not self._again(refusal.lease, error):
            _LOG.warning("%s: %s %s", refusal.lease.execution_id, error.reason, error)

    def _again(self, ref: work.LeaseRef, error: SidecarError) -> bool:
        """Repeat later what was refused for now, be it a step or a release; False if it was for good."""
        delivery = self.roster.find(ref)
        if delivery is None:
            return self._returns.again(ref, error)
        return self._settler.again(delivery, error)

    def _cancel(self, signal: work.CancelSignal) -> None:
        """Pass a cancellation on once: the sidecar repeats it with each heartbeat."""
        delivery = self.roster.find(signal.lease)
        if delivery is not None and not delivery.told_to_cancel:
            delivery.told_to_cancel = True
            self._interrupt(delivery, signal.reason or "cancelled")

    def _interrupt(self, delivery: Delivery, reason: str) -> None:
        delivery.interrupt(reason)
        self._handlers.interrupt(delivery)

    def _lose(self, ref: work.LeaseRef, why: str) -> None:
        """Stop what runs on a lost lease; a settlement that is on its way waits for its own answer."""
        delivery = self.roster.find(ref)
        if delivery is None or delivery.lost or not delivery.running:
            return
        _LOG.warning("%s: the lease is lost: %s", ref.execution_id, why)
        delivery.lost = True
        if delivery.seize():
            self._forget(delivery)
        else:
            self._interrupt(delivery, LEASE_LOST)

    def _give_back(self, delivery: Delivery) -> None:
        self._forget(delivery)
        self._returns.give(delivery.ref)

    def _forget(self, delivery: Delivery) -> None:
        self.roster.ended(delivery)
        self.roster.drop(delivery)
        self.outgoing.wake()
