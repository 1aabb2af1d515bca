"""A sidecar's HTTP pages as their senders use them, over real sockets, beside the API of one namespace."""

import hashlib
import hmac
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from google.protobuf.duration_pb2 import Duration

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import execution_service_pb2 as api
from tests.processes import SidecarProcess
from tests.services.loopback import HOST
from tests.wire import PATIENCE, Wire

SECRET = "a-secret-of-some-length"
DELIVERY = "x-event-id"


class Web:
    """One namespace's webhooks. Paths are unique over all namespaces, so they begin with its name."""

    def __init__(self, sidecar: SidecarProcess, wire: Wire, **settings: Any) -> None:
        self.sidecar = sidecar
        self.wire = wire
        base = f"http://{HOST}:{sidecar.http_port}"
        self.client = httpx.Client(base_url=base, timeout=PATIENCE, **settings)

    def hook(self, webhook_id: str = "hook", **fields: Any) -> str:
        """Define a webhook and return its path."""
        usual = {"webhook_id": webhook_id, "workflow_id": "audit"}
        hook = defs.Webhook(**{**usual, "path": f"{self.wire.namespace}/{webhook_id}", **fields})
        self.wire.define(hook)
        return hook.path

    def deliver(
        self, path: str, body: bytes = b"{}", headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """Send one delivery."""
        return self.client.post(f"/hooks/{path}", content=body, headers=headers, **fields)

    def records(self) -> list[pb.Execution]:
        """Return all that the namespace has, newest first."""
        request = api.ListExecutionsRequest(namespace=self.wire.namespace, page_size=1_000)
        return list(self.wire.executions.ListExecutions(request, timeout=PATIENCE).executions)

    def record(self, answer: httpx.Response) -> pb.Execution:
        """Return the record that an answer names."""
        return self.wire.get(answer.json()["execution_id"])


@contextmanager
def webs(sidecar: SidecarProcess) -> Iterator[Web]:
    """Yield the pages of a running sidecar, with a fresh namespace."""
    wire = Wire(sidecar.target, f"ns-{uuid.uuid4()}")
    web = Web(sidecar, wire)
    try:
        yield web
    finally:
        web.client.close()
        wire.close()


def signed(secret: str, body: bytes) -> str:
    """Return what GitHub puts into `X-Hub-Signature-256`."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def trusted(scheme: defs.VerificationScheme.ValueType, *secrets: str, **fields: Any) -> defs.Verification:
    """Return a verification by some secrets, or by the usual one."""
    return defs.Verification(scheme=scheme, secrets=secrets or (SECRET,), **fields)


def seconds(value: float) -> Duration:
    """Return a duration as the wire has it."""
    message = Duration()
    message.FromNanoseconds(int(value * 1e9))
    return message


def reason(answer: httpx.Response) -> str:
    """Return the stable reason of a refusal."""
    return str(answer.json()["error"]["reason"])
