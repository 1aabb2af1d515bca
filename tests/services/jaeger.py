"""A real Jaeger with memory storage, and questions to its query API."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.services.loopback import NotInTimeError, address, fetch, free_port
from tests.services.program import Program

Json = dict[str, Any]
ROLES = ("otlp_grpc", "otlp_http", "query", "query_grpc", "thrift_grpc", "thrift_http", "admin")


class Jaeger(Program):
    """Jaeger all-in-one; what it stored is gone when it stops."""

    def __init__(self, program: Path, folder: Path, *, max_traces: int = 100_000) -> None:
        super().__init__(folder)
        self._program = program
        self._max_traces = max_traces
        self._ports = {role: free_port() for role in ROLES}

    @property
    def otlp_grpc(self) -> str:
        return self._listen("otlp_grpc")

    @property
    def otlp_http(self) -> str:
        return f"http://{self._listen('otlp_http')}"

    @property
    def query(self) -> str:
        return f"http://{self._listen('query')}"

    def command(self) -> Sequence[str]:
        return (
            str(self._program),
            f"--memory.max-traces={self._max_traces}",
            f"--collector.otlp.grpc.host-port={self._listen('otlp_grpc')}",
            f"--collector.otlp.http.host-port={self._listen('otlp_http')}",
            f"--query.http-server.host-port={self._listen('query')}",
            f"--query.grpc-server.host-port={self._listen('query_grpc')}",
            f"--collector.grpc-server.host-port={self._listen('thrift_grpc')}",
            f"--collector.http-server.host-port={self._listen('thrift_http')}",
            f"--admin.http.host-port={self._listen('admin')}",
        )

    def environment(self) -> Mapping[str, str]:
        # Without the sampler switched off, Jaeger would trace itself into port 4317.
        return {"OTEL_TRACES_SAMPLER": "always_off", "SPAN_STORAGE_TYPE": "memory"}

    def healthy(self) -> bool:
        return fetch(self._ports["admin"], "/") is not None

    def services(self) -> list[str]:
        return [str(name) for name in self._ask("/api/services")]

    def traces(self, service: str, tags: Mapping[str, str] | None = None) -> list[Json]:
        """The traces of a service in which one span bears all these tags."""
        asked = {"service": service, "tags": json.dumps(dict(tags or {})), "limit": "10000"}
        return self._ask(f"/api/traces?{urlencode(asked)}")

    def trace(self, trace_id: str, *, raw: bool = False) -> Json | None:
        """One trace by its hex id; raw keeps every copy of a repeated span."""
        found = self._ask(f"/api/traces/{trace_id}?raw={str(raw).lower()}")
        return found[0] if found else None

    def await_traces(
        self,
        predicate: Callable[[list[Json]], bool],
        timeout: float = 15.0,
        *,
        service: str = "sidecar",
        tags: Mapping[str, str] | None = None,
    ) -> list[Json]:
        """Search until the answer satisfies the predicate, and give that answer."""
        deadline = time.monotonic() + timeout
        while not predicate(found := self.traces(service, tags)):
            if time.monotonic() > deadline:
                raise NotInTimeError(f"not in Jaeger within {timeout:g} s; it has {len(found)} traces")
            time.sleep(0.05)
        return found

    def _ask(self, path: str) -> list[Json]:
        body = fetch(self._ports["query"], path)
        return (json.loads(body).get("data") or []) if body is not None else []

    def _listen(self, role: str) -> str:
        return address(self._ports[role])


def spans_of(traces: Sequence[Json]) -> list[Json]:
    return [span for trace in traces for span in trace["spans"]]


def tags_of(span: Json) -> Json:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def references_of(span: Json) -> list[tuple[str, str]]:
    """The kind and the span id of each reference: a parent or a link, first one first."""
    return [(reference["refType"], reference["spanID"]) for reference in span["references"]]


def process_of(trace: Json, span: Json) -> Json:
    """The resource that a span was sent under, its service name included."""
    process = trace["processes"][span["processID"]]
    return {"service.name": process["serviceName"]} | tags_of({"tags": process["tags"]})
