"""What a wrapped command is registered as, and what it finds in its environment."""

import os
import re
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath
from typing import Final

import uuid_utils

from sidecar.client.failures import expressible
from sidecar.client.options import duration
from sidecar.client.resource import SERVICE_NAME, resource, sdk
from sidecar.client.spooled import Spooled, now
from sidecar.conventions import names
from sidecar.conventions.carrier import BAGGAGE, TRACEPARENT, TRACESTATE
from sidecar.v1 import definitions_pb2 as definitions
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import worker_service_pb2 as work

EXECUTION_VARIABLE: Final = "SIDECAR_EXECUTION_ID"
REQUEST_VARIABLE: Final = "SIDECAR_REQUEST_ID"
HEADERS: Final = (TRACEPARENT, TRACESTATE, BAGGAGE)
_MARGIN: Final = timedelta(seconds=5)
"""By how much the wrapper, which ends the command itself, is before the sidecar's own deadline."""
_UNFIT: Final = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True)
class Expectation:
    """When an outside cron is to run the command."""

    schedule_id: str
    cron: str
    zone: str
    within: timedelta


@dataclass(frozen=True, slots=True)
class Recording:
    """What was asked of `sidecar run`; empty texts leave it to the sidecar."""

    target: str
    namespace: str
    workflow: str
    queue: str = ""
    execution_id: str = ""
    request_id: str = ""
    key: str = ""
    limit: timedelta | None = None
    expectation: Expectation | None = None

    def spooled(self, environment: Mapping[str, str]) -> Spooled:
        """Return the commands that register and begin it, ids made and the caller's context taken up."""
        at = now()
        expected = self._schedule(self.expectation) if self.expectation else None
        item = api.EnqueueItem(
            workflow_id=self.workflow,
            queue=self.queue,
            execution_id=self.execution_id or str(uuid_utils.uuid7()),
            request_id=self.request_id,
            idempotency_key=self.key,
            trigger_type="manual" if expected is not None else "command",
            carrier=_carrier(environment),
            retry=pb.RetryPolicy(max_attempts=1),
            deadlines=self._deadlines(),
            dispatch=pb.DISPATCH_EXTERNAL,
        )
        worker_id = str(uuid.uuid4())
        begin = work.BeginRequest(
            namespace=self.namespace,
            execution_id=item.execution_id,
            worker_id=worker_id,
            resource=self._resource(worker_id),
            sdk=sdk(),
        )
        register = api.EnqueueExecutionRequest(namespace=self.namespace, item=item)
        return Spooled(self.target, register, at, begin, at, expected)

    def _deadlines(self) -> pb.Deadlines | None:
        return None if self.limit is None else pb.Deadlines(attempt=duration(self.limit + _MARGIN))

    def _schedule(self, expectation: Expectation) -> definitions.Schedule:
        return definitions.Schedule(
            schedule_id=expectation.schedule_id,
            workflow_id=self.workflow,
            queue=self.queue,
            cron=expectation.cron,
            zone=expectation.zone,
            expect_within=duration(expectation.within),
            retry=pb.RetryPolicy(max_attempts=1),
            deadlines=self._deadlines(),
        )

    def _resource(self, worker_id: str) -> dict[str, str]:
        """Return who runs it: named after the workflow, unless the environment names a service."""
        found = resource(worker_id, {"host.name": socket.gethostname(), "process.pid": str(os.getpid())})
        if found[SERVICE_NAME].startswith(names.UNKNOWN_SERVICE):
            found[SERVICE_NAME] = self.workflow
        return found


def name_of(command: str) -> str:
    """Return the workflow of a command that nobody named: its file's name."""
    return _UNFIT.sub("_", PurePath(command).name)[:256] or "command"


def environment_of(
    environment: Mapping[str, str], recorded: Spooled | None, lease: work.Lease | None
) -> dict[str, str]:
    """Return the command's environment: ids if it is `recorded`, the attempt's context if it has a lease."""
    own = {k: v for k, v in environment.items() if k not in (EXECUTION_VARIABLE, REQUEST_VARIABLE)}
    if lease is not None:
        ids, carrier = lease.correlation, lease.carrier
        headers = {name.upper(): getattr(carrier, name) for name in HEADERS}
        own = {k: v for k, v in own.items() if k not in headers} | {k: v for k, v in headers.items() if v}
        return own | {EXECUTION_VARIABLE: ids.execution_id, REQUEST_VARIABLE: ids.request_id}
    if recorded is not None:
        item = recorded.register.item
        own |= {EXECUTION_VARIABLE: item.execution_id, REQUEST_VARIABLE: item.request_id or item.execution_id}
    return own


def _carrier(environment: Mapping[str, str]) -> pb.Carrier | None:
    """Return the context of whoever called the wrapper.

    Source: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
    """
    headers = {name: expressible(environment.get(name.upper(), "")) for name in HEADERS}
    return pb.Carrier(**headers) if any(headers.values()) else None
