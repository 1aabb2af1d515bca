"""What a store is tested with: a clock to turn, an encoder that writes names, and drafts of executions."""

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.core.commands import Accept, Claim, Claimed, Delivery, Settle, Success
from sidecar.core.facts import LogFacts, SpanFacts
from sidecar.core.model import Anchor, Correlation, Execution, Recording, Resource, Terms
from sidecar.core.ports import Change, Encoded

QUEUE, WORKFLOW = "mail", "send-letter"
RESOURCE = Resource("r-1", (("service.name", "letters"), ("host.cpu", 2)), "sidecar-python/0.1.0")


@dataclass
class HandClock:
    """A clock that a test turns; it also runs by itself unless frozen."""

    offset: float = 0.0

    def now(self) -> int:
        return time.time_ns() + int(self.offset * 1e9)

    def monotonic(self) -> float:
        return time.monotonic() + self.offset


class Counted:
    """Ids that count up, so that a failing test reads well."""

    def __init__(self) -> None:
        self._serial = itertools.count(1)

    def span_id(self) -> str:
        return f"{next(self._serial):016x}"

    def token(self) -> bytes:
        return next(self._serial).to_bytes(16, "big")

    def fraction(self) -> float:
        return 0.5


class NamingEncoder:
    """Writes the span ids of a request as text: enough to see which spans a row holds."""

    def encode(
        self, facts: Sequence[SpanFacts | LogFacts], resources: Mapping[str, Resource]
    ) -> list[Encoded]:
        signal = "traces" if isinstance(facts[0], SpanFacts) else "logs"
        for f in facts:
            if isinstance(f, SpanFacts) and f.resource_id is not None:
                assert f.resource_id in resources
        return [Encoded(signal, " ".join(f.span_id for f in facts).encode(), len(facts))]


@dataclass
class Notes:
    """A meter and a change listener that keep what they are told."""

    commits: list[int] = field(default_factory=list)
    outcomes: list[Execution] = field(default_factory=list)
    lost: int = 0
    heard: list[Change] = field(default_factory=list)

    def settled(self, execution: Execution) -> None:
        self.outcomes.append(execution)

    def conflicts(self, count: int) -> None:
        self.lost += count

    def committed(self, commands: int, seconds: float) -> None:
        assert seconds >= 0
        self.commits.append(commands)

    def exported(self, outcome: str, spans: int) -> None:
        raise AssertionError("the store exports nothing")

    def changed(self, changes: Sequence[Change]) -> None:
        self.heard.extend(changes)


_serial = itertools.count(1)


def draft(execution_id: str = "", *, recording: Recording = Recording.SAMPLED, **terms: Any) -> Execution:
    """Return an execution as the entry would draft it."""
    number = next(_serial)
    execution_id = execution_id or f"e-{number:06d}"
    now = time.time_ns() - 1_000_000_000
    agreed = {"queue": QUEUE, "payload": b"dear", "content_type": "text/plain", "fingerprint": "f", **terms}
    return Execution(
        correlation=Correlation("default", execution_id, f"q-{number}", WORKFLOW, execution_id),
        anchor=Anchor(
            trace_id=f"{number:032x}",
            send_span_id=f"{number:08x}aaaaaaaa",
            terminal_span_id=f"{number:08x}bbbbbbbb",
            parent_span_id=None,
            flags=1,
            tracestate="",
            baggage="",
            recording=recording,
        ),
        terms=Terms(**agreed),
        accepted_at=now,
        run_at=now,
    )


def claim(limit: int = 1, worker_id: str = "w-1") -> Claim:
    """Return a claim on the test's queue."""
    return Claim("default", worker_id, RESOURCE, (QUEUE,), (WORKFLOW,), limit)


def success(delivery: Delivery, output: bytes = b"sent") -> Settle:
    """Return the settlement of a worker whose handler returned."""
    return Settle(delivery.ref, Success(output, "text/plain"), b"digest")
