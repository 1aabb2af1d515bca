"""The observer: measures each settlement, and logs it with the ids that it can be found by."""

import logging
from dataclasses import asdict, replace

import structlog

from sidecar.core.correlation import Correlation
from sidecar.core.model import Execution
from sidecar.telemetry.guarded import guarded
from sidecar.telemetry.metrics import OtlpMeter

_log = structlog.get_logger("sidecar.execution")
_standard = logging.getLogger("sidecar.execution")


def correlation_fields(ids: Correlation) -> dict[str, str | int]:
    """Return the correlation as the fields of a log line, without those that have no value.

    The path of a webhook may be a secret: it is in the record only.
    """
    fields = asdict(replace(ids, path=None))
    return {name: value for name, value in fields.items() if value not in (None, False)}


class Observer(OtlpMeter):
    """The meter of the house; what did not succeed is logged at `info`, what did at `debug`."""

    @guarded
    def settled(self, execution: Execution) -> None:
        """Count one terminal execution, and log it."""
        super().settled(execution)
        record = execution.terminal
        if record is None:
            return
        ids, failure = execution.correlation, record.failure
        level = logging.INFO if failure or execution.cancel else logging.DEBUG
        if not _standard.isEnabledFor(level):
            return
        _log.log(
            level,
            "execution.settled",
            **correlation_fields(ids),
            trace_id=execution.anchor.trace_id,
            span_id=execution.anchor.terminal_span_id,
            outcome=execution.state.lower(),
            path=record.path.value,
            attempts=execution.attempts,
            error_type=failure.type if failure else None,
        )
