"""What a store is tested with: a clock to turn, an encoder that writes names, and drafts of executions."""

import asyncio
import itertools
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import NullPool, create_engine

from sidecar.core.commands import Accept, Accepted, Claim, Command, Delivery, Settle, Success
from sidecar.core.correlation import Correlation
from sidecar.core.facts import LogFacts, SpanFacts
from sidecar.core.folio import Limits
from sidecar.core.model import Anchor, Execution, Recording, Resource, Terms
from sidecar.core.ports import Change, Encoded, Encoder
from sidecar.store.open import StoreSettings, open_store

R = TypeVar("R")
T = TypeVar("T")

QUEUE, WORKFLOW = "mail", "send-letter"
RESOURCE = Resource("r-1", (("service.name", "letters"), ("host.cpu", 2)), "sidecar-python/0.1.0")


@dataclass
class HandClock:
    """A clock that a test turns; it also runs by itself unless frozen."""

    offset: float = 0.0
    wall: int | None = None

    def now(self) -> int:
        if self.wall is not None:
            return self.wall
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
        raise AssertionError(f"the store exports nothing, not {spans} {outcome}")

    def changed(self, changes: Sequence[Change]) -> None:
        self.heard.extend(changes)


_serial = itertools.count(1)


def draft(execution_id: str = "", *, recording: Recording = Recording.SAMPLED, **terms: Any) -> Execution:
    """Return an execution as the entry would draft it."""
    number = next(_serial)
    execution_id = execution_id or f"e-{number:06d}"
    now = time.time_ns() - 1_000_000_000
    agreed: dict[str, Any] = {
        "queue": QUEUE,
        "payload": b"dear",
        "content_type": "text/plain",
        "fingerprint": "f",
        **terms,
    }
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


class Desk:
    """A running store that a plain test can talk to, with an event loop on a thread of its own."""

    def __init__(self, url: str, encoder: Encoder | None = None, **settings: Any) -> None:
        self.url = url
        self.clock = HandClock()
        self.notes = Notes()
        self.errors: list[Exception] = []
        self.store = open_store(
            url,
            clock=self.clock,
            limits=Limits(),
            chance=Counted(),
            encoder=encoder or NamingEncoder(),
            meter=self.notes,
            settings=StoreSettings(**settings),
            on_error=self.errors.append,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self) -> "Desk":
        """Begin to commit."""
        self.store.start(self._loop, self.notes)
        return self

    def begin(self, *commands: Command[Any]) -> Future[list[Any]]:
        """Hand in commands without waiting for their answers."""
        return asyncio.run_coroutine_threadsafe(self.store.ledger.submit_many(commands), self._loop)

    def each(self, *commands: Command[Any]) -> list[Any]:
        """Have commands applied together and return their answers."""
        return self.begin(*commands).result(30)

    def do(self, command: Command[R]) -> R:
        """Have one command applied and return its answer."""
        return asyncio.run_coroutine_threadsafe(self.store.ledger.submit(command), self._loop).result(30)

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Return what the reader answers."""
        return asyncio.run_coroutine_threadsafe(question, self._loop).result(30)

    def get(self, execution_id: str) -> Execution:
        """Return an execution that is there."""
        found = self.ask(self.store.reader.get(("default", execution_id)))
        assert found is not None
        return found

    def accept(self, **terms: Any) -> Execution:
        """Accept a new execution."""
        accepted = self.do(Accept(draft(**terms)))
        assert isinstance(accepted, Accepted)
        return accepted.execution

    def run_one(self) -> Delivery:
        """Accept an execution and claim it."""
        self.accept()
        return self.do(claim()).deliveries[0]

    def close(self) -> None:
        """Drain and close the store and end the loop; a second time does nothing."""
        if self._loop.is_closed():
            return
        self.store.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Sql:
    """A connection of the test's own, past the store."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(url, poolclass=NullPool)

    def run(self, statement: str) -> list[Any]:
        """Run one statement in a transaction and return its rows, if it has any."""
        with self._engine.begin() as connection:
            result = connection.exec_driver_sql(statement)
            return list(result) if result.returns_rows else []

    @property
    def is_postgres(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    def run_alone(self, statement: str) -> None:
        """Run what PostgreSQL allows in no transaction."""
        with self._engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)

    def run_unchecked(self, statement: str) -> None:
        """Run one statement on SQLite with its CHECKs off, to plant what the store must never write."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            connection.exec_driver_sql(statement)
            connection.commit()
