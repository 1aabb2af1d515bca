"""What a caller may ask for beside the work itself."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.v1 import execution_pb2 as pb


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a failed attempt is repeated."""

    max_attempts: int = 1
    initial_interval: timedelta = timedelta(seconds=1)
    max_interval: timedelta = timedelta(minutes=5)
    multiplier: float = 2.0
    non_retryable: tuple[str, ...] = ()

    def message(self) -> pb.RetryPolicy:
        """Return it as the API has it."""
        return pb.RetryPolicy(
            max_attempts=self.max_attempts,
            initial_interval=duration(self.initial_interval),
            max_interval=duration(self.max_interval),
            multiplier=self.multiplier,
            non_retryable=self.non_retryable,
        )


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits in time; None is no limit."""

    in_queue: timedelta | None = None
    attempt: timedelta | None = None
    total: timedelta | None = None

    def message(self) -> pb.Deadlines:
        """Return it as the API has it."""
        return pb.Deadlines(
            in_queue=duration(self.in_queue), attempt=duration(self.attempt), total=duration(self.total)
        )


def duration(value: timedelta | float | None) -> Duration | None:
    """Return a timedelta, or seconds, as a message; None stays absent."""
    if value is None:
        return None
    message = Duration()
    message.FromTimedelta(value if isinstance(value, timedelta) else timedelta(seconds=value))
    return message


def timestamp(value: datetime) -> Timestamp:
    """Return a time as a message.

    Raises:
        ValueError: when it names no time zone, and so no moment.
    """
    if value.tzinfo is None:
        raise ValueError(f"run_at: {value.isoformat()} has no time zone")
    message = Timestamp()
    message.FromDatetime(value.astimezone(UTC))
    return message


def seconds(value: timedelta | float) -> float:
    """Return a duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value
