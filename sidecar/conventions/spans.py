"""The table of spans and log records that the product emits; the reference is rendered from it."""

from dataclasses import dataclass

from sidecar.conventions import names

CORRELATION = (
    names.EXECUTION_ID,
    names.REQUEST_ID,
    names.WORKFLOW_ID,
    names.SOURCE,
    names.TRIGGER_TYPE,
    names.NAMESPACE,
    names.WEBHOOK_ID,
    names.WEBHOOK_PROVIDER,
    names.SCHEDULE_ID,
    names.SCHEDULED_FOR,
    names.EXTERNAL_ID,
    names.PARENT_EXECUTION_ID,
    names.ROOT_EXECUTION_ID,
    names.FALLBACK,
)
"""On every span and log record, where they apply."""

MESSAGING = (
    names.MESSAGING_SYSTEM,
    names.MESSAGING_OPERATION_NAME,
    names.MESSAGING_OPERATION_TYPE,
    names.MESSAGING_DESTINATION,
    names.MESSAGING_MESSAGE_ID,
    names.MESSAGING_CONVERSATION_ID,
)

_SETTLEMENT = (
    names.TERMINAL,
    names.OUTCOME,
    names.ERROR_TYPE,
    names.ATTEMPTS,
    names.DURATION_QUEUED,
    names.DURATION_RUNNING,
    names.DURATION_PAUSED,
    names.DURATION_RETRY_WAIT,
    names.STEP_LAST_STARTED,
    names.STEP_LAST_COMPLETED,
    names.FINALIZATION_PATH,
    names.FINALIZATION_MINIMAL,
    names.CANCEL_REQUESTED,
)


@dataclass(frozen=True, slots=True)
class Emitted:
    """One kind of span, or of log record, as it is documented and emitted."""

    role: str
    name: str
    kind: str
    resource: str
    description: str
    attributes: tuple[str, ...]


SPANS: tuple[Emitted, ...] = (
    Emitted(
        "send",
        "send {queue}",
        "PRODUCER",
        "sidecar",
        "The accept: the anchor of the execution and its creation context. Its parent is the "
        "caller's own span, or it begins a trace of its own with a link to the caller. Committed with the "
        "execution, exported at once.",
        (*CORRELATION, *MESSAGING),
    ),
    Emitted(
        "start",
        "start {workflow}",
        "INTERNAL",
        "worker",
        "Exported with the claim, for workflows with `live_parent: start`: the worker's own spans hang "
        "under it while a long attempt goes on. Child of `send`.",
        (*CORRELATION, names.SEGMENT_INDEX, names.ATTEMPT_NUMBER),
    ),
    Emitted(
        "attempt",
        "process {queue}",
        "CONSUMER",
        "worker",
        "One delivery, from the claim to the end of the attempt. Child of `send`, linked to it and to "
        "the former attempt; written by the reaper if the worker is gone.",
        (
            *CORRELATION,
            *MESSAGING,
            names.MESSAGING_CONSUMER_GROUP,
            names.MESSAGING_CLIENT_ID,
            names.SEGMENT_INDEX,
            names.ATTEMPT_NUMBER,
            names.ERROR_TYPE,
        ),
    ),
    Emitted(
        "step",
        "{step name}",
        "INTERNAL",
        "worker",
        "A step that the worker reported, under its attempt or the step around it.",
        (*CORRELATION, names.SEGMENT_INDEX, names.ATTEMPT_NUMBER, names.STEP_NAME, names.ERROR_TYPE),
    ),
    Emitted(
        "terminal",
        "execution {workflow}",
        "INTERNAL",
        "sidecar",
        "The terminal span: accept to outcome, or the settlement alone with `terminal_span: summary`. "
        "Committed in the transaction of the terminal state, once.",
        (*CORRELATION, *_SETTLEMENT),
    ),
)

LOGS: tuple[Emitted, ...] = (
    Emitted(
        "settlement_log",
        names.SETTLED_EVENT,
        "INFO or ERROR",
        "sidecar",
        "The settlement, under the ids of the terminal span: of an execution whose spans are not written, "
        "or of all, as the workflow or queue says.",
        (*CORRELATION, *_SETTLEMENT),
    ),
)

LINK_ATTRIBUTES = (names.LINK_KIND,)
"""On the links of `process`: `creation` or `former_attempt`; on that of `send`: `caller`."""
