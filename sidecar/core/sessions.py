"""A session: one connected worker, what it takes, and how many more it has room for."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from sidecar.core.commands import Delivery
from sidecar.core.model import Execution, Resource

Lane = tuple[str, str, str]
"""Namespace, queue, workflow: what a worker must name to be given an execution."""


class Sink(Protocol):
    """The worker's end of a session."""

    def push(self, deliveries: Sequence[Delivery]) -> bool:
        """Hand over leases; False if the worker is gone and got none of them."""

    def ask_to_cancel(self, execution: Execution, grace_left: timedelta) -> bool:
        """Pass a cancellation on; False if the worker is gone."""


@dataclass(slots=True, eq=False)
class Session:
    """One connected worker: what it takes and how many more it has room for."""

    namespace: str
    worker_id: str
    resource: Resource
    queues: tuple[str, ...]
    workflows: tuple[str, ...]
    sink: Sink
    credits: int = 0
    open: bool = True
    leaving: bool = False
    hungry: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def lanes(self) -> Iterable[Lane]:
        """Return every lane this worker takes from."""
        return ((self.namespace, q, w) for q in self.queues for w in self.workflows)
