"""Structured values kept as text, and what may not stand in a text."""

import json
from datetime import timedelta
from functools import lru_cache

from sidecar.conventions.carrier import Carrier
from sidecar.core.model import Attributes, RetryPolicy
from sidecar.core.style import PLAIN, LiveParent, SettlementLogs, Style, TerminalSpan

_MICROSECOND = timedelta(microseconds=1)
_DEFAULT_RETRY = RetryPolicy()


def storable(text: str) -> str:
    """Return the text without what PostgreSQL or UTF-8 cannot hold: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def attributes_text(attributes: Attributes) -> str | None:
    """Return attributes as JSON, None without any."""
    return storable(json.dumps(attributes, separators=(",", ":"))) if attributes else None


def attributes_from(text: str | None) -> Attributes:
    """Return the attributes that a text holds."""
    if not text:
        return ()
    return tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in json.loads(text))


def microseconds(duration: timedelta | None) -> int | None:
    """Return a duration as a whole number, exact."""
    return None if duration is None else duration // _MICROSECOND


def duration_from(value: int | None) -> timedelta | None:
    """Return the duration that a number stands for."""
    return None if value is None else timedelta(microseconds=value)


def retry_text(policy: RetryPolicy) -> str | None:
    """Return a retry policy as JSON, None for the default one."""
    return None if policy == _DEFAULT_RETRY else _written(policy)


@lru_cache(maxsize=256)
def _written(policy: RetryPolicy) -> str:
    initial, longest = policy.initial_interval // _MICROSECOND, policy.max_interval // _MICROSECOND
    return json.dumps([policy.max_attempts, initial, longest, policy.multiplier, policy.non_retryable])


@lru_cache(maxsize=256)
def retry_from(text: str | None) -> RetryPolicy:
    """Return the retry policy that a text holds."""
    if text is None:
        return _DEFAULT_RETRY
    attempts, initial, longest, multiplier, final = json.loads(text)
    return RetryPolicy(
        attempts,
        timedelta(microseconds=initial),
        timedelta(microseconds=longest),
        multiplier,
        tuple(final),
    )


def link_text(link: Carrier | None) -> str | None:
    """Return the context that a trace links to as its two headers in two lines."""
    return None if link is None else f"{link.traceparent}\n{link.tracestate}"


def link_from(text: str | None) -> Carrier | None:
    """Return the context that a text holds."""
    if text is None:
        return None
    traceparent, _, tracestate = text.partition("\n")
    return Carrier(traceparent, tracestate)


@lru_cache(maxsize=64)
def style_text(style: Style) -> str | None:
    """Return how spans are written as three words, None for the default."""
    if style == PLAIN:
        return None
    return " ".join((style.live_parent, style.terminal_span, style.settlement_logs))


@lru_cache(maxsize=64)
def style_from(text: str | None) -> Style:
    """Return the style that a text holds."""
    if text is None:
        return PLAIN
    live_parent, terminal_span, settlement_logs = text.split()
    return Style(LiveParent(live_parent), TerminalSpan(terminal_span), SettlementLogs(settlement_logs))
