"""What an outside process has to tell a sidecar of one execution, kept in a file until it is told."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from sidecar.v1 import definitions_pb2 as definitions
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work

M = TypeVar("M", bound=Message)

VERSION: Final = 1
OLDEST: Final = timedelta(days=30)
"""How long ago a sidecar lets work have been handed in."""


class UnreadableError(ValueError):
    """A file does not hold what this version writes; the text says why."""


class NewerVersionError(UnreadableError):
    """A file was written by a later version, which may read it again."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """The commands of one execution in their order, each with when it was given.

    `expected` is the schedule whose occurrence it may be: then `begin` may name an execution of that
    schedule instead of the one that `register` makes. `settlement` has an empty lease until one is known.
    """

    target: str
    register: api.EnqueueExecutionRequest
    registered_at: datetime
    begin: work.BeginRequest
    begun_at: datetime
    expected: definitions.Schedule | None = None
    settlement: work.Settlement | None = None
    settled_at: datetime | None = None

    @property
    def execution_id(self) -> str:
        """Of the execution that is begun."""
        return self.begin.execution_id

    @property
    def is_occurrence(self) -> bool:
        """True when what is begun was registered by other means: as the occurrence of a schedule."""
        return self.begin.execution_id != self.register.item.execution_id

    def beginning(self, execution_id: str) -> Self:
        """Return the same of another execution."""
        begin = work.BeginRequest()
        begin.CopyFrom(self.begin)
        begin.execution_id = execution_id
        return replace(self, begin=begin)

    def ended(self, settlement: work.Settlement, at: datetime) -> Self:
        """Return the same with how it ended."""
        return replace(self, settlement=settlement, settled_at=at)

    def registration(self, now: datetime | None) -> api.EnqueueExecutionRequest:
        """Return the enqueue; told late (`now` given) it says how long ago it was handed in."""
        request = api.EnqueueExecutionRequest()
        request.CopyFrom(self.register)
        if now is not None:
            request.item.accepted_ago.FromTimedelta(_ago(now, self.registered_at))
        return request

    def beginning_now(self, now: datetime | None) -> work.BeginRequest:
        """Return the begin; told late (`now` given) it says how long ago it began."""
        request = work.BeginRequest()
        request.CopyFrom(self.begin)
        if now is not None:
            request.begun_ago.FromTimedelta(_ago(now, self.begun_at))
        return request

    def encoded(self) -> bytes:
        """Return it as the text of a file."""
        commands = [_command("register", self.register, self.registered_at)]
        if self.expected is not None:
            commands.insert(0, _command("expect", self.expected, self.registered_at))
        commands.append(_command("begin", self.begin, self.begun_at))
        if self.settlement is not None:
            commands.append(_command("settle", self.settlement, self.settled_at or self.begun_at))
        document = {"version": VERSION, "target": self.target, "commands": commands}
        return json.dumps(document, indent=1).encode() + b"\n"


def decoded(data: bytes) -> Spooled:
    """Return what a file holds.

    Raises:
        NewerVersionError: if a later version wrote it.
        UnreadableError: if it is not whole, or not ours.
    """
    try:
        document = json.loads(data)
        if document["version"] > VERSION:
            raise NewerVersionError(
                f"version {document['version']} is later than {VERSION}: upgrade to read it"
            )
        commands = {kind: each for each in document["commands"] for kind in each if kind != "at"}
        return _read(document["target"], commands)
    except UnreadableError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"not a spooled execution: {type(error).__name__}: {error}"[:500]) from error


def now() -> datetime:
    """Return the time of day, as files keep it."""
    return datetime.now(UTC)


def _read(target: object, commands: dict[str, dict[str, Any]]) -> Spooled:
    register, registered_at = _parsed(commands["register"], "register", api.EnqueueExecutionRequest)
    begin, begun_at = _parsed(commands["begin"], "begin", work.BeginRequest)
    if not isinstance(target, str) or not (begin.execution_id and register.item.execution_id):
        raise UnreadableError("not a spooled execution: it has no target or no execution id")
    told = Spooled(target, register, registered_at, begin, begun_at)
    if "expect" in commands:
        expected, _ = _parsed(commands["expect"], "expect", definitions.Schedule)
        told = replace(told, expected=expected)
    if "settle" in commands:
        told = told.ended(*_parsed(commands["settle"], "settle", work.Settlement))
    return told


def _command(kind: str, message: Message, at: datetime) -> dict[str, Any]:
    return {kind: json_format.MessageToDict(message), "at": at.isoformat()}


def _parsed(command: dict[str, Any], kind: str, new: Callable[[], M]) -> tuple[M, datetime]:
    at = datetime.fromisoformat(command["at"])
    if at.tzinfo is None:
        raise UnreadableError(f"not a spooled execution: {kind} has a time without a zone")
    try:
        return json_format.ParseDict(command[kind], new()), at
    except json_format.ParseError as error:
        raise UnreadableError(f"not a spooled execution: {kind}: {error}"[:500]) from error


def _ago(later: datetime, earlier: datetime) -> timedelta:
    """Return the time between, within what a sidecar believes, as clocks may have been set meanwhile."""
    return min(max(later - earlier, timedelta()), OLDEST - timedelta(minutes=1))
