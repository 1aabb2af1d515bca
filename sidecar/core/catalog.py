"""The catalog: everything that is defined, as one immutable snapshot, and the rules that follow from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sidecar.core.definitions import (
    AS_USUAL,
    UNLIMITED,
    Concurrency,
    Definition,
    OverLimit,
    Propagation,
    Queue,
    RateLimit,
    SamplingRule,
    Schedule,
    Stored,
    Webhook,
    Workflow,
)
from sidecar.core.refusals import Reason, Refused
from sidecar.core.style import PLAIN, LiveParent, SettlementLogs, Style, TerminalSpan

Named = tuple[str, str]
"""Namespace and name."""

EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class Cap:
    """How many executions of a scope may run at once, in all and of each key; 0 is no limit."""

    scope: str
    limit: int
    per_key: int
    over_limit: OverLimit


@dataclass(frozen=True, slots=True)
class Rate:
    """How many executions of a scope may come in."""

    scope: str
    limit: RateLimit


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for the executions of one workflow in one queue."""

    refusal: Refused | None = None
    rates: tuple[Rate, ...] = ()
    max_depth: int = 0
    caps: tuple[Cap, ...] = ()
    propagation: Propagation = Propagation.CONTINUE
    sampling: SamplingRule = SamplingRule.INHERIT
    style: Style = PLAIN

    @property
    def counts(self) -> bool:
        """Whether something has to be counted before an execution may come in."""
        return bool(self.rates or self.max_depth or self.refusing)

    @property
    def refusing(self) -> tuple[Cap, ...]:
        """Return the caps beyond which work is refused, not kept waiting."""
        return tuple(cap for cap in self.caps if cap.over_limit is OverLimit.REFUSE)


FREE = Rule()


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is defined at one moment; `strict` names the namespaces that require registration."""

    entries: tuple[Stored, ...] = ()
    strict: frozenset[str] = frozenset()
    is_capped: bool = False
    """Whether anything limits how many may run at once."""
    _workflows: dict[Named, Workflow] = field(default_factory=dict, repr=False)
    _queues: dict[Named, Queue] = field(default_factory=dict, repr=False)
    _schedules: dict[Named, Schedule] = field(default_factory=dict, repr=False)
    _webhooks: dict[str, tuple[str, Webhook]] = field(default_factory=dict, repr=False)
    _rules: dict[tuple[str, str, str], Rule] = field(default_factory=dict, repr=False)

    def workflow(self, namespace: str, workflow_id: str) -> Workflow | None:
        """Return a workflow, None if it is not registered."""
        return self._workflows.get((namespace, workflow_id))

    def queue(self, namespace: str, queue: str) -> Queue | None:
        """Return a queue's limits, None if it has none."""
        return self._queues.get((namespace, queue))

    def schedule(self, namespace: str, schedule_id: str) -> Schedule | None:
        """Return a schedule, None if there is none."""
        return self._schedules.get((namespace, schedule_id))

    def webhook(self, path: str) -> tuple[str, Webhook] | None:
        """Return namespace and webhook of a path, None if there is none."""
        return self._webhooks.get(path)

    def rule(self, namespace: str, queue: str, workflow_id: str) -> Rule:
        """Return what holds for a workflow in a queue."""
        if not self.entries and not self.strict:
            return FREE
        lane = namespace, queue, workflow_id
        known = self._rules.get(lane)
        if known is None:
            if len(self._rules) >= _MAX_RULES:
                self._rules.clear()
            known = self._rules[lane] = self._made(*lane)
        return known

    def _made(self, namespace: str, queue: str, workflow_id: str) -> Rule:
        workflow, limits = self.workflow(namespace, workflow_id), self.queue(namespace, queue)
        rates = (
            (f"workflow:{workflow_id}", workflow.rate if workflow else None),
            (f"queue:{queue}", limits.rate if limits else None),
        )
        caps = [*_caps(f"workflow:{workflow_id}", workflow.concurrency if workflow else None)]
        caps += _caps(f"queue:{queue}", limits.concurrency if limits else None)
        own, shared = workflow.tracing if workflow else AS_USUAL, limits.tracing if limits else AS_USUAL
        return Rule(
            refusal=self._refusal(namespace, workflow_id, workflow),
            rates=tuple(Rate(scope, rate) for scope, rate in rates if rate is not None),
            max_depth=limits.max_depth if limits else 0,
            caps=tuple(caps),
            propagation=own.propagation or shared.propagation or Propagation.CONTINUE,
            sampling=own.sampling or shared.sampling or SamplingRule.INHERIT,
            style=Style(
                own.live_parent or shared.live_parent or LiveParent.PROCESS,
                own.terminal_span or shared.terminal_span or TerminalSpan.FULL,
                own.settlement_logs or shared.settlement_logs or SettlementLogs.UNSAMPLED,
            ),
        )

    def _refusal(self, namespace: str, workflow_id: str, workflow: Workflow | None) -> Refused | None:
        if workflow is None and self.strict & {namespace, EVERYWHERE}:
            message = (
                f"workflow {workflow_id!r} is not registered in namespace {namespace!r}, which requires it; "
                "register it with `sidecar apply`"
            )
            return Refused(Reason.WORKFLOW_UNKNOWN, message, {"workflow_id": workflow_id})
        if workflow is not None and workflow.disabled:
            message = f"workflow {workflow_id!r} is disabled; enable it with `sidecar apply`"
            return Refused(Reason.WORKFLOW_DISABLED, message, {"workflow_id": workflow_id})
        return None


_MAX_RULES = 10_000


def _caps(scope: str, concurrency: Concurrency | None) -> tuple[Cap, ...]:
    if concurrency is None or not (concurrency.limit or concurrency.per_key):
        return ()
    return (Cap(scope, concurrency.limit, concurrency.per_key, concurrency.over_limit),)


def catalog(entries: Iterable[Stored], strict: frozenset[str] = frozenset()) -> Catalog:
    """Return the snapshot of these definitions."""
    stored = tuple(entries)
    found = Catalog(stored, strict, any(_limits(each.definition) for each in stored))
    for each in stored:
        match each.definition:
            case Workflow(workflow_id=name) as workflow:
                found._workflows[each.namespace, name] = workflow
            case Queue(queue=name) as queue:
                found._queues[each.namespace, name] = queue
            case Schedule(schedule_id=name) as schedule:
                found._schedules[each.namespace, name] = schedule
            case Webhook(path=path) as webhook:
                found._webhooks[path] = each.namespace, webhook
    return found


def _limits(definition: Definition) -> bool:
    return isinstance(definition, Workflow | Queue) and definition.concurrency != UNLIMITED


EMPTY = catalog(())
