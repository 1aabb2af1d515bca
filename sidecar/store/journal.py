"""The journal: one connection that commits, and finds out what became of a commit that broke off."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from sidecar.core.commands import Command
from sidecar.core.ports import Clock
from sidecar.core.refusals import StoreUnavailableError
from sidecar.failpoints import hit
from sidecar.store.engine import Dialect, Opening
from sidecar.store.faults import ContendedError, Trouble, reason, trouble
from sidecar.store.scribe import Applied, Scribe

_FIRST_WAIT = 0.02
_LONGEST_WAIT = 1.0
_CLASHES = 5
"""How often commands that clashed with another transaction are tried again together."""


class Journal:
    """Commits commands; while the database is away it tries again, for as long as its patience lasts."""

    def __init__(self, dialect: Dialect, scribe: Scribe, clock: Clock, patience: float, slow: float) -> None:
        """Set up; a commit that takes longer than `slow` seconds counts as an illness of the store."""
        self._dialect = dialect
        self._scribe = scribe
        self._clock = clock
        self._patience = patience
        self._slow = slow
        self._connection: Connection | None = None
        self._away_since: float | None = None
        self._waited = 0.0
        self._pause = threading.Event()
        self.healthy_since = clock.monotonic()

    @property
    def is_away(self) -> bool:
        """Whether the last commit that was tried found no database."""
        return self._away_since is not None

    def commit(self, commands: Sequence[Command[Any]]) -> Applied:
        """Have the commands committed together.

        Raises:
            StoreUnavailableError: if the database stays away.
            ContendedError: if others are in the way; each command alone may go well.
            Exception: whatever a command provokes; then nothing was committed.
        """
        wait, clashes = _FIRST_WAIT, 0
        while True:
            began = self._clock.monotonic()
            try:
                applied = self._commit_once(commands)
            except Exception as error:
                clashes += self._judge(error, clashes)
            else:
                self._note_health(began)
                return applied
            self._wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _judge(self, error: Exception, clashes: int) -> bool:
        """Return whether it was a clash, if the commit is worth another try; else raise."""
        kind = trouble(error)
        if kind is None:
            raise error
        if kind is Trouble.AWAY:
            self._note_absence(error)
        elif kind is Trouble.HELD or clashes >= _CLASHES:
            # Who could not be heard for it must not be reaped for its silence.
            self.healthy_since = self._clock.monotonic()
            raise ContendedError(f"others hold what this would change: {reason(error)}") from error
        return kind is Trouble.CLASH

    def _commit_once(self, commands: Sequence[Command[Any]]) -> Applied:
        connection = self._connect()
        try:
            connection.begin()
            opening = replace(self._dialect.begin(connection), ticks=self._clock.monotonic())
            hit("commit.begun")
            applied = self._scribe.apply(connection, opening, commands)
            for point in applied.points:
                hit(f"{point}.before_commit")
        except BaseException:
            self._let_go()
            raise
        if applied.wrote:
            self._finish(connection, opening, applied)
        else:
            connection.rollback()
        return applied

    def _finish(self, connection: Connection, opening: Opening, applied: Applied) -> None:
        """Commit. An error here says nothing about the outcome: that is read back."""
        try:
            connection.commit()
            for point in applied.points:
                hit(f"{point}.after_commit")
        except Exception:
            self._let_go()
            if not self._has_landed(opening):
                raise

    def _has_landed(self, opening: Opening) -> bool:
        wait = _FIRST_WAIT
        while True:
            try:
                landed = self._dialect.landed(opening.ticket)
            except Exception as error:
                if trouble(error) is None:
                    raise
                self._note_absence(error)
            else:
                if landed is not None:
                    return landed
                self._note_absence(TimeoutError("the outcome of a commit is not known yet"))
            self._wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._dialect.writer.connect()
        return self._connection

    def _let_go(self) -> None:
        """Close the connection for good: it may be broken, or still be in its transaction."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _note_absence(self, error: Exception) -> None:
        now = self._clock.monotonic()
        self.healthy_since = now
        self._away_since = now if self._away_since is None else self._away_since
        if max(now - self._away_since, self._waited) >= self._patience:
            raise StoreUnavailableError(f"the store is away: {reason(error)}") from error

    def _note_health(self, began: float) -> None:
        now = self._clock.monotonic()
        if self._away_since is not None or now - began > self._slow:
            self.healthy_since = now
        self._away_since, self._waited = None, 0.0

    def _wait(self, seconds: float) -> None:
        self._pause.wait(seconds)
        self._waited += seconds

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
