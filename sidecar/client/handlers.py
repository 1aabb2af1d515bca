"""Runs handlers where they belong: async ones on the user's loop, blocking ones on threads."""

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from opentelemetry import context

from sidecar.client import outcomes
from sidecar.client.delivery import Delivery
from sidecar.client.run import Run
from sidecar.client.threads import Threads
from sidecar.client.workflows import Workflow
from sidecar.v1.worker_service_pb2 import Settlement

Ended = Callable[[Delivery, Settlement], None]


class Handlers:
    """Made on the user's loop; `begin` and `interrupt` are called on the I/O thread.

    `ended` is called once for each handler that began, on whichever thread it ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int, ended: Ended) -> None:
        self._loop = loop
        self._ended = ended
        self._threads = Threads(threads)
        self._context = contextvars.copy_context()
        self._tasks: dict[Delivery, asyncio.Task[Settlement]] = {}

    def begin(self, delivery: Delivery, workflow: Workflow) -> None:
        """Start the handler soon."""
        if workflow.is_async:
            self._loop.call_soon_threadsafe(self._start, delivery, workflow)
        else:
            self._threads.submit(partial(self._call, delivery, workflow))

    def interrupt(self, delivery: Delivery) -> None:
        """Cancel the task of an async handler; a blocking one sees the flag of its run."""
        with suppress(RuntimeError):  # the user's loop has been closed
            self._loop.call_soon_threadsafe(self._cancel, delivery)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    def _start(self, delivery: Delivery, workflow: Workflow) -> None:
        if not delivery.seize():
            return
        ours = self._context.copy()
        task = self._loop.create_task(_attend(delivery, workflow), context=ours)
        self._tasks[delivery] = task
        task.add_done_callback(partial(self._finished, delivery))
        if delivery.interrupted.done():
            task.cancel()

    def _finished(self, delivery: Delivery, task: asyncio.Task[Settlement]) -> None:
        del self._tasks[delivery]
        self._ended(delivery, outcomes.given_up(delivery) if task.cancelled() else task.result())

    def _cancel(self, delivery: Delivery) -> None:
        if (task := self._tasks.get(delivery)) is not None:
            task.cancel()

    def _call(self, delivery: Delivery, workflow: Workflow) -> None:
        if delivery.seize():
            self._ended(delivery, self._context.copy().run(_run, delivery, workflow))


async def _attend(delivery: Delivery, workflow: Workflow) -> Settlement:
    try:
        run = Run(delivery)
        context.attach(run.context)
        return outcomes.success(delivery, await workflow.call(run))
    except asyncio.CancelledError as error:
        return outcomes.given_up(delivery, error)
    except BaseException as error:
        return outcomes.failure(delivery, error)


def _run(delivery: Delivery, workflow: Workflow) -> Settlement:
    try:
        run = Run(delivery)
        context.attach(run.context)
        value = workflow.call(run)
        if inspect.isawaitable(value):
            raise TypeError(
                f"workflow {workflow.name!r} returned an awaitable from a function that is not async"
            )
        return outcomes.success(delivery, value)
    except asyncio.CancelledError as error:
        return outcomes.given_up(delivery, error)
    except BaseException as error:
        return outcomes.failure(delivery, error)
