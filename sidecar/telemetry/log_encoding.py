"""One log record as OTLP bytes, within limits.

Source: `opentelemetry/proto/logs/v1/logs.proto`.
"""

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import (
    SEVERITY_NUMBER_DEBUG,
    SEVERITY_NUMBER_ERROR,
    SEVERITY_NUMBER_INFO,
    SEVERITY_NUMBER_UNSPECIFIED,
    SEVERITY_NUMBER_WARN,
    LogRecord,
)

from sidecar.core.facts import LogFacts
from sidecar.telemetry.attributes import AttributeWriter
from sidecar.telemetry.limits import MAX_DESCRIPTION, LogLimits
from sidecar.telemetry.span_encoding import clean, identity, instant

_ATTRIBUTES = 6
_FLAGS = 0xFF
_SEVERITIES = {
    "DEBUG": SEVERITY_NUMBER_DEBUG,
    "INFO": SEVERITY_NUMBER_INFO,
    "WARN": SEVERITY_NUMBER_WARN,
    "ERROR": SEVERITY_NUMBER_ERROR,
}


class LogWriter:
    """Turns the facts of a log record into the bytes of an OTLP LogRecord."""

    def __init__(self, limits: LogLimits) -> None:
        self._attributes = AttributeWriter(_ATTRIBUTES, limits.attributes, limits.attribute_length)

    def write(self, facts: LogFacts) -> bytes:
        """Return the whole record; attributes over a limit are dropped and counted in it."""
        attributes, dropped = self._attributes.write(facts.attributes)
        record = _frame(facts)
        record.dropped_attributes_count = dropped
        return record.SerializeToString(deterministic=True) + attributes

    def write_minimal(self, facts: LogFacts) -> bytes:
        """Return ids, time, body and the mark that the rest had to be left out."""
        attributes, dropped = self._attributes.write_minimal(facts.attributes)
        record = _frame(facts)
        record.dropped_attributes_count = dropped
        return record.SerializeToString(deterministic=True) + attributes


def _frame(facts: LogFacts) -> LogRecord:
    return LogRecord(
        time_unix_nano=instant(facts.at),
        observed_time_unix_nano=instant(facts.at),
        severity_number=_SEVERITIES.get(facts.severity, SEVERITY_NUMBER_UNSPECIFIED),
        severity_text=clean(facts.severity),
        body=AnyValue(string_value=clean(facts.body[:MAX_DESCRIPTION])),
        flags=facts.flags & _FLAGS,
        trace_id=identity(facts.trace_id, 16),
        span_id=identity(facts.span_id, 8),
        event_name=clean(facts.event_name),
    )
