"""Policies, from the wire to the core's own words: retries, deadlines, rates, concurrency and tracing."""

import math
from datetime import timedelta

from sidecar.core.definitions import (
    Concurrency,
    Deadlines,
    OverLimit,
    Propagation,
    RateLimit,
    SamplingRule,
    Tracing,
)
from sidecar.core.model import RetryPolicy
from sidecar.core.style import LiveParent, SettlementLogs, TerminalSpan
from sidecar.transport.fields import bounded_int, duration, identifier, refuse
from sidecar.transport.words import word
from sidecar.v1 import definitions_pb2 as definitions
from sidecar.v1 import execution_pb2 as pb

MAX_NON_RETRYABLE = 64
MAX_ATTEMPTS = 10_000
MAX_LIMIT = 1_000_000
"""Of a rate or a concurrency."""
SHORTEST_PER = timedelta(milliseconds=1)
LONGEST_PER = timedelta(days=366)


def retry(name: str, wire: pb.RetryPolicy) -> RetryPolicy:
    """Return a retry policy; what is left open has its default."""
    default = RetryPolicy()
    multiplier = wire.multiplier or default.multiplier
    if not (math.isfinite(multiplier) and 1 <= multiplier <= 100):
        refuse(f"{name}.multiplier", wire.multiplier, "must be between 1 and 100")
    bounded_int(f"{name}.non_retryable", len(wire.non_retryable), 0, MAX_NON_RETRYABLE)
    return RetryPolicy(
        max_attempts=bounded_int(f"{name}.max_attempts", wire.max_attempts or 1, 1, MAX_ATTEMPTS),
        initial_interval=duration(wire, "initial_interval", f"{name}.initial_interval", positive=False)
        or default.initial_interval,
        max_interval=duration(wire, "max_interval", f"{name}.max_interval") or default.max_interval,
        multiplier=multiplier,
        non_retryable=tuple(identifier(f"{name}.non_retryable", t) for t in wire.non_retryable),
    )


def deadlines(name: str, wire: pb.Deadlines) -> Deadlines:
    """Return limits in time."""
    return Deadlines(
        in_queue=duration(wire, "in_queue", f"{name}.in_queue"),
        attempt=duration(wire, "attempt", f"{name}.attempt"),
        total=duration(wire, "total", f"{name}.total"),
    )


def rate(name: str, wire: definitions.RateLimit) -> RateLimit:
    """Return how many may come in."""
    limit = bounded_int(f"{name}.limit", wire.limit, 1, MAX_LIMIT)
    per = duration(wire, "per", f"{name}.per")
    if per is None:
        refuse(f"{name}.per", "", "is required, such as 1 s")
    if not SHORTEST_PER <= per <= LONGEST_PER:
        refuse(f"{name}.per", str(per), "must be between 1 ms and 366 days")
    return RateLimit(limit, per, bounded_int(f"{name}.burst", wire.burst, 0, limit))


def concurrency(name: str, wire: definitions.Concurrency) -> Concurrency:
    """Return how many may run at once."""
    return Concurrency(
        limit=bounded_int(f"{name}.limit", wire.limit, 0, MAX_LIMIT),
        per_key=bounded_int(f"{name}.per_key", wire.per_key, 0, MAX_LIMIT),
        over_limit=word(f"{name}.over_limit", wire.over_limit, definitions.OverLimit, OverLimit)
        or OverLimit.WAIT,
    )


def tracing(name: str, wire: definitions.Tracing) -> Tracing:
    """Return how executions are traced."""
    return Tracing(
        propagation=propagation(f"{name}.propagation", wire.propagation),
        live_parent=word(f"{name}.live_parent", wire.live_parent, definitions.LiveParent, LiveParent),
        sampling=word(f"{name}.sampling", wire.sampling, definitions.SamplingRule, SamplingRule),
        terminal_span=word(
            f"{name}.terminal_span", wire.terminal_span, definitions.TerminalSpan, TerminalSpan
        ),
        settlement_logs=word(
            f"{name}.settlement_logs", wire.settlement_logs, definitions.SettlementLogs, SettlementLogs
        ),
    )


def propagation(name: str, value: definitions.Propagation.ValueType) -> Propagation | None:
    """Return what becomes of the caller's trace context, None where that is left open."""
    return word(name, value, definitions.Propagation, Propagation)
