"""Parcels: what a relay asks of the outbox, and what it tells it."""

from dataclasses import dataclass, field
from datetime import timedelta

from sidecar.core.commands import Command


@dataclass(frozen=True, slots=True)
class Parcel:
    """One outbox row on its way to a collector: serialized OTLP, sent as it is."""

    outbox_id: int
    signal: str
    body: bytes
    spans: int
    tries: int = 0


@dataclass(frozen=True, slots=True)
class ClaimParcels(Command[tuple[Parcel, ...]]):
    """Lease pending outbox rows of one signal to a relay, bounded by spans and bytes."""

    relay_id: str
    signal: str
    lease: timedelta
    max_spans: int = 512
    max_bytes: int = 3_670_016


@dataclass(frozen=True, slots=True)
class Stamp:
    """What became of an outbox row: delivered, rejected, dead (kept), or pending again."""

    outbox_id: int
    state: str
    rejected: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StampParcels(Command[None]):
    """Turn outbox rows into receipts, or give them back; delivery clears the bytes."""

    stamps: tuple[Stamp, ...] = field(default=())
