"""The one finish line: settles an execution and hands over the facts of its terminal span.

Every exit comes through `finalize`: success, failure, cancellation, timeout, expiry, lost lease,
refusal. Nothing else writes a terminal record, moves a state into a terminal one, or emits a
terminal span.
"""

from dataclasses import dataclass

from sidecar.core import attempts, spans
from sidecar.core.folio import Folio, Limits
from sidecar.core.lifecycle import Move, after
from sidecar.core.model import Execution, Failure, Path, Recording, TerminalRecord
from sidecar.core.style import SettlementLogs


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an execution is to end as, and how that came about.

    `attempt_failure` is what the attempt that is still open ended with, where that is not `failure`:
    a cancelled execution may have ended by a lost lease.
    """

    move: Move
    path: Path
    failure: Failure | None = None
    attempt_failure: Failure | None = None
    output: bytes | None = None
    content_type: str = ""
    output_missing: bool = False
    digest: bytes | None = None


def finalize(folio: Folio, execution: Execution, verdict: Verdict) -> None:
    """Settle `execution` as `verdict` says: record, terminal span and the end of its attempt at once.

    Raises:
        IllegalMoveError: if it is terminal already; callers look first and answer with the record.
    """
    state = after(execution.state, verdict.move)
    attempts.leave_state(execution, folio.now)
    attempts.close(folio, execution, verdict.failure, verdict.attempt_failure, verdict.digest)
    execution.state = state
    execution.state_since = folio.now
    execution.lease_expires_at = None
    execution.terminal = _record(folio, verdict)
    folio.touch(execution)
    folio.feed_back(execution)
    _emit(folio, execution)


def _record(folio: Folio, verdict: Verdict) -> TerminalRecord:
    minimal = _left_out(folio, verdict)
    output = verdict.output if minimal is None else None
    return TerminalRecord(
        finalized_at=folio.now,
        path=verdict.path,
        output=output,
        output_content_type=verdict.content_type if output is not None else "",
        output_missing=minimal is not None,
        failure=bounded(verdict.failure, folio.limits),
        minimal=minimal,
        digest=verdict.digest,
    )


def _left_out(folio: Folio, verdict: Verdict) -> str | None:
    """Say why the output cannot be kept, None if it can: a success stands all the same."""
    if verdict.output_missing:
        return "output left out by the worker"
    size, limit = len(verdict.output or b""), folio.limits.max_output_bytes
    return f"output of {size} bytes is over the limit of {limit}" if size > limit else None


def bounded(failure: Failure | None, limits: Limits) -> Failure | None:
    """Return the failure with its texts cut to what a record keeps, and without NUL."""
    if failure is None:
        return None
    return Failure(
        failure.type.replace("\0", "�")[:256] or "unknown",
        failure.message.replace("\0", "�")[: limits.max_error_message],
        failure.stack.replace("\0", "�")[: limits.max_error_stack],
    )


def _emit(folio: Folio, execution: Execution) -> None:
    if execution.anchor.recording is Recording.SAMPLED:
        folio.emit(spans.terminal_span(execution), execution)
    if folio.limits.settlement_logs and _is_logged(execution):
        folio.emit(spans.settlement_log(execution), execution)


def _is_logged(execution: Execution) -> bool:
    wanted = execution.terms.style.settlement_logs
    unsampled = execution.anchor.recording is Recording.UNSAMPLED
    return wanted is SettlementLogs.ALL or (wanted is SettlementLogs.UNSAMPLED and unsampled)
