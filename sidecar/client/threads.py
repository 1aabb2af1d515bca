"""Daemon threads for handlers that block: one that never ends does not keep the process alive."""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """At most `limit` threads, started as they are needed and kept for the next handler."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._started = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job on the next free thread; it must not raise."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._started < self._limit:
                self._started += 1
                name = f"sidecar-handler-{self._started}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._work.put(job)

    def close(self) -> None:
        """Let every thread end with what it does now."""
        for _ in range(self._started):
            self._work.put(None)

    def _serve(self) -> None:
        while (job := self._work.get()) is not None:
            job()
            with self._lock:
                self._idle += 1
