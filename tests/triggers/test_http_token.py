"""The token of the HTTP pages: what it guards, what it leaves open, and how it is given."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sidecar.v1 import worker_service_pb2 as work
from tests.processes import SidecarProcess
from tests.services.loopback import HOST, await_condition
from tests.web import Web, reason, webs

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.fixture(scope="module")
def house(token_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """A sidecar that all machines may reach, as it has a token."""
    with SidecarProcess(
        tmp_path_factory.mktemp("guarded"),
        SIDECAR_HTTP_LISTEN="0.0.0.0:0",
        SIDECAR_HTTP_TOKEN=f"file:{token_file}",
        SIDECAR_PUBLIC_URL="https://side.example/jobs/",
        OTEL_SDK_DISABLED="true",
    ) as house:
        yield house


@pytest.fixture
def web(house: SidecarProcess, token_file: Path) -> Iterator[Web]:
    token_file.write_text(f"{TOKEN}\n")
    with webs(house) as web:
        await_condition(lambda: get(web, "/executions").status_code == 200, "the token is read", 20)
        yield web


def get(web: Web, path: str, token: str | None = TOKEN) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return web.client.get(path, headers=headers)


GUARDED = ["/executions", "/executions/e1", "/schedules/run-due", "/", "/nothing"]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("token", [None, "x", "another-token-of-length", TOKEN[:-1], f"{TOKEN}x", "ü"])
def test_without_the_token_nothing_is_told(web: Web, path: str, token: str | None) -> None:
    """Not even what there is: 401 comes before 404 and 405."""
    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    answer = web.client.get(path, headers=headers)
    assert (answer.status_code, reason(answer)) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == 'Bearer realm="sidecar"'


def test_the_token_given_twice_is_none(web: Web) -> None:
    twice = [("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")]
    assert web.client.get("/executions", headers=twice).status_code == 401


def test_probes_and_webhooks_need_none(web: Web) -> None:
    assert web.client.get("/livez").status_code == 200
    assert web.client.get("/readyz").status_code == 200
    assert web.deliver(web.hook()).status_code == 202


def test_with_the_token_everything_is_told_whatever_the_host(web: Web) -> None:
    headers = {"authorization": f"bearer {TOKEN}", "host": "anything.example"}
    assert web.client.get("/executions", headers=headers).status_code == 200
    assert get(web, "/nothing").status_code == 404


def test_outputs_are_told_to_whoever_has_the_token(web: Web) -> None:
    path = f"/executions/e1?namespace={web.wire.namespace}&output=1"
    web.wire.enqueue(execution_id="e1")
    assert get(web, path).json()["output"] is None
    with web.wire.worker() as worker:
        done = work.Succeeded(output='{"ä":1}'.encode(), content_type="application/json")
        worker.settle(worker.lease(), succeeded=done)
        web.wire.enqueue(execution_id="e2")
        worker.send(credits=1)
        worker.settle(worker.lease(2), succeeded=work.Succeeded(output=b"\xff\x00"))
    document = get(web, path).json()
    assert (document["output"], document["output_content_type"]) == ('{"ä":1}', "application/json")
    document = get(web, path.replace("e1", "e2")).json()
    assert (document["output"], document["output_base64"]) == (None, "/wA=")
    assert "output" not in get(web, path.replace("output=1", "output=0")).json()


def test_status_addresses_begin_with_the_public_one(web: Web) -> None:
    answer = web.deliver(web.hook(), headers={"host": "evil.example"})
    execution_id = answer.json()["execution_id"]
    expected = f"https://side.example/jobs/executions/{execution_id}?namespace={web.wire.namespace}"
    assert answer.json()["status_url"] == answer.headers["location"] == expected


def test_a_token_that_was_exchanged_counts_without_a_restart(web: Web, token_file: Path) -> None:
    token_file.write_text("the-next-token-is-this")
    await_condition(
        lambda: get(web, "/executions", "the-next-token-is-this").status_code == 200, "the new token", 20
    )
    assert get(web, "/executions").status_code == 401


def test_a_token_that_cannot_be_read_lets_nobody_in(web: Web, token_file: Path) -> None:
    token_file.unlink()
    await_condition(lambda: get(web, "/executions").status_code == 503, "nobody gets in", 20)
    answer = get(web, "/executions", "x")
    assert (answer.status_code, reason(answer)) == (503, "CHECK_FAILED")
    assert answer.headers["retry-after"] == "1"
    assert web.deliver(web.hook()).status_code == 202


def test_the_token_is_in_no_log(house: SidecarProcess, web: Web) -> None:
    get(web, "/executions")
    assert HOST in str(web.client.base_url)
    assert TOKEN not in house.said(1_000_000)
