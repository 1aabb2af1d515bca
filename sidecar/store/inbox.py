"""The inbox before the committer: bounded, in ranks, and emptied in one go."""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.commands import Accept, Claim, ClaimParcels, Command, Fault, Settle, StampParcels, Success
from sidecar.core.refusals import OverloadedError, StoreUnavailableError

_QUOTAS = (2_000, 1_000, 64, 16)
"""How many of each rank one commit takes: what goes on, what is new, claims, the outbox's."""

_OVERHEAD = 512


class Reply:
    """The answer to all commands of one call, given when the last of them is known."""

    def __init__(self, future: asyncio.Future[list[Any]], count: int) -> None:
        self._future = future
        self._answers: list[Any] = [None] * count
        self._left = count
        self._error: BaseException | None = None

    def put(self, at: int, answer: object, error: BaseException | None) -> None:
        """Take one command's answer or error; on the event loop only."""
        self._answers[at] = answer
        self._error = self._error or error
        self._left -= 1
        if self._left or self._future.done():
            return
        if self._error is not None:
            self._future.set_exception(self._error)
        else:
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
    error: BaseException | None = None

    def tell(self) -> None:
        """Hand the outcome to the call that waits for it."""
        self.reply.put(self.at, self.answer, self.error)


class Inbox:
    """Commands that arrived while the last commit was on its way to disk."""

    def __init__(self, max_waiting: int, max_bytes: int) -> None:
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._ranks: tuple[deque[Entry], ...] = tuple(deque() for _ in _QUOTAS)
        self._waiting = 0
        self._bytes = 0
        self._closed = False
        self._arrived = threading.Condition()

    def put(self, commands: Sequence[Command[Any]], reply: Reply) -> None:
        """Take all of these commands, or none.

        Raises:
            OverloadedError: if they do not fit; what comes alone always fits an empty inbox.
            StoreUnavailableError: after `close`.
        """
        entries = [Entry(c, reply, at, weight(c)) for at, c in enumerate(commands)]
        size = sum(entry.weight for entry in entries)
        with self._arrived:
            if self._closed:
                raise StoreUnavailableError("the store is closing; repeat the call later")
            if self._waiting and self._is_over(len(entries), size):
                raise OverloadedError(f"{self._waiting} commands wait for the store; repeat the call later")
            for entry in entries:
                self._ranks[_rank(entry.command)].append(entry)
            self._waiting += len(entries)
            self._bytes += size
            self._arrived.notify()

    def _is_over(self, count: int, size: int) -> bool:
        return self._waiting + count > self._max_waiting or self._bytes + size > self._max_bytes

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
            self._waiting -= len(taken)
            self._bytes -= sum(entry.weight for entry in taken)
            return taken

    def close(self) -> None:
        """Take nothing more."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()


def _some(rank: deque[Entry], most: int, max_bytes: int) -> list[Entry]:
    """Return the head of a rank, bounded by count and bytes but never empty-handed."""
    some: list[Entry] = []
    while rank and len(some) < most and (not some or rank[0].weight <= max_bytes):
        entry = rank.popleft()
        max_bytes -= entry.weight
        some.append(entry)
    return some


def _rank(command: Command[Any]) -> int:
    match command:
        case Accept():
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
        case Accept(execution=execution):
            return _OVERHEAD + len(execution.terms.payload)
        case Settle(report=Success(output=output)):
            return _OVERHEAD + len(output)
        case Settle(report=Fault(failure=failure)):
            return _OVERHEAD + len(failure.message) + len(failure.stack)
        case _:
            return _OVERHEAD
