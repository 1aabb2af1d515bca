"""A real OpenTelemetry Collector, run with the project's own configuration unchanged."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.services.loopback import address, fetch, free_port
from tests.services.program import Program

Json = dict[str, Any]
PROJECT_CONFIG = Path(__file__).parents[2] / "otel-collector.yaml"
NOWHERE = address(1)
EXACT_FILES = """\
exporters:
  file/exact:
    path: {path}
    append: true
    flush_interval: 50ms
service:
  pipelines:
    traces/exact: {{receivers: [otlp], exporters: [file/exact]}}
    logs/exact: {{receivers: [otlp], exporters: [file/exact]}}
    metrics/exact: {{receivers: [otlp], exporters: [file/exact]}}
"""


class Collector(Program):
    """The Collector in front of a trace backend, whose address may be of one that is down."""

    def __init__(self, program: Path, folder: Path, *, traces_to: str = NOWHERE, exact: bool = True) -> None:
        super().__init__(folder)
        self._program = program
        self._traces_to = traces_to
        self._exact = exact
        roles = ("grpc", "http", "health", "prometheus", "own")
        self._ports = {role: free_port() for role in roles}

    @property
    def otlp_grpc(self) -> str:
        """Host and port for OTLP over gRPC, without TLS."""
        return address(self._ports["grpc"])

    @property
    def otlp_http(self) -> str:
        """The base URL for OTLP over HTTP; /v1/traces and its like come after it."""
        return f"http://{address(self._ports['http'])}"

    @property
    def exact_file(self) -> Path:
        """What was received, as JSON lines, written beside the project's pipelines."""
        return self.folder / "exact.jsonl"

    def command(self) -> Sequence[str]:
        return (str(self._program), *self._configs())

    def environment(self) -> Mapping[str, str]:
        return {
            "OTELCOL_OTLP_GRPC_ENDPOINT": self.otlp_grpc,
            "OTELCOL_OTLP_HTTP_ENDPOINT": address(self._ports["http"]),
            "OTELCOL_HEALTH_ENDPOINT": address(self._ports["health"]),
            "OTELCOL_PROMETHEUS_ENDPOINT": address(self._ports["prometheus"]),
            "OTELCOL_METRICS_PORT": str(self._ports["own"]),
            "OTELCOL_STORAGE_DIR": str(self.folder / "storage"),
            "OTELCOL_JAEGER_ENDPOINT": self._traces_to,
            "OTELCOL_SPANMETRICS_FLUSH": "200ms",
        }

    def healthy(self) -> bool:
        return fetch(self._ports["health"], "/") is not None

    def validate(self) -> str:
        """What `otelcol validate` says against the project's file; nothing when it accepts."""
        command = (str(self._program), "validate", "--config", str(PROJECT_CONFIG))
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        return "" if said.returncode == 0 else said.stdout + said.stderr or "refused in silence"

    def received(self, signal: str = "resourceSpans") -> list[Json]:
        """Each request's entry of one signal, exactly as received, in order of arrival."""
        if not self.exact_file.exists():
            return []
        *whole, _ = self.exact_file.read_text().split("\n")
        return [entry for line in whole for entry in json.loads(line).get(signal, [])]

    def received_spans(self) -> Iterator[Json]:
        """Every copy of every span received."""
        for entry in self.received():
            for scope in entry["scopeSpans"]:
                yield from scope["spans"]

    def logs(self) -> str:
        """The file in which the project's configuration keeps logs."""
        kept = self.folder / "storage" / "logs.jsonl"
        return kept.read_text() if kept.exists() else ""

    def prometheus(self) -> str:
        """The page that Prometheus would scrape: applications' metrics and the span metrics."""
        return self._page("prometheus")

    def own_metrics(self) -> str:
        """The Collector's metrics about itself, as the sizes of its queues."""
        return self._page("own")

    def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series of one metric on the scraped page."""
        lines = (line for line in self.prometheus().splitlines() if line.startswith(name + "{"))
        return [(_labels(line), float(line.rpartition("} ")[2].split()[0])) for line in lines]

    def _page(self, role: str) -> str:
        return (fetch(self._ports[role], "/metrics") or b"").decode()

    def _configs(self) -> Sequence[str]:
        project = ("--config", str(PROJECT_CONFIG))
        if not self._exact:
            return project
        also = self.folder / "exact.yaml"
        also.write_text(EXACT_FILES.format(path=self.exact_file))
        return (*project, "--config", str(also))


def _labels(line: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', line))
