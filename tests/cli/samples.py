"""Records as the client would have read them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sidecar.client import Account, Correlation, Execution, Failure, Span, State, Trace, Verification
from sidecar.conventions import names

AT = datetime(2026, 11, 22, 20, 0, 0, 123_000, tzinfo=UTC)
NOTHING = Account(0, 0, 0, 0, 0, 0, 0, 0)


def execution(state: State = State.SUCCEEDED, **changes: object) -> Execution:
    made = Execution(
        correlation=Correlation("default", "e-1", "r-1", "bill"),
        state=state,
        version=4,
        queue="default",
        attempts=1,
        accepted_at=AT,
        output=b'{"a":1}',
        output_content_type="application/json",
        error=Failure("timeout", "over [2 s]") if state is State.FAILED else None,
        trace_id="ab" * 16,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def span(name: str, span_id: str, parent: str = "", **changes: object) -> Span:
    made = Span(
        name=name,
        kind="INTERNAL",
        span_id=span_id,
        parent_span_id=parent,
        start=AT,
        end=AT + timedelta(milliseconds=12.5),
        attributes={},
        links=(),
        error_type="",
        error_message="",
        delivery="delivered",
        service="sidecar",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def trace() -> Trace:
    terminal = {names.TERMINAL: "true", names.OUTCOME: "failed"}
    return Trace(
        "ab" * 16,
        (
            span("execution bill", "t", "s", attributes=terminal, error_type="timeout"),
            span("parse", "p1", "a1", start=AT + timedelta(seconds=1), end=None, delivery="open"),
            span("read", "r1", "a1"),
            span("process default", "a1", "s", kind="CONSUMER", attributes={names.ATTEMPT_NUMBER: "1"}),
            span("send default", "s", "c0ffee", kind="PRODUCER"),
        ),
    )


def verification(account: Account = NOTHING) -> Verification:
    return Verification(account, {"SUCCEEDED": 2}, ())
