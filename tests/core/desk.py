"""A folio to try verbs on: a clock that stands still until told, and ids that count."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from sidecar.core.commands import Accept, Accepted, Claim, Command, Delivery, Report, Settle
from sidecar.core.correlation import Correlation
from sidecar.core.facts import LogFacts, Role, SpanFacts
from sidecar.core.fold import claim, fold
from sidecar.core.folio import Folio, Limits
from sidecar.core.model import Anchor, Execution, Recording, Resource, RetryPolicy, Terms

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
WORKER = Resource("r" * 32, (("service.name", "worker"),), "test/1")
TERMS = Terms("default", b"{}", "application/json", "print")


@dataclass
class CountingChance:
    """Ids in order, and no jitter unless asked for."""

    count: int = 0
    jitter: float = 1.0

    def span_id(self) -> str:
        self.count += 1
        return f"{self.count:016x}"

    def token(self) -> bytes:
        self.count += 1
        return self.count.to_bytes(16, "big")

    def fraction(self) -> float:
        return self.jitter


@dataclass
class Desk:
    """One folio that is used on and on, as if every command were a commit of its own."""

    limits: Limits = field(default_factory=Limits)
    folio: Folio = field(init=False)

    def __post_init__(self) -> None:
        self.folio = Folio(START, self.limits, CountingChance())

    def pass_time(self, seconds: float) -> None:
        self.folio.now += int(seconds * SECOND)

    def accept(
        self, execution_id: str = "e1", *, recording: Recording = Recording.SAMPLED, terms: Terms = TERMS
    ) -> Execution:
        answer = self.do(Accept(draft(execution_id, self.folio.now, recording, terms)))
        assert isinstance(answer, Accepted)
        return answer.execution

    def claim(self, execution: Execution, worker_id: str = "w1") -> Delivery:
        command = Claim("default", worker_id, WORKER, ("default",), ("audit",), 1)
        (delivery,) = claim(self.folio, command, [execution]).deliveries
        return delivery

    def settle(self, delivery: Delivery, report: Report, digest: bytes = b"d1") -> object:
        return self.do(Settle(delivery.ref, report, digest))

    def do(self, command: Command[object]) -> object:
        return fold(self.folio, command)

    def spans(self, role: Role) -> list[SpanFacts]:
        facts = [e.facts for e in self.folio.emissions]
        return [f for f in facts if isinstance(f, SpanFacts) and f.role is role]

    def logs(self) -> list[LogFacts]:
        return [e.facts for e in self.folio.emissions if isinstance(e.facts, LogFacts)]


def draft(
    execution_id: str, now: int, recording: Recording = Recording.SAMPLED, terms: Terms = TERMS
) -> Execution:
    """Return an execution as the entry would hand it in."""
    return Execution(
        correlation=Correlation("default", execution_id, f"req-{execution_id}", "audit", execution_id),
        anchor=Anchor("ab" * 16, "cd" * 8, "ef" * 8, "12" * 8, 1, "", "", recording),
        terms=terms,
        accepted_at=now,
        run_at=now,
    )


def with_attempts(count: int, non_retryable: tuple[str, ...] = ()) -> Terms:
    """Return terms that allow so many attempts."""
    return replace(TERMS, retry=RetryPolicy(max_attempts=count, non_retryable=non_retryable))


def after(seconds: float) -> timedelta:
    """Return a duration."""
    return timedelta(seconds=seconds)
