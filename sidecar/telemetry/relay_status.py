"""What a relay is doing and how fast it goes about it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class RelayState(StrEnum):
    """Where a relay stands, for health and logs."""

    IDLE = "idle"
    """Everything in the outbox is accounted for."""
    SENDING = "sending"
    """Rows are on their way."""
    BACKING_OFF = "backing_off"
    """The collector cannot be reached or asked for patience; tried again by itself."""
    PAUSED = "paused"
    """Somebody must change the configuration here or there; probed slowly."""
    STOPPED = "stopped"
    """Closed; what is left waits for the next start."""


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """A relay's state and, if it is not well, why."""

    state: RelayState
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing stands in the way of a delivery."""
        return self.state in (RelayState.IDLE, RelayState.SENDING)


@dataclass(frozen=True, slots=True)
class Pace:
    """A relay's times.

    `linger` lets a few commits share a request; `sweep` finds rows that another process left claimed,
    of which no wake-up tells.
    """

    linger: timedelta = timedelta(milliseconds=20)
    lease: timedelta = timedelta(seconds=15)
    sweep: timedelta = timedelta(seconds=15)
    probe: timedelta = timedelta(seconds=60)
    first_retry: timedelta = timedelta(milliseconds=250)
    last_retry: timedelta = timedelta(seconds=10)
    farewell: timedelta = timedelta(seconds=2)
