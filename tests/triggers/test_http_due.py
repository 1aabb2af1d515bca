"""`POST /schedules/run-due`, on both stores: an outside cron drives the schedules (SCH-4)."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.v1 import definitions_pb2 as defs
from sidecar.v1 import execution_pb2 as pb
from tests.processes import SidecarProcess
from tests.web import Web, reason, webs

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def web(sidecar: SidecarProcess) -> Iterator[Web]:
    with webs(sidecar) as web:
        yield web


def run_due(web: Web, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"namespace": web.wire.namespace, **fields}
    return web.client.post("/schedules/run-due", json=body, headers=headers)


def soon(web: Web, schedule_id: str = "once") -> None:
    """Define a schedule that is due within the minute that an outside cron may be early."""
    once = Timestamp(seconds=int(time.time()) + 50)
    web.wire.define(defs.Schedule(schedule_id=schedule_id, workflow_id="audit", once=once))


def test_what_is_due_is_started_and_told_once(web: Web) -> None:
    soon(web)
    assert run_due(web).json() == {"executions": [], "skipped": 0}
    answer = run_due(web, {"traceparent": TRACEPARENT}, early="60s", request_id="tick-1")
    assert answer.status_code == 200
    (started,) = answer.json()["executions"]
    assert (started["source"], started["schedule_id"]) == ("schedule", "once")
    assert (started["request_id"], started["trace_id"]) == ("tick-1", TRACEPARENT[3:35])
    assert started["scheduled_for"].endswith("Z")
    (record,) = web.records()
    assert record.correlation.execution_id == started["execution_id"]
    assert record.correlation.source == pb.SOURCE_SCHEDULE
    assert run_due(web, early="60s").json()["executions"] == []


def test_one_schedule_alone_can_be_driven(web: Web) -> None:
    soon(web, "one")
    soon(web, "two")
    answer = run_due(web, {"x-request-id": "tick-1"}, schedule_id="two", early="59.5s")
    (started,) = answer.json()["executions"]
    assert (started["schedule_id"], started["request_id"]) == ("two", "tick-1")


def test_an_unknown_schedule_is_not_found(web: Web) -> None:
    answer = run_due(web, schedule_id="nobody")
    assert (answer.status_code, reason(answer)) == (404, "SCHEDULE_NOT_FOUND")


@pytest.mark.parametrize(
    "fields",
    [
        {"namespace": ""},
        {"namespace": 7},
        {"schedule_id": ""},
        {"schedule_id": "a b"},
        {"request_id": "ü"},
        {"request_id": None},
        {"early": 5},
        {"early": "61s"},
        {"early": "-1s"},
        {"early": "1m"},
        {"early": ""},
        {"color": "blue"},
    ],
    ids=str,
)
def test_a_malformed_field_is_told(web: Web, fields: dict[str, Any]) -> None:
    answer = run_due(web, **fields)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 10_000, b'"namespace"'])
def test_a_body_that_is_no_object_is_told(web: Web, body: bytes) -> None:
    answer = web.client.post("/schedules/run-due", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")


def test_a_body_that_is_too_long_is_not_read(web: Web) -> None:
    answer = web.client.post("/schedules/run-due", json={"schedule_id": "a" * 20_000})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "given", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_no_form_of_another_site_can_start_anything(web: Web, given: str | None) -> None:
    """A browser sends these without asking first; JSON it does not."""
    soon(web)
    headers = {} if given is None else {"content-type": given}
    body = f'{{"namespace": "{web.wire.namespace}", "early": "60s"}}'
    answer = web.client.post("/schedules/run-due", content=body.encode(), headers=headers)
    assert answer.status_code == 415
    assert web.records() == []
    assert web.client.get("/schedules/run-due").headers["allow"] == "POST"
