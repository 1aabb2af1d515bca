"""Enqueues: ids made first, context taken up, calls gathered, one refusal for one item."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sidecar.client import (
    Client,
    ConflictError,
    Deadlines,
    Enqueue,
    Handle,
    InvalidArgumentError,
    RetryPolicy,
    SyncClient,
    TimedOutError,
)
from sidecar.v1 import execution_pb2 as pb
from tests.client.fake import WAIT, FakeSidecar

CONFLICT = pb.Refusal(
    code=grpc.StatusCode.ALREADY_EXISTS.value[0],
    reason="IDEMPOTENCY_CONFLICT",
    message="used for other work",
    metadata={"field": "idempotency_key"},
)


@pytest.fixture
def client(fake: FakeSidecar) -> Iterator[SyncClient]:
    with SyncClient(fake.target) as opened:
        yield opened


def test_the_id_is_made_before_the_first_send_and_stays_over_repeats(
    fake: FakeSidecar, client: SyncClient
) -> None:
    fake.faults = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED]
    handle = client.enqueue("audit", {"module": "json"})
    assert len(fake.enqueued) == 3
    assert {request.items[0].execution_id for request in fake.enqueued} == {handle.execution_id}
    assert UUID(handle.execution_id).version == 7
    assert handle.request_id == handle.execution_id


def test_what_a_repeat_of_the_same_call_finds_has_not_existed_before_the_call(
    fake: FakeSidecar, client: SyncClient
) -> None:
    fake.existing = True
    assert not client.enqueue("audit").existing
    assert client.enqueue("audit", execution_id="mine").existing


@pytest.mark.parametrize(
    ("payload", "data", "content_type"),
    [
        (b"\x00raw", b"\x00raw", "application/octet-stream"),
        ({"a": [1, "ä"]}, '{"a":[1,"ä"]}'.encode(), "application/json"),
        (None, b"", ""),
        ("", b'""', "application/json"),
    ],
)
def test_payloads_go_as_bytes_or_json(
    fake: FakeSidecar, client: SyncClient, payload: object, data: bytes, content_type: str
) -> None:
    client.enqueue("audit", payload)
    item = fake.enqueued[0].items[0]
    assert (item.payload, item.content_type) == (data, content_type)


def test_a_payload_that_is_not_json_is_refused_before_anything_is_sent(
    fake: FakeSidecar, client: SyncClient
) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        client.enqueue("audit", object())
    assert fake.enqueued == []


def test_every_option_reaches_the_item(fake: FakeSidecar, client: SyncClient) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    client.enqueue(
        "audit",
        queue="q",
        execution_id="e",
        request_id="r",
        idempotency_key="k",
        retry=RetryPolicy(max_attempts=3, non_retryable=("ValueError",)),
        deadlines=Deadlines(attempt=timedelta(seconds=5)),
        run_at=at,
        trigger_type="manual",
        external_id="x",
        parent_execution_id="p",
        root_execution_id="o",
        retry_of="old",
    )
    item = fake.enqueued[0].items[0]
    texts = (item.queue, item.execution_id, item.request_id, item.idempotency_key, item.trigger_type)
    assert texts == ("q", "e", "r", "k", "manual")
    ids = (item.external_id, item.parent_execution_id, item.root_execution_id, item.retry_of)
    assert ids == ("x", "p", "o", "old")
    assert item.retry.max_attempts == 3
    assert list(item.retry.non_retryable) == ["ValueError"]
    assert item.deadlines.attempt.seconds == 5
    assert not item.deadlines.HasField("total")
    assert item.run_at.ToDatetime(tzinfo=UTC) == at


def test_a_time_without_a_zone_is_no_moment(client: SyncClient) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        client.enqueue("audit", run_at=datetime(2030, 1, 1))


def test_calls_made_while_a_message_is_in_flight_share_the_next(fake: FakeSidecar) -> None:
    async def many() -> list[Handle]:
        async with Client(fake.target) as client:
            fake.gate.clear()
            first = asyncio.create_task(client.enqueue("first"))
            await asyncio.to_thread(fake.arrived.get, timeout=WAIT)
            rest = [asyncio.create_task(client.enqueue("rest", n)) for n in range(20)]
            await asyncio.sleep(0)
            client._connection.io.post(fake.gate.set)
            return [await task for task in (first, *rest)]

    handles = asyncio.run(many())
    assert [len(request.items) for request in fake.enqueued] == [1, 20]
    assert [item.execution_id for request in fake.enqueued for item in request.items] == [
        handle.execution_id for handle in handles
    ]


def test_one_refusal_is_raised_where_it_belongs(fake: FakeSidecar, client: SyncClient) -> None:
    fake.refusals["bad"] = CONFLICT
    good, bad, also_good = client.enqueue_many([Enqueue("a"), Enqueue("bad"), Enqueue("b")])
    assert len(fake.enqueued) == 1
    assert isinstance(bad, ConflictError)
    assert (bad.reason, bad.metadata) == ("IDEMPOTENCY_CONFLICT", {"field": "idempotency_key"})
    assert not isinstance(good, Exception)
    assert not isinstance(also_good, Exception)
    with pytest.raises(ConflictError, match="used for other work"):
        client.enqueue("bad")


def test_a_message_refused_as_a_whole_is_split_until_the_culprit_is_alone(
    fake: FakeSidecar, client: SyncClient
) -> None:
    fake.faults = [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INVALID_ARGUMENT]
    answers = client.enqueue_many([Enqueue("a"), Enqueue("b")])
    assert isinstance(answers[0], InvalidArgumentError)
    assert not isinstance(answers[1], Exception)


def test_an_item_over_the_message_limit_fails_alone_and_unsent(fake: FakeSidecar, client: SyncClient) -> None:
    big, small = client.enqueue_many([Enqueue("a", b"x" * 5_000_000), Enqueue("b")])
    assert isinstance(big, InvalidArgumentError)
    assert big.reason == "PAYLOAD_TOO_LARGE"
    assert not isinstance(small, Exception)
    assert [item.workflow_id for request in fake.enqueued for item in request.items] == ["b"]


def test_large_items_go_in_several_messages(fake: FakeSidecar, client: SyncClient) -> None:
    client.enqueue_many([Enqueue("a", b"x" * 1_500_000) for _ in range(4)])
    assert [len(request.items) for request in fake.enqueued] == [2, 2]


def test_nothing_to_enqueue_sends_nothing(fake: FakeSidecar, client: SyncClient) -> None:
    assert client.enqueue_many([]) == []
    assert fake.enqueued == []


def test_when_the_time_is_up_the_error_says_that_a_repeat_is_safe(
    fake: FakeSidecar, client: SyncClient
) -> None:
    fake.faults = [grpc.StatusCode.UNAVAILABLE] * 100
    with pytest.raises(TimedOutError, match="repeat it with the same execution id") as caught:
        client.enqueue("audit", execution_id="mine", timeout=0.2)
    assert caught.value.metadata == {"execution_id": "mine"}
    assert isinstance(caught.value.__cause__, Exception)


def test_the_callers_context_is_taken_up_and_its_span_marked(fake: FakeSidecar, client: SyncClient) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    bad_key = baggage.set_baggage("a key", "left out")
    token = context.attach(baggage.set_baggage("tenant", "a b,c;ü", bad_key))
    with provider.get_tracer("test").start_as_current_span("caller") as span:
        handle = client.enqueue("audit", request_id="r")
    context.detach(token)
    ids = span.get_span_context()
    carrier = fake.enqueued[0].items[0].carrier
    assert carrier.traceparent == f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}"
    assert carrier.baggage == "tenant=a%20b%2Cc%3B%C3%BC"
    [finished] = spans.get_finished_spans()
    assert finished.attributes == {
        "sidecar.execution.id": handle.execution_id,
        "sidecar.request.id": "r",
    }


def test_without_a_context_there_is_no_carrier(fake: FakeSidecar, client: SyncClient) -> None:
    client.enqueue("audit")
    assert not trace.get_current_span().get_span_context().is_valid
    assert not fake.enqueued[0].items[0].HasField("carrier")


def test_each_item_has_its_own_context(fake: FakeSidecar) -> None:
    tracer = TracerProvider().get_tracer("test")

    async def call(client: Client, name: str) -> str:
        with tracer.start_as_current_span(name) as span:
            handle = await client.enqueue(name)
            fake_parent = f"{span.get_span_context().span_id:016x}"
        return f"{handle.execution_id} {fake_parent}"

    async def both() -> list[str]:
        async with Client(fake.target) as client:
            return await asyncio.gather(*(call(client, name) for name in "abc"))

    expected = asyncio.run(both())
    items = [item for request in fake.enqueued for item in request.items]
    assert sorted(f"{i.execution_id} {i.carrier.traceparent.split('-')[2]}" for i in items) == sorted(
        expected
    )
