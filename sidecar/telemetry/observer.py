"""The observer: measures each settlement, and logs it with the ids that it can be found by."""

import logging

import structlog

from sidecar.core.model import Execution
from sidecar.telemetry.guarded import guarded
from sidecar.telemetry.metrics import OtlpMeter

_log = structlog.get_logger("sidecar.execution")


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
        _log.log(
            logging.INFO if failure or execution.cancel else logging.DEBUG,
            "execution.settled",
            namespace=ids.namespace,
            execution_id=ids.execution_id,
            request_id=ids.request_id,
            workflow_id=ids.workflow_id,
            trace_id=execution.anchor.trace_id,
            span_id=execution.anchor.terminal_span_id,
            outcome=execution.state.lower(),
            path=record.path.value,
            attempts=execution.attempts,
            error_type=failure.type if failure else None,
        )
