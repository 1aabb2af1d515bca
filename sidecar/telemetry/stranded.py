"""Rows that nothing delivers: of a signal that an earlier configuration exported and this one does not."""

from collections.abc import Iterable
from datetime import timedelta

import structlog

from sidecar.core.parcels import ClaimParcels
from sidecar.core.ports import Ledger

_log = structlog.get_logger(__name__)


async def warn_of_stranded(ledger: Ledger, signals: Iterable[str]) -> list[str]:
    """Log once for each signal without a destination that has rows pending, and return those signals.

    Raises:
        StoreUnavailableError: when the store cannot be asked.
    """
    stranded = []
    for signal in signals:
        if await ledger.submit(ClaimParcels("nobody", signal, timedelta(0), max_spans=1)):
            _log.warning(
                "relay.no_destination", signal=signal, hint="rows are pending and nothing sends them"
            )
            stranded.append(signal)
    return stranded
