"""A webhook whose secrets stand elsewhere: read at use, exchanged without a restart, and failing closed."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sidecar.v1 import definitions_pb2 as defs
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition
from tests.web import Web, reason, signed, trusted, webs

IN_ENVIRONMENT = "the-secret-of-the-environment"
GITHUB = defs.VERIFICATION_SCHEME_GITHUB


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    folder = tmp_path_factory.mktemp("rotation")
    with SidecarProcess(folder, HOOK_SECRET=IN_ENVIRONMENT, OTEL_SDK_DISABLED="true") as house:
        yield house


@pytest.fixture
def web(house: SidecarProcess) -> Iterator[Web]:
    with webs(house) as web:
        yield web


def send(web: Web, path: str, secret: str) -> httpx.Response:
    return web.deliver(path, headers={"x-hub-signature-256": signed(secret, b"{}")})


def test_a_secret_of_the_environment_is_held_against(web: Web) -> None:
    path = web.hook(verification=trusted(GITHUB, "env:HOOK_SECRET"))
    assert send(web, path, IN_ENVIRONMENT).status_code == 202
    assert send(web, path, "env:HOOK_SECRET").status_code == 401


def test_a_secrets_file_is_exchanged_without_a_restart(web: Web, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("the-first-secret\n")
    path = web.hook(verification=trusted(GITHUB, f"file:{file}"))
    assert send(web, path, "the-first-secret").status_code == 202
    (tmp_path / "next").write_text("the-second-secret\n")
    (tmp_path / "next").replace(file)
    await_condition(lambda: send(web, path, "the-second-secret").status_code == 202, "the second counts", 20)
    assert send(web, path, "the-first-secret").status_code == 401


def test_without_its_secret_a_webhook_has_its_senders_come_again(
    web: Web, house: SidecarProcess, tmp_path: Path
) -> None:
    """ADM-1: what cannot be checked is not let in; it is no fault of the sender's either."""
    absent = f"file:{tmp_path / 'nothing'}"
    path = web.hook(verification=trusted(GITHUB, absent))
    answer = send(web, path, "whatever-it-is")
    assert (answer.status_code, reason(answer)) == (503, "CHECK_FAILED")
    assert answer.headers["retry-after"] == "1"
    assert absent not in answer.text
    assert web.records() == []
    await_condition(lambda: "secret.unreadable" in house.said(100_000), "the log says so", 20)
    lines = [json.loads(line) for line in house.said(1_000_000).splitlines() if "secret.unreadable" in line]
    assert absent in [line["reference"] for line in lines]


def test_one_secret_that_cannot_be_read_harms_no_sender_who_has_another(web: Web) -> None:
    """Whoever fits none may have the one that is missing: he is not told that he is wrong."""
    path = web.hook(verification=trusted(GITHUB, "env:NOT_THERE", "env:HOOK_SECRET"))
    assert send(web, path, IN_ENVIRONMENT).status_code == 202
    assert send(web, path, "another-secret-altogether").status_code == 503
    assert web.deliver(path).status_code == 401


def test_no_secret_is_in_the_log(web: Web, house: SidecarProcess) -> None:
    path = web.hook(verification=trusted(GITHUB, "env:HOOK_SECRET", "a-literal-secret"))
    assert send(web, path, "a-literal-secret").status_code == 202
    assert send(web, path, "wrong-wrong-wrong").status_code == 401
    await_condition(lambda: "webhook.refused" in house.said(1_000_000), "the log says so", 20)
    for secret in (IN_ENVIRONMENT, "a-literal-secret"):
        assert secret not in house.said(1_000_000)
