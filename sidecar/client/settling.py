"""Settlements: said, and said again in the same bytes, until the sidecar has answered.

A repeat begins with the steps, so that a record has all of them whatever was refused before.
"""

import logging
from typing import Final

from sidecar.client import outcomes
from sidecar.client.delivery import Delivery
from sidecar.client.errors import AlreadyFinalizedError, LeaseLostError, NotFoundError, SidecarError
from sidecar.client.io_thread import IoThread
from sidecar.client.outgoing import Outgoing
from sidecar.client.roster import Roster
from sidecar.client.status import error_of_refusal, is_fault, is_transient
from sidecar.v1 import worker_service_pb2 as work

MAX_FAULTS: Final = 6
_LOG: Final = logging.getLogger(__name__)
_OWNED_BY_THE_CORE: Final = (AlreadyFinalizedError, LeaseLostError, NotFoundError)


class Settler:
    """Lives on the I/O thread; handlers end on others and cross over to it."""

    def __init__(self, io: IoThread, roster: Roster, outgoing: Outgoing) -> None:
        self._io = io
        self._roster = roster
        self._outgoing = outgoing

    def ended(self, delivery: Delivery, settlement: work.Settlement) -> None:
        """Take a handler's end, from any thread."""
        self._io.post(self._settle, delivery, settlement)

    def repeat_all(self) -> None:
        """Say again what has no answer: a former stream may have lost it."""
        for delivery in self._roster:
            self._repeat(delivery)

    def again(self, delivery: Delivery, error: SidecarError) -> bool:
        """Repeat an attempt's reports later if they may be taken then; a fault only a few times."""
        if not (is_transient(error) or is_fault(error)):
            return False
        if delivery.repeating:
            return True
        if is_fault(error):
            delivery.faults += 1
            if delivery.faults > MAX_FAULTS:
                return False
        delivery.repeating = True
        self._io.loop.call_later(delivery.backoff.next(error.retry_after), self._repeat, delivery)
        return True

    def answered(self, result: work.SettlementResult) -> None:
        """Act on the answer to a settlement."""
        delivery = self._roster.find(result.lease)
        if delivery is None or delivery.settlement is None:
            return
        if result.HasField("refused"):
            self._refused(delivery, error_of_refusal(result.refused))
        else:
            self._drop(delivery)

    def _settle(self, delivery: Delivery, settlement: work.Settlement) -> None:
        delivery.settlement = settlement
        self._roster.ended(delivery)
        if delivery.lost:
            self._drop(delivery)
        elif delivery.repeating:
            self._repeat(delivery)
        else:
            self._outgoing.settle(settlement)

    def _refused(self, delivery: Delivery, error: SidecarError) -> None:
        execution_id = delivery.ref.execution_id
        if self.again(delivery, error):
            _LOG.debug("%s: the settlement is repeated: %s %s", execution_id, error.reason, error)
        elif isinstance(error, _OWNED_BY_THE_CORE):
            _LOG.warning("%s: the settlement came too late: %s %s", execution_id, error.reason, error)
            self._drop(delivery)
        elif not delivery.reduced and delivery.settlement is not None:
            _LOG.error("%s: settled without its rich part, which was refused: %s", execution_id, error)
            delivery.reduced = True
            delivery.settlement = outcomes.reduced(delivery.settlement)
            self._outgoing.settle(delivery.settlement)
        else:
            _LOG.error("%s: left to expire, its settlement was refused: %s", execution_id, error)
            self._drop(delivery)

    def _repeat(self, delivery: Delivery) -> None:
        delivery.repeating = False
        if delivery.lost or self._roster.find(delivery.ref) is not delivery:
            return
        for report in delivery.reports.values():
            self._outgoing.step(report)
        if delivery.settlement is not None:
            self._outgoing.settle(delivery.settlement)

    def _drop(self, delivery: Delivery) -> None:
        self._roster.drop(delivery)
        self._outgoing.wake()
