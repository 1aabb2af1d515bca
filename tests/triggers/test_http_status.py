"""Status over HTTP, on both stores: by every id (COR-5), with nothing that its caller may not see."""

from collections.abc import Iterator

import httpx
import pytest

from sidecar.v1 import worker_service_pb2 as work
from tests.processes import SidecarProcess
from tests.web import DELIVERY, Web, reason, webs
from tests.wire import failed


@pytest.fixture
def web(sidecar: SidecarProcess) -> Iterator[Web]:
    with webs(sidecar) as web:
        yield web


def find(web: Web, **query: str) -> httpx.Response:
    return web.client.get("/executions", params={"namespace": web.wire.namespace, **query})


def found(web: Web, **query: str) -> set[str]:
    answer = find(web, **query)
    assert answer.status_code == 200, answer.text
    return {each["execution_id"] for each in answer.json()["executions"]}


def one(web: Web, execution_id: str) -> httpx.Response:
    return web.client.get(f"/executions/{execution_id}", params={"namespace": web.wire.namespace})


def test_the_record_as_it_stands_and_as_it_ended(web: Web) -> None:
    answer = web.deliver(web.hook(provider="shop"), headers={"x-request-id": "req-1", DELIVERY: "d-1"})
    execution_id = answer.json()["execution_id"]
    waiting = one(web, execution_id).json()
    assert (waiting["state"], waiting["outcome"], waiting["finalized_at"]) == ("queued", None, None)
    assert (waiting["source"], waiting["webhook_id"], waiting["provider"]) == ("webhook", "hook", "shop")
    assert (waiting["request_id"], waiting["attempts"]) == ("req-1", 0)
    with web.wire.worker() as worker:
        worker.settle(worker.lease(), failed=failed("app.Broken", "no luck"))
    ended = one(web, execution_id).json()
    assert (ended["state"], ended["outcome"], ended["attempts"]) == ("failed", "failed", 1)
    assert ended["error"] == {"type": "app.Broken", "message": "no luck"}
    assert ended["finalization_path"] == "completed"
    assert ended["timings"]["queued"] > 0
    assert ended["accepted_at"] < ended["started_at"] < ended["finalized_at"]
    assert ended["finalized_at"].endswith("Z")
    assert ended["trace_id"] == web.record(answer).trace_id


def test_every_id_leads_to_the_execution(web: Web) -> None:
    """COR-5."""
    given = {"execution_id": "e1", "request_id": "r1", "external_id": "x1", "idempotency_key": "k1"}
    trace_id = web.wire.enqueue(**given).execution.trace_id
    web.wire.enqueue(execution_id="e2", request_id="r2", workflow_id="other")
    for name, value in {**given, "trace_id": trace_id, "workflow_id": "audit"}.items():
        assert found(web, **{name: value}) == {"e1"}, name
        assert found(web, **{name: "nobody"}) == set(), name
    assert found(web) == {"e1", "e2"}
    assert found(web, request_id="r2", workflow_id="audit") == set()
    assert found(web, state="queued") == {"e1", "e2"}
    assert found(web, state="RUNNING") == set()
    assert found(web, limit="1") == {"e2"}


def test_webhooks_find_what_they_set_off(web: Web) -> None:
    answer = web.deliver(web.hook())
    web.wire.enqueue()
    assert found(web, webhook_id="hook") == {answer.json()["execution_id"]}


def test_an_unknown_id_is_not_found(web: Web) -> None:
    """COR-5: never `pending`; nor is it found under another namespace."""
    web.wire.enqueue(execution_id="e1")
    for answer in (one(web, "nobody"), web.client.get("/executions/e1?namespace=another")):
        assert (answer.status_code, reason(answer)) == (404, "EXECUTION_NOT_FOUND")


@pytest.mark.parametrize("execution_id", ["a/b", "a?b#c", "%2F", "a%b", "..a", "+"])
def test_any_legal_id_can_be_asked_for(web: Web, execution_id: str) -> None:
    web.wire.enqueue(execution_id=execution_id)
    answer = web.client.get(f"/executions/{_quoted(execution_id)}?namespace={web.wire.namespace}")
    assert answer.json()["execution_id"] == execution_id
    assert found(web, execution_id=execution_id) == {execution_id}


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "state=lost",
        "request_id=",
        "request_id=a%20b",
        "request_id=%00",
        "request_id=%ff",
        f"request_id={'x' * 257}",
        "request_id=a&request_id=b",
        "color=blue",
        "namespace=",
    ],
)
def test_a_malformed_question_is_told_what_is_wrong_with_it(web: Web, query: str) -> None:
    answer = web.client.get(f"/executions?{query}")
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "path", ["/executions/a%20b", "/executions/%00", "/executions/", "/executions/e?x=1"]
)
def test_a_malformed_id_is_refused(web: Web, path: str) -> None:
    assert web.client.get(path).status_code == 400


def test_no_payload_and_no_output_shows(web: Web) -> None:
    web.wire.enqueue(execution_id="e1", payload=b"pay-load")
    with web.wire.worker() as worker:
        worker.settle(worker.lease(), succeeded=work.Succeeded(output=b"out-put"))
    text = one(web, "e1").text + find(web).text
    assert "pay-load" not in text
    assert "out-put" not in text
    answer = web.client.get(f"/executions/e1?namespace={web.wire.namespace}&output=1")
    assert (answer.status_code, reason(answer)) == (403, "CALLER_NOT_ALLOWED")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/executions", "/executions/e1", "/livez", "/readyz"])
def test_status_is_only_read(web: Web, method: str, path: str) -> None:
    answer = web.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_question_by_head_has_the_answers_head(web: Web) -> None:
    web.wire.enqueue(execution_id="e1")
    path = f"/executions/e1?namespace={web.wire.namespace}"
    asked, shown = web.client.head(path), web.client.get(path)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == shown.headers["content-length"]


def test_the_probes_answer(web: Web) -> None:
    assert web.client.get("/livez").json() == {"status": "live"}
    assert web.client.get("/readyz").json() == {"status": "ready"}


def test_what_is_not_served_is_not_found(web: Web) -> None:
    for path in ("/", "/hooks", "/execution", "/livez/", "/executions.json", "//executions", "/docs"):
        answer = web.client.get(path)
        assert (answer.status_code, reason(answer)) == (404, "PAGE_NOT_FOUND"), path


def test_a_page_of_another_site_gets_nothing_from_this_machine(web: Web) -> None:
    """Without a token only requests to a name of this machine are answered (DNS rebinding)."""
    for host in ("evil.example", "evil.example:50552", "localhost.evil.example", ""):
        for path in ("/executions", "/schedules/run-due", "/nothing"):
            answer = web.client.get(path, headers={"host": host})
            assert (answer.status_code, reason(answer)) == (421, "MISDIRECTED"), (host, path)
        assert web.client.get("/livez", headers={"host": host}).status_code == 200
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:5", "10.1.2.3"):
        assert web.client.get("/executions", headers={"host": host}).status_code == 200, host
    path = web.hook()
    assert web.deliver(path, headers={"host": "hooks.example"}).status_code == 202
