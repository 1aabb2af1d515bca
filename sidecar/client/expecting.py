"""Expectations: a schedule whose occurrences an outside cron runs, and the one that is due now."""

from datetime import datetime, timedelta
from typing import Final

from sidecar.client.channel import Connection
from sidecar.client.errors import NotFoundError
from sidecar.client.external import asked
from sidecar.client.options import duration
from sidecar.client.records import instant
from sidecar.conventions.carrier import BAGGAGE, TRACEPARENT, TRACESTATE
from sidecar.v1 import definitions_pb2 as definitions
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import registry_service_pb2 as registry
from sidecar.v1 import schedule_service_pb2 as schedules

EARLY: Final = timedelta(seconds=5)
"""How much a cron's clock may run ahead of the sidecar's."""


class Expectations:
    """Lives on the I/O thread. Each call is repeated for `within` seconds while the sidecar is away."""

    def __init__(self, connection: Connection, within: float) -> None:
        self._connection = connection
        self._within = within

    async def ensure(self, namespace: str, wanted: definitions.Schedule) -> None:
        """Have the schedule stand with what is wanted of it; what else was defined of it stays.

        Raises:
            SidecarError: the refusal, naming what is wrong with the schedule.
        """
        standing = await self._standing(namespace, wanted.schedule_id)
        merged = definitions.Schedule()
        merged.CopyFrom(standing or wanted)
        for owned in ("queue", "deadlines"):  # what this run no longer asks for must not settle it
            merged.ClearField(owned)
        merged.MergeFrom(wanted)
        if merged == standing:
            return
        request = registry.ApplyDefinitionsRequest(
            namespace=namespace, definitions=[definitions.Definition(schedule=merged)]
        )
        stub = self._connection.registry
        await asked(lambda left: stub.ApplyDefinitions(request, timeout=left), self._within)

    async def due(
        self, namespace: str, expected: definitions.Schedule, began_at: datetime, caller: api.EnqueueItem
    ) -> str | None:
        """Return the execution of the occurrence that began then; None if it was beside the timetable.

        The one that this call itself fires has the request id and the trace of the `caller`.
        """
        request = schedules.RunDueRequest(
            namespace=namespace,
            schedule_id=expected.schedule_id,
            request_id=caller.request_id,
            early=duration(EARLY),
        )
        stub, context = self._connection.schedules, _metadata(caller.carrier)
        answer = await asked(lambda left: stub.RunDue(request, timeout=left, metadata=context), self._within)
        earliest = began_at - expected.expect_within.ToTimedelta()
        found = [
            (planned, each.correlation.execution_id)
            for each in answer.executions
            if _is_open(each)
            and (planned := instant(each.correlation, "scheduled_for")) is not None
            and earliest <= planned <= began_at + EARLY
        ]
        return max(found)[1] if found else None

    async def _standing(self, namespace: str, schedule_id: str) -> definitions.Schedule | None:
        request = schedules.ListSchedulesRequest(namespace=namespace, schedule_id=schedule_id, occurrences=1)
        stub = self._connection.schedules
        try:
            answer = await asked(lambda left: stub.ListSchedules(request, timeout=left), self._within)
        except NotFoundError:
            return None
        return answer.schedules[0].schedule if answer.schedules else None


def _metadata(carrier: pb.Carrier) -> tuple[tuple[str, str], ...]:
    """Return the headers that a call can bear: printable ASCII."""
    texts = ((TRACEPARENT, carrier.traceparent), (TRACESTATE, carrier.tracestate), (BAGGAGE, carrier.baggage))
    return tuple((name, text) for name, text in texts if text.isascii() and text.isprintable() and text)


def _is_open(execution: pb.Execution) -> bool:
    return execution.state == pb.EXECUTION_STATE_QUEUED and execution.dispatch == pb.DISPATCH_EXTERNAL
