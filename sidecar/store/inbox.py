"""The inbox before the committer: bounded, in ranks, and emptied in one go."""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.commands import Accept, Begin, Claim, Command, Fault, Settle, Success
from sidecar.core.decrees import Define, Fire, Undefine
from sidecar.core.parcels import ClaimParcels, StampParcels
from sidecar.core.refusals import OverloadedError, StoreUnavailableError

_QUOTAS = (2_000, 1_000, 64, 16)
"""How many of each rank one commit takes: what goes on, what is new, claims, the outbox's."""

_OVERHEAD = 512
_LIKELY_PAYLOAD = 65_536
"""What a begin is taken to load: its payload is read within the commit."""
_GOING_ON = 20_000
"""How many of what goes on may wait at least, however much is new."""


class Reply:
    """The answer to all commands of one call, given when the last of them is known."""

    def __init__(self, future: asyncio.Future[list[Any]], count: int) -> None:
        self._future = future
        self._answers: list[Any] = [None] * count
        self._left = count

    def put(self, at: int, answer: object) -> None:
        """Take one command's answer, or the error that it ended with; on the event loop only."""
        self._answers[at] = answer
        self._left -= 1
        if not self._left and not self._future.done():
            self._future.set_result(self._answers)


@dataclass(slots=True)
class Entry:
    """One command on its way, and what came of it."""

    command: Command[Any]
    reply: Reply
    at: int
    weight: int
    races: int = 0
    answer: object = None

    def tell(self) -> None:
        """Hand the outcome to the call that waits for it."""
        self.reply.put(self.at, self.answer)


@dataclass(slots=True)
class Room:
    """A part of the inbox with bounds of its own."""

    most: int
    most_bytes: int
    waiting: int = 0
    bytes: int = 0

    def has_place_for(self, entries: Sequence[Entry]) -> bool:
        """Return whether all of these fit; what comes alone always fits an empty room."""
        size = sum(entry.weight for entry in entries)
        fits = self.waiting + len(entries) <= self.most and self.bytes + size <= self.most_bytes
        return fits or not self.waiting or not entries

    def count(self, entries: Sequence[Entry], by: int) -> None:
        """Count entries in (1) or out (-1)."""
        self.waiting += by * len(entries)
        self.bytes += by * sum(entry.weight for entry in entries)


class Inbox:
    """Commands that arrived while the last commit was on its way to disk.

    What goes on has a room of its own: what is new never takes the place of a settlement.
    """

    def __init__(self, max_waiting: int, max_bytes: int) -> None:
        self._ranks: tuple[deque[Entry], ...] = tuple(deque() for _ in _QUOTAS)
        self._rooms = Room(max(max_waiting, _GOING_ON), max_bytes), Room(max_waiting, max_bytes)
        self._closed = False
        self._arrived = threading.Condition()

    def put(self, commands: Sequence[Command[Any]], reply: Reply) -> None:
        """Take all of these commands, or none.

        Raises:
            OverloadedError: if they do not fit; what comes alone always fits an empty room.
            StoreUnavailableError: after `close`.
        """
        entries = [Entry(c, reply, at, weight(c)) for at, c in enumerate(commands)]
        with self._arrived:
            if self._closed:
                raise StoreUnavailableError("the store is closing; repeat the call later")
            parted = _parted(entries)
            if not all(room.has_place_for(part) for room, part in zip(self._rooms, parted, strict=True)):
                raise OverloadedError(f"{self._waiting} commands wait for the store; repeat the call later")
            self._count(parted, 1)
            for entry in entries:
                self._ranks[_rank(entry.command)].append(entry)
            self._arrived.notify()

    @property
    def _waiting(self) -> int:
        return sum(room.waiting for room in self._rooms)

    def _count(self, parted: tuple[Sequence[Entry], Sequence[Entry]], by: int) -> None:
        for room, part in zip(self._rooms, parted, strict=True):
            room.count(part, by)

    def take(self, max_bytes: int) -> list[Entry]:
        """Wait for commands and return one commit's worth; empty once closed and drained."""
        with self._arrived:
            while not self._waiting and not self._closed:
                self._arrived.wait()
            taken = [
                e
                for rank, most in zip(self._ranks, _QUOTAS, strict=True)
                for e in _some(rank, most, max_bytes)
            ]
            self._count(_parted(taken), -1)
            return taken

    def close(self) -> None:
        """Take nothing more."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()


def _parted(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return what goes on, and all else."""
    parts: tuple[list[Entry], list[Entry]] = [], []
    for entry in entries:
        parts[not goes_on(entry.command)].append(entry)
    return parts


def _some(rank: deque[Entry], most: int, max_bytes: int) -> list[Entry]:
    """Return the head of a rank, bounded by count and bytes but never empty-handed."""
    some: list[Entry] = []
    while rank and len(some) < most and (not some or rank[0].weight <= max_bytes):
        entry = rank.popleft()
        max_bytes -= entry.weight
        some.append(entry)
    return some


def goes_on(command: Command[Any]) -> bool:
    """Return whether a command is about work that was taken on already, and not to be refused."""
    return _rank(command) == 0


def _rank(command: Command[Any]) -> int:
    match command:
        case Accept() | Define() | Undefine() | Fire():
            return 1
        case Claim():
            return 2
        case ClaimParcels() | StampParcels():
            return 3
        case _:
            return 0


def weight(command: Command[Any]) -> int:
    """Return about how many bytes a command keeps in memory."""
    match command:
        case Accept(execution=execution) | Fire(accept=Accept(execution=execution)):
            return _OVERHEAD + len(execution.terms.payload)
        case Define(definitions=definitions):
            return _OVERHEAD + len(repr(definitions))
        case Begin():
            return _OVERHEAD + _LIKELY_PAYLOAD
        case Settle(report=Success(output=output)):
            return _OVERHEAD + len(output)
        case Settle(report=Fault(failure=failure)):
            return _OVERHEAD + len(failure.message) + len(failure.stack)
        case _:
            return _OVERHEAD
