"""Rows under suspicion: refused while nothing was taken, so that it may be they or the collector."""

from collections.abc import Sequence
from dataclasses import replace

from sidecar.core.parcels import ClaimParcels, Parcel
from sidecar.telemetry.limits import MAX_SPANS

MAX_SUSPECTS = 512
MAX_SUSPECT_BYTES = 16 * 1024 * 1024
MAX_REQUEST_BYTES = 3_670_016


class Suspects:
    """Remembered from claim to claim, the latest refused last, and bounded: claims grow by them."""

    def __init__(self) -> None:
        self._sizes: dict[int, tuple[int, int]] = {}

    def add(self, parcel: Parcel) -> None:
        """Suspect a row, or once more; without room for another nothing changes."""
        self.clear_of(parcel)
        spans, size = self._totals()
        if spans + parcel.spans <= MAX_SUSPECTS and size + len(parcel.body) <= MAX_SUSPECT_BYTES:
            self._sizes[parcel.outbox_id] = parcel.spans, len(parcel.body)

    def clear_of(self, parcel: Parcel) -> None:
        """Suspect a row no longer: it is decided what becomes of it."""
        self._sizes.pop(parcel.outbox_id, None)

    def part(self, parcels: Sequence[Parcel]) -> tuple[list[Parcel], list[Parcel]]:
        """Return the rows that are not suspected, and those that are, the latest refused last."""
        claimed = {parcel.outbox_id: parcel for parcel in parcels}
        suspected = [claimed.pop(outbox_id) for outbox_id in self._sizes if outbox_id in claimed]
        return list(claimed.values()), suspected

    def widened(self, claim: ClaimParcels) -> ClaimParcels:
        """Return a claim that has room for as many others as if there were no suspects."""
        spans, size = self._totals()
        return replace(claim, max_spans=claim.max_spans + spans, max_bytes=claim.max_bytes + size)

    def _totals(self) -> tuple[int, int]:
        sizes = self._sizes.values()
        return sum(spans for spans, _ in sizes), sum(size for _, size in sizes)


def cut(parcels: Sequence[Parcel], pieces: int) -> list[list[Parcel]]:
    """Cut rows into so many requests, if there are enough, or more where one would be too large."""
    most = min(MAX_SPANS, -(-sum(parcel.spans for parcel in parcels) // pieces))
    batches: list[list[Parcel]] = []
    spans = size = 0
    for parcel in parcels:
        spans, size = spans + parcel.spans, size + len(parcel.body)
        if not batches or spans > most or size > MAX_REQUEST_BYTES:
            batches.append([])
            spans, size = parcel.spans, len(parcel.body)
        batches[-1].append(parcel)
    return batches
