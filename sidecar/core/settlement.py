"""What a worker's report leads to: an outcome, another attempt, or a refusal."""

from sidecar.conventions import names
from sidecar.core import attempts
from sidecar.core.commands import Cancellation, Fault, Settle, Settled, Success
from sidecar.core.fencing import refuse_late, unknown
from sidecar.core.finalizer import Verdict, bounded, finalize
from sidecar.core.folio import Folio
from sidecar.core.lifecycle import Move, State, after
from sidecar.core.model import Execution, Failure, Path
from sidecar.core.refusals import Refused
from sidecar.core.retry import backoff, may_repeat, nanos


def settle(folio: Folio, command: Settle) -> Settled | Refused:
    """Take a worker's report. The first wins; its repeat is answered as it was; any other is refused."""
    execution = folio.executions.get(command.ref.key)
    if execution is None:
        return unknown(command.ref.key)
    if _replays(folio, execution, command):
        return Settled(execution, replayed=True)
    attempt = execution.attempt
    if execution.is_terminal or attempt is None or not _holds(execution, command):
        return refuse_late(folio, execution, command.ref, "settlement")
    match command.report:
        case Success() as success:
            _succeed(folio, execution, success, command.digest)
        case Fault() as fault:
            fail_attempt(folio, execution, fault, command.digest, Path.COMPLETED)
        case Cancellation() as cancellation:
            _give_up(folio, execution, cancellation, command.digest)
    return Settled(execution)


def _holds(execution: Execution, command: Settle) -> bool:
    attempt = execution.attempt
    return (
        execution.state is State.RUNNING
        and attempt is not None
        and attempt.fence == command.ref.fence
        and attempt.token == command.ref.token
    )


def _replays(folio: Folio, execution: Execution, command: Settle) -> bool:
    ref, attempt = command.ref, execution.attempt
    if execution.terminal is not None and attempt is not None and attempt.fence == ref.fence:
        return attempt.token == ref.token and execution.terminal.digest == command.digest
    ended = folio.ended.get((ref.key, ref.fence))
    return ended is not None and ended.token == ref.token and ended.digest == command.digest


def _succeed(folio: Folio, execution: Execution, success: Success, digest: bytes) -> None:
    verdict = Verdict(
        Move.SUCCEED,
        Path.COMPLETED,
        output=success.output,
        content_type=success.content_type,
        output_missing=success.output_missing,
        digest=digest,
    )
    finalize(folio, execution, verdict)


def fail_attempt(folio: Folio, execution: Execution, fault: Fault, digest: bytes | None, path: Path) -> None:
    """End an attempt that failed: another one, a failure, or the cancellation that was asked for."""
    failure = bounded(fault.failure, folio.limits) or fault.failure
    retryable = not fault.final and failure.type not in execution.terms.retry.non_retryable
    if execution.cancel is not None and retryable and failure.type != names.TYPE_TIMEOUT:
        cancelled = Verdict(Move.CANCEL, Path.CANCELLED, attempt_failure=failure, digest=digest)
        finalize(folio, execution, cancelled)
    elif execution.cancel is None and retryable and may_repeat(execution, failure.type):
        _repeat(folio, execution, fault, failure, digest)
    else:
        finalize(folio, execution, Verdict(Move.FAIL, path, failure=failure, digest=digest))


def _repeat(folio: Folio, execution: Execution, fault: Fault, failure: Failure, digest: bytes | None) -> None:
    policy = execution.terms.retry
    wait = fault.retry_after
    if wait is None:
        wait = backoff(policy, execution.attempts, folio.chance.fraction())
    attempts.end(folio, execution, failure, digest)
    attempts.leave_state(execution, folio.now)
    execution.state = after(execution.state, Move.RETRY)
    execution.state_since = folio.now
    execution.lease_expires_at = None
    execution.run_at = folio.now + nanos(wait)
    folio.touch(execution)


def _give_up(folio: Folio, execution: Execution, report: Cancellation, digest: bytes) -> None:
    if report.reason == names.REASON_DEADLINE or _past_deadline(folio, execution):
        timeout = Failure(names.TYPE_TIMEOUT, "the worker gave up at its deadline")
        fail_attempt(folio, execution, Fault(timeout, _past_total(folio, execution)), digest, Path.COMPLETED)
    elif execution.cancel is not None:
        finalize(folio, execution, Verdict(Move.CANCEL, Path.CANCELLED, digest=digest))
    else:
        message = f"the worker gave up without having been asked: {report.reason or 'no reason given'}"
        failure = Failure(names.TYPE_WORKER_CANCELLED, message)
        finalize(folio, execution, Verdict(Move.FAIL, Path.COMPLETED, failure=failure, digest=digest))


def _past_deadline(folio: Folio, execution: Execution) -> bool:
    attempt = execution.attempt
    limit = attempt.deadline_at if attempt else None
    return limit is not None and folio.now >= limit


def _past_total(folio: Folio, execution: Execution) -> bool:
    limit = execution.terms.deadline_at
    return limit is not None and folio.now >= limit
