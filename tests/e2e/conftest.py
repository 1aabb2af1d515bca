"""A sidecar that sends to a real Collector, and a worker process with an OpenTelemetry SDK of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartSidecar
from tests.processes import ROOT, SidecarProcess
from tests.services.collector import Collector
from tests.services.program import Program

ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


class WorkerProcess(Program):
    """The worker of this folder."""

    def __init__(self, folder: Path, target: str, collector: str) -> None:
        super().__init__(folder)
        self._arguments = [target, collector]

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.e2e.worker", *self._arguments]

    def environment(self) -> dict[str, str]:
        return ENVIRONMENT

    def healthy(self) -> bool:
        return self.running


@pytest.fixture
def house(start_sidecar: StartSidecar, collector: Collector) -> SidecarProcess:
    """A sidecar that sends to the Collector."""
    process = start_sidecar(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.otlp_grpc}")
    process.start()
    return process


@pytest.fixture
def worker(house: SidecarProcess, collector: Collector, tmp_path: Path) -> Iterator[WorkerProcess]:
    with WorkerProcess(tmp_path / "worker", house.target, collector.otlp_grpc) as running:
        yield running
