"""The table of metrics that the product emits: instruments are made from it, and so is the reference."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.conventions import names


class Instrument(StrEnum):
    """OpenTelemetry's instruments that the product uses."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it is documented and emitted."""

    name: str
    instrument: Instrument
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_DAYS = (
    0.01,
    0.05,
    0.1,
    0.5,
    1,
    5,
    10,
    30,
    60,
    300,
    900,
    1_800,
    3_600,
    14_400,
    43_200,
    86_400,
    259_200,
    604_800,
)
_COMMITS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_CALLS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)

METRICS: tuple[Metric, ...] = (
    Metric(
        names.EXECUTION_DURATION,
        Instrument.HISTOGRAM,
        "s",
        "From the accept of an execution to its outcome.",
        (names.WORKFLOW_ID, names.OUTCOME, names.ERROR_TYPE),
        _DAYS,
    ),
    Metric(
        names.FINALIZATION_CONFLICTS,
        Instrument.COUNTER,
        "{settlement}",
        "Settlements that lost: the execution had its outcome already, or the lease had passed on.",
    ),
    Metric(names.COMMIT_SIZE, Instrument.HISTOGRAM, "{command}", "Commands in one commit.", buckets=_SIZES),
    Metric(
        names.COMMIT_DURATION,
        Instrument.HISTOGRAM,
        "s",
        "From the begin to the end of a commit.",
        buckets=_COMMITS,
    ),
    Metric(
        names.QUEUE_MESSAGES,
        Instrument.GAUGE,
        "{execution}",
        "Executions that have not ended.",
        (names.MESSAGING_DESTINATION, names.STATE),
    ),
    Metric(
        names.QUEUE_OLDEST_AGE,
        Instrument.GAUGE,
        "s",
        "Age of the execution that has waited longest; 0 if none does.",
    ),
    Metric(
        names.OUTBOX_SPANS, Instrument.GAUGE, "{span}", "Spans and log records that wait for their delivery."
    ),
    Metric(
        names.OUTBOX_OLDEST_AGE,
        Instrument.GAUGE,
        "s",
        "Age of the oldest row that waits for its delivery; 0 if none.",
    ),
    Metric(
        names.OUTBOX_DELIVERED, Instrument.COUNTER, "{span}", "Spans and log records that the collector took."
    ),
    Metric(
        names.OUTBOX_REJECTED,
        Instrument.COUNTER,
        "{span}",
        "Spans and log records that the collector rejected in a request it otherwise took.",
    ),
    Metric(
        names.OUTBOX_DEAD_LETTERED,
        Instrument.COUNTER,
        "{span}",
        "Spans and log records in rows that the collector will never take; they are kept.",
    ),
    Metric(
        names.RPC_DURATION,
        Instrument.HISTOGRAM,
        "s",
        "Duration of a call to the sidecar.",
        (names.RPC_SYSTEM, names.RPC_METHOD, names.RPC_STATUS, names.ERROR_TYPE),
        _CALLS,
    ),
)
