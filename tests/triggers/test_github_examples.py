"""Every example that GitHub's own collection has, delivered as GitHub delivers, to a real sidecar."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from tests.processes import SidecarProcess
from tests.services.absent import or_absent
from tests.services.npm import installed
from tests.web import SECRET, Web, signed, trusted, webs
from tests.wire import settlement

PACKAGE, VERSION = "@octokit/webhooks-examples", "7.6.1"
AT_ONCE = 64
ALTERED, REPEATED = 11, 7
"""Each n-th example is altered first, or delivered a second time."""


@dataclass(frozen=True)
class Example:
    """One delivery, as GitHub would make it."""

    event: str
    delivery: str
    body: bytes

    def headers(self, body: bytes) -> dict[str, str]:
        """Return GitHub's headers, signed over `body`."""
        return {
            "content-type": "application/json",
            "user-agent": "GitHub-Hookshot/0000000",
            "x-github-delivery": self.delivery,
            "x-github-event": self.event,
            "x-github-hook-id": "1",
            "x-hub-signature-256": signed(SECRET, body),
        }


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """All of them: of github.com, and of each version of the server that enterprises run."""
    with or_absent():
        folder = installed(PACKAGE, VERSION)
    return list(_read(folder))


def _read(package: Path) -> Iterator[Example]:
    for path in sorted(package.glob("*/index.json")):
        for event in json.loads(path.read_text("utf-8")):
            for number, payload in enumerate(event["examples"]):
                name = f"{path.parent.name}/{event['name']}/{number}"
                body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
                yield Example(event["name"], str(uuid.uuid5(uuid.NAMESPACE_URL, name)), body)


@pytest.fixture
def web(sidecar: SidecarProcess) -> Iterator[Web]:
    with webs(sidecar) as web:
        yield web


Answers = list[list[httpx.Response]]


async def deliver_all(base: httpx.URL, path: str, examples: list[Example]) -> Answers:
    """Deliver many at a time; return the answers to each example, in the order of its deliveries."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as client:

        async def deliver(number: int, example: Example) -> list[httpx.Response]:
            bodies = [example.body]
            if number % ALTERED == 0:
                bodies.insert(0, example.body[:-1] + b" }")
            if number % REPEATED == 0:
                bodies.append(example.body)
            headers = example.headers(example.body)
            return [await client.post(f"/hooks/{path}", content=body, headers=headers) for body in bodies]

        return await asyncio.gather(*(deliver(n, example) for n, example in enumerate(examples)))


def test_every_genuine_delivery_is_one_execution(web: Web, examples: list[Example]) -> None:
    """WEB-1, WEB-2, WEB-3, COR-1: altered ones leave nothing, repeats are the same, pings are answered."""
    assert len(examples) > 700
    verification = trusted(defs.VERIFICATION_SCHEME_GITHUB)
    path = web.hook(provider="github", verification=verification, content_types=["application/json"])
    answers = asyncio.run(deliver_all(web.client.base_url, path, examples))
    queued: dict[str, Example] = {}
    for number, (example, heard) in enumerate(zip(examples, answers, strict=True)):
        if number % ALTERED == 0:
            assert heard.pop(0).status_code == 401
        if example.event == "ping":
            assert {(answer.status_code, answer.text) for answer in heard} == {(200, "pong")}
            continue
        assert [answer.status_code for answer in heard] == [202] * len(heard)
        assert [answer.json()["existing"] for answer in heard] == [False, True][: len(heard)]
        (execution_id,) = {answer.json()["execution_id"] for answer in heard}
        queued[execution_id] = example
    records = {record.correlation.execution_id: record for record in web.records()}
    assert records.keys() == queued.keys()
    for execution_id, example in queued.items():
        assert_whole(web, path, records[execution_id], example)
    assert worked_off(web, len(queued)) == Counter(example.body for example in queued.values())


def assert_whole(web: Web, path: str, record: pb.Execution, example: Example) -> None:
    execution_id = record.correlation.execution_id
    assert record.correlation == pb.Correlation(
        namespace=web.wire.namespace,
        execution_id=execution_id,
        request_id=execution_id,
        root_execution_id=execution_id,
        source=pb.SOURCE_WEBHOOK,
        workflow_id="audit",
        trigger_type="webhook",
        webhook_id="hook",
        path=path,
        provider="github",
    )
    assert record.state == pb.EXECUTION_STATE_QUEUED
    assert record.idempotency_key.endswith(example.delivery)
    assert len(record.trace_id.strip("0")) > 0


def worked_off(web: Web, count: int) -> Counter[bytes]:
    """Have a worker take everything; return the payloads that it got."""
    with web.wire.worker(credits=1_000) as worker:
        worker.until(lambda heard: len(heard.leases) >= count, "all work")
        leases = list(worker.heard.leases)
        worker.send(settlements=[settlement(lease.lease) for lease in leases])
        worker.until(lambda heard: len(heard.settled) >= count, "all settled")
    return Counter(lease.payload for lease in leases)
