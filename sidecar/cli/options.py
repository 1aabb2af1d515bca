"""The options that every command shares, and the client that they ask for."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import typer

from sidecar.cli.output import Output
from sidecar.client import SyncClient
from sidecar.client.channel import DEFAULT_NAMESPACE, DEFAULT_TARGET

PATIENCE: Final = timedelta(seconds=5)


@dataclass(slots=True)
class Shared:
    """Where the sidecar is, whose executions are meant, and how the answers are written."""

    output: Output
    target: str = DEFAULT_TARGET
    namespace: str = DEFAULT_NAMESPACE
    patience: timedelta = PATIENCE

    def client(self) -> SyncClient:
        """Return a client; nothing is sent before its first call."""
        return SyncClient(self.target, namespace=self.namespace, timeout=self.patience)


def shared(context: typer.Context) -> Shared:
    """Return what the group's callback put into the context."""
    found: Shared = context.find_root().obj
    return found
