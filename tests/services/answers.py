"""What the OTLP sink says to a request: yes, no with a code, not yet, or nothing at all."""

from dataclasses import dataclass
from typing import TypeAlias

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True)
class Ok:
    """Take the request and say so."""


@dataclass(frozen=True)
class Slow:
    """Take the request at once, but say so only later: maybe after the caller's deadline."""

    seconds: float


@dataclass(frozen=True)
class Partial:
    """Take the request, and say that so many of its items were rejected."""

    rejected: int
    message: str = ""


@dataclass(frozen=True)
class Reset:
    """Take the request, and reset the connection instead of an answer."""


@dataclass(frozen=True)
class Hang:
    """Take nothing and say nothing, until the caller gives up or the sink's answer changes."""


@dataclass(frozen=True)
class Code:
    """Take nothing and answer with a status, with RetryInfo if a time to retry after is given."""

    status: grpc.StatusCode
    message: str = ""
    retry_after: float | None = None

    def trailer(self) -> tuple[tuple[str, bytes], ...]:
        """The trailing metadata in which a status carries its details."""
        if self.retry_after is None:
            return ()
        details = Any()
        delay = Duration()
        delay.FromNanoseconds(round(self.retry_after * 1e9))
        details.Pack(RetryInfo(retry_delay=delay))
        number: int = self.status.value[0]
        status = Status(code=number, message=self.message, details=[details])
        return ((DETAILS, status.SerializeToString()),)


Answer: TypeAlias = Ok | Slow | Partial | Reset | Hang | Code


def takes(answer: Answer) -> bool:
    """Whether a request so answered is with the receiver, whatever its sender came to know."""
    return not isinstance(answer, Hang | Code)
