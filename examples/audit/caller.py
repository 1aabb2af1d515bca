"""The caller's process: `python -m examples.audit.caller TARGET PLAN`; says what it learns as JSON lines."""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from opentelemetry import trace

from examples.audit import plan, tracing
from examples.audit.plan import Request
from sidecar.client import Client, Deadlines, Handle, RetryPolicy

PATIENCE = timedelta(seconds=60)
WAITERS = 16
_TRACER = trace.get_tracer("examples.audit.caller")


async def main(target: str, requests: Sequence[Request]) -> None:
    """Ask for everything at once, then wait for each to end."""
    async with Client(target, timeout=PATIENCE) as client:
        handles = await asyncio.gather(*(ask(client, each) for each in requests))
        say("all accepted")
        gate = asyncio.Semaphore(WAITERS)
        await asyncio.gather(*(follow(handle, gate) for handle in handles))
        say("all ended")


async def ask(client: Client, request: Request) -> Handle:
    """Enqueue one request, under a span of the caller's own; the client gathers concurrent calls."""
    limit = request.attempt_seconds
    with _TRACER.start_as_current_span(f"request audit of {request.module}"):
        handle = await client.enqueue(
            plan.WORKFLOW,
            request.payload(),
            idempotency_key=request.key or None,
            retry=RetryPolicy(
                max_attempts=request.max_attempts, initial_interval=timedelta(milliseconds=200)
            ),
            deadlines=Deadlines(attempt=timedelta(seconds=limit) if limit else None),
        )
    say("accepted", name=request.name, execution_id=handle.execution_id, existing=handle.existing)
    return handle


async def follow(handle: Handle, gate: asyncio.Semaphore) -> None:
    """Wait for one execution, however long the sidecar is away meanwhile."""
    async with gate:
        await handle.wait()


def say(event: str, **facts: object) -> None:
    """Tell the demo, which reads this process's output."""
    print(json.dumps({"event": event, **facts}), flush=True)


if __name__ == "__main__":
    tracing.set_up("audit-caller")
    asyncio.run(main(sys.argv[1], plan.load(Path(sys.argv[2]))))
    tracing.finish()
