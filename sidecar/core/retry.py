"""The retry policy: whether a failed attempt is repeated, and when."""

from datetime import timedelta

from sidecar.core.model import Execution, RetryPolicy


def may_repeat(execution: Execution, error_type: str) -> bool:
    """Say whether another attempt is left and this failure allows it."""
    policy = execution.terms.retry
    return execution.attempts < policy.max_attempts and error_type not in policy.non_retryable


def backoff(policy: RetryPolicy, attempts: int, fraction: float) -> timedelta:
    """Return how long to wait after the `attempts`-th attempt, with full jitter by `fraction` in [0, 1)."""
    try:
        grown = policy.initial_interval * policy.multiplier ** max(0, attempts - 1)
    except OverflowError:
        grown = policy.max_interval
    return min(grown, policy.max_interval) * fraction


def nanos(duration: timedelta) -> int:
    """Return a duration in nanoseconds, exactly."""
    return (duration.days * 86_400 + duration.seconds) * 1_000_000_000 + duration.microseconds * 1_000
