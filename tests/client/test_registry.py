"""The registry and the look-ups as the Python client has them, async and blocking, on both stores."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from sidecar.client import Change, Client, Enqueue, ExhaustedError, InvalidArgumentError, Kind, SyncClient
from sidecar.v1.definitions_pb2 import Definition, Queue, RateLimit, Workflow
from tests.processes import SidecarProcess

pytestmark = pytest.mark.conformance

WORKFLOW = Definition(workflow=Workflow(workflow_id="audit", queue="fast"))
QUEUE = Definition(queue=Queue(queue="fast", max_depth=5))
BAD = Definition(workflow=Workflow(workflow_id="audit", rate=RateLimit(limit=1)))


@pytest.fixture
def namespace() -> str:
    return f"ns-{uuid.uuid4()}"


def test_definitions_are_applied_listed_and_deleted(sidecar: SidecarProcess, namespace: str) -> None:
    with SyncClient(sidecar.target, namespace=namespace) as client:
        registry = client.registry
        planned = registry.apply([QUEUE], dry_run=True)
        assert planned == [Change(Kind.QUEUE, "fast", "created")]
        assert registry.apply([WORKFLOW, QUEUE]) == [Change(Kind.WORKFLOW, "audit", "created"), *planned]
        (stored,) = registry.list(Kind.QUEUE)
        assert (stored.kind, stored.name, stored.definition) == (Kind.QUEUE, "fast", QUEUE)
        assert stored.changed_at is not None
        assert client.enqueue("audit").get().queue == "fast"
        with pytest.raises(InvalidArgumentError, match=r"definitions\[0\]\.workflow\.rate\.per"):
            registry.apply([BAD])
        assert registry.apply([QUEUE], prune=True)[-1] == Change(Kind.WORKFLOW, "audit", "deleted")
        assert [registry.delete(Kind.QUEUE, "fast") for _ in range(2)] == [True, False]


def test_async_code_has_the_same(sidecar: SidecarProcess, namespace: str) -> None:
    async def use() -> None:
        async with Client(sidecar.target, namespace=namespace) as client:
            assert [c.change for c in await client.registry.apply([WORKFLOW, QUEUE])] == ["created"] * 2
            assert [each.name for each in await client.registry.list()] == ["audit", "fast"]
            assert await client.registry.delete(Kind.QUEUE, "fast")

    asyncio.run(use())


def test_executions_are_found_by_any_of_their_ids(sidecar: SidecarProcess, namespace: str) -> None:
    """COR-5."""
    with SyncClient(sidecar.target, namespace=namespace) as client:
        work = Enqueue("audit", request_id="r1", external_id="x1", idempotency_key="k1", concurrency_key="t1")
        mine = client.enqueue("audit", request_id="r0")
        (other,) = client.enqueue_many([work])
        assert not isinstance(other, Exception)
        for found in (
            client.list(request_id="r1"),
            client.list(external_id="x1"),
            client.list(idempotency_key="k1"),
            client.list(trace_id=other.trace_id),
        ):
            assert [each.execution_id for each in found] == [other.execution_id]
        assert list(client.list(schedule_id="s", webhook_id="h")) == []
        assert other.get().concurrency_key == "t1"
        assert (mine.get().dispatch, mine.get().correlation.fallback) == ("managed", False)


def test_a_refusal_that_is_a_record_is_told_at_once_and_not_repeated(
    sidecar: SidecarProcess, namespace: str
) -> None:
    """The same execution id would be refused as the first was: only new work may be let in later."""
    with SyncClient(sidecar.target, namespace=namespace, timeout=timedelta(seconds=60)) as client:
        hourly = RateLimit(limit=1, per=Duration(seconds=3600))
        client.registry.apply([Definition(workflow=Workflow(workflow_id="audit", rate=hourly))])
        client.enqueue("audit")
        with pytest.raises(ExhaustedError) as told:
            client.enqueue("audit")
        assert told.value.reason == "RATE_LIMITED"
        assert told.value.execution is not None
        assert told.value.execution.error is not None
        assert told.value.execution.error.type == "preprocessing.rate_limited"
        assert told.value.retry_after is not None
        (one, two) = client.enqueue_many([Enqueue("audit"), Enqueue("audit")])
        assert {type(one), type(two)} == {ExhaustedError}
