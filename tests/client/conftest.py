"""A fake sidecar, and workers that run beside the test."""

import threading
from collections.abc import Callable, Iterator

import pytest

from sidecar.client import Worker
from tests.client.fake import WAIT, FakeSidecar

Serve = Callable[[Worker], None]


@pytest.fixture
def fake() -> Iterator[FakeSidecar]:
    sidecar = FakeSidecar().start()
    yield sidecar
    sidecar.stop()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Runs a worker on a thread and loop of its own until the test ends."""
    running: list[tuple[Worker, threading.Thread]] = []

    def start(worker: Worker) -> None:
        thread = threading.Thread(target=worker.run, name="the-worker")
        thread.start()
        running.append((worker, thread))

    yield start
    for worker, thread in running:
        worker.stop()
        thread.join(WAIT)
        assert not thread.is_alive()
