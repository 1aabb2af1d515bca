"""The caller's process: `python -m examples.audit.caller TARGET HTTP PLAN`; tells what it learns as JSON."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from examples.audit import deliveries, plan, tracing
from examples.audit.deliveries import Delivery
from examples.audit.plan import Request
from examples.audit.sending import Answer, Sender
from examples.audit.ways import KEY_VARIABLE, Way
from sidecar.client import Client, Deadlines, Handle, RetryPolicy, headers
from sidecar.conventions import names

PATIENCE = timedelta(seconds=60)
WAITERS = 16
SENDERS = 4
POLL_SECONDS = 0.1
_TRACER = trace.get_tracer("examples.audit.caller")


async def main(target: str, sender: Sender, requests: Sequence[Request], repeat_on: Path) -> None:
    """Ask for everything at once, send some webhooks once more when told to, and wait for the ends."""
    gate = asyncio.Semaphore(WAITERS)
    async with Client(target, timeout=PATIENCE) as client:
        asked = [ask(client, each) for each in requests if each.way is Way.API]
        handles, delivered = await asyncio.gather(
            asyncio.gather(*asked), send(sender, deliveries.first(requests))
        )
        say("all accepted")
        handles += [client.handle(each) for each in delivered]
        repeats = repeat(sender, deliveries.again(requests), repeat_on)
        await asyncio.gather(repeats, *(follow(handle, gate) for handle in handles))
        say("all ended")


async def ask(client: Client, request: Request) -> Handle:
    """Enqueue one request, under a span of the caller's own; the client gathers concurrent calls."""
    limit, most = request.attempt_seconds, request.max_attempts
    retry = RetryPolicy(max_attempts=most, initial_interval=timedelta(milliseconds=200)) if most else None
    with _TRACER.start_as_current_span(f"request audit of {request.module}"):
        handle = await client.enqueue(
            plan.WORKFLOW,
            request.payload(),
            idempotency_key=request.key or None,
            retry=retry,
            deadlines=Deadlines(attempt=timedelta(seconds=limit) if limit else None),
        )
    say("accepted", name=request.name, execution_id=handle.execution_id, existing=handle.existing)
    return handle


async def send(sender: Sender, outgoing: Iterable[Delivery]) -> list[str]:
    """Send webhooks, a few at a time; return the ids of the executions that they set off."""
    gate = asyncio.Semaphore(SENDERS)

    async def one(delivery: Delivery) -> Answer:
        async with gate:
            return await deliver(sender, delivery)

    answers = await asyncio.gather(*(one(each) for each in outgoing))
    return [answer.execution_id for answer in answers if answer.execution_id]


async def deliver(sender: Sender, delivery: Delivery) -> Answer:
    """Send one webhook, under a span of the caller's own, whose context goes with it."""
    with _TRACER.start_as_current_span(f"deliver {delivery.delivery_id}", kind=SpanKind.CLIENT) as span:
        answer = await asyncio.to_thread(sender.send, delivery, headers())
        if answer.execution_id:
            span.set_attribute(names.EXECUTION_ID, answer.execution_id)
    say(
        "delivered",
        name=delivery.name,
        delivery_id=delivery.delivery_id,
        kind=delivery.kind,
        status=answer.status,
        execution_id=answer.execution_id,
        existing=answer.existing,
        reason=answer.reason,
        trace_id=trace.format_trace_id(span.get_span_context().trace_id),
    )
    return answer


async def repeat(sender: Sender, outgoing: Iterable[Delivery], told: Path) -> None:
    """Send webhooks once more as soon as a file exists."""
    await asyncio.to_thread(_until_exists, told)
    await send(sender, outgoing)
    say("all sent again")


async def follow(handle: Handle, gate: asyncio.Semaphore) -> None:
    """Wait for one execution, however long the sidecar is away meanwhile."""
    async with gate:
        await handle.wait()


def _until_exists(path: Path) -> None:
    while not path.exists():
        time.sleep(POLL_SECONDS)


def say(event: str, **facts: object) -> None:
    """Tell the demo, which reads this process's output."""
    print(json.dumps({"event": event, **facts}), flush=True)


if __name__ == "__main__":
    tracing.set_up("audit-caller")
    path = Path(sys.argv[3])
    sends = Sender(sys.argv[2], os.environ[KEY_VARIABLE])
    asyncio.run(main(sys.argv[1], sends, plan.load(path), plan.release_of(plan.SURVIVOR, path.parent)))
    tracing.finish()
