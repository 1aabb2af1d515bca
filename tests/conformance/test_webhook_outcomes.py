"""A webhook that waits for its outcome (WEB-3), on both stores: what its sender hears, and when."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.conftest import StartSidecar
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition
from tests.web import DELIVERY, Web, reason, seconds, webs
from tests.wire import RawWorker, failed

LONG = seconds(60)


@pytest.fixture
def web(sidecar: SidecarProcess) -> Iterator[Web]:
    with webs(sidecar) as web:
        yield web


@contextmanager
def sent(web: Web, path: str) -> Iterator["Future[httpx.Response]"]:
    """Have a delivery wait for its answer in the background."""
    with ThreadPoolExecutor(1) as sender:
        yield sender.submit(web.deliver, path, b"{}", {DELIVERY: "d-1"})


def outcome(web: Web, settle: Callable[[RawWorker, work.Lease], object]) -> httpx.Response:
    path = web.hook(wait=LONG)
    with web.wire.worker() as worker, sent(web, path) as answer:
        settle(worker, worker.lease())
        return answer.result()


def test_a_success_is_answered_with_its_output(web: Web) -> None:
    done = work.Succeeded(output=b"<b>hi</b>", content_type="text/html; charset=utf-8")
    answer = outcome(web, lambda worker, lease: worker.settle(lease, succeeded=done))
    assert (answer.status_code, answer.content) == (200, b"<b>hi</b>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-execution-outcome"] == "succeeded"
    (record,) = web.records()
    assert answer.headers["x-execution-id"] == record.correlation.execution_id
    assert answer.headers["x-request-id"] == record.correlation.request_id
    assert answer.headers["traceresponse"].split("-")[1] == record.trace_id
    assert web.client.get(answer.headers["location"]).json()["state"] == "succeeded"


def test_a_success_without_output_or_type_is_answered_too(web: Web) -> None:
    answer = outcome(web, lambda worker, lease: worker.settle(lease))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "x-execution-output" not in answer.headers


def test_a_success_whose_output_was_lost_says_so(web: Web) -> None:
    lost = work.Succeeded(output_missing=True)
    answer = outcome(web, lambda worker, lease: worker.settle(lease, succeeded=lost))
    assert (answer.status_code, answer.headers["x-execution-output"]) == (200, "missing")


def test_a_failure_is_answered_with_its_type_and_message(web: Web) -> None:
    answer = outcome(web, lambda worker, lease: worker.settle(lease, failed=failed("app.Broken", "no luck")))
    assert (answer.status_code, reason(answer)) == (500, "EXECUTION_FAILED")
    error = answer.json()["error"]
    assert (error["message"], error["metadata"]) == ("no luck", {"error_type": "app.Broken"})
    assert web.record(answer).state == pb.EXECUTION_STATE_FAILED
    assert answer.headers["x-execution-outcome"] == "failed"


def test_a_cancellation_is_a_conflict(web: Web) -> None:
    path = web.hook(wait=LONG)
    with sent(web, path) as answer:
        await_condition(lambda: bool(web.records()), "the record", 20)
        web.wire.cancel(web.records()[0].correlation.execution_id)
        heard = answer.result()
    assert (heard.status_code, reason(heard)) == (409, "EXECUTION_CANCELLED")
    assert heard.json()["error"]["message"] == "the execution was cancelled: test"


def test_what_takes_longer_is_answered_as_accepted(web: Web) -> None:
    answer = web.deliver(web.hook(wait=seconds(0.05)))
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert web.record(answer).state == pb.EXECUTION_STATE_QUEUED


def test_a_repeat_hears_the_same_outcome(web: Web) -> None:
    """WEB-2: whether it waited with the first one or came after the end."""
    path = web.hook(wait=LONG)
    done = work.Succeeded(output=b"one", content_type="text/plain")
    with web.wire.worker() as worker, sent(web, path) as first, sent(web, path) as second:
        worker.settle(worker.lease(), succeeded=done)
        answers = [first.result(), second.result()]
    answers.append(web.deliver(path, headers={DELIVERY: "d-1"}))
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"one")] * 3
    assert len({answer.headers["x-execution-id"] for answer in answers}) == 1


def test_a_sender_that_hangs_up_takes_nothing_back(web: Web) -> None:
    """ADM-4: what was committed runs, whoever still listens."""
    path = web.hook(wait=LONG)
    with pytest.raises(httpx.ReadTimeout):
        web.deliver(path, headers={DELIVERY: "d-1"}, timeout=0.5)
    with web.wire.worker() as worker:
        worker.settle(worker.lease(), succeeded=work.Succeeded(output=b"done"))
    assert web.deliver(path, headers={DELIVERY: "d-1"}).content == b"done"


def test_a_drain_answers_whoever_waits_and_keeps_his_execution(start_sidecar: StartSidecar) -> None:
    """A stopping sidecar says what is true: it is durable, and has not ended."""
    house = start_sidecar(SIDECAR_DRAIN_GRACE="60s", OTEL_SDK_DISABLED="true")
    house.start()
    with webs(house) as web:
        path = web.hook(wait=LONG)
        with sent(web, path) as answer:
            await_condition(lambda: bool(web.records()), "the record", 20)
            house.send(signal.SIGTERM)
            heard = answer.result()
        assert house.await_death() == 0
        assert (heard.status_code, heard.json()["state"]) == (202, "queued")
        house.start()
        assert web.record(heard).state == pb.EXECUTION_STATE_QUEUED


def test_deliveries_through_a_drain_are_durable_or_can_be_repeated(start_sidecar: StartSidecar) -> None:
    """ADM-4: what heard 202 is there; the rest heard 503 or nothing."""
    house = start_sidecar()
    house.start()
    accepted: list[str] = []
    others: list[int] = []
    stopped = threading.Event()
    with webs(house) as web:
        path = web.hook()

        def send() -> None:
            while not stopped.is_set():
                try:
                    answer = web.deliver(path)
                except httpx.TransportError:
                    continue
                if answer.status_code == 202:
                    accepted.append(answer.json()["execution_id"])
                else:
                    others.append(answer.status_code)

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        await_condition(lambda: len(accepted) > 20, "some deliveries", 20)
        house.send(signal.SIGTERM)
        assert house.await_death() == 0
        stopped.set()
        for thread in threads:
            thread.join()
        assert set(others) <= {503}
        house.start()
        assert {web.wire.get(execution_id).state for execution_id in accepted} == {pb.EXECUTION_STATE_QUEUED}
