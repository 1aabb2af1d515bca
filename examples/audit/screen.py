"""Progress on the screen: a bar on a terminal, a line now and then elsewhere, and a line for each event."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

TERMINAL_STATES = ("succeeded", "failed", "cancelled")
QUIET_SECONDS = 5.0


class Screen:
    """What the demo shows while it runs."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._started = self._shown = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("accepting", total=total)

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def event(self, text: str) -> None:
        """Show one event, with the time since the start."""
        elapsed = time.monotonic() - self._started
        self._console.print(Text.assemble((f"{elapsed:6.1f} s  ", "dim"), text))

    def count(self, states: Mapping[str, int], unasked: int) -> None:
        """Show how many are queued, running and done; `unasked` of them came by themselves."""
        total = self._total + unasked
        counts = {name.lower(): count for name, count in states.items()}
        done = sum(counts.get(state, 0) for state in TERMINAL_STATES)
        words = f"{counts.get('queued', 0)} queued · {counts.get('running', 0)} running · {done} done"
        self._progress.update(self._task, description=words, completed=done, total=total)
        if not self._console.is_terminal and time.monotonic() - self._shown >= QUIET_SECONDS:
            self._shown = time.monotonic()
            self.event(f"{words} of {total}")
