"""Settings of the HTTP pages: what is refused at the start, and that turned off they cost nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from sidecar.config import Settings
from tests.processes import ROOT, SidecarProcess
from tests.services.loopback import HOST, address, free_port

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize(
    "given",
    [
        {"http_listen": "0.0.0.0:80"},
        {"http_listen": "example.org:80"},
        {"http_listen": "[::]:80"},
        {"http_listen": "127.0.0.1"},
        {"http_listen": "127.0.0.1:65536"},
        {"http_listen": ":80"},
        {"http_listen": "unix:/tmp/x"},
        {"http_listen": "http://127.0.0.1:80"},
        {"http_token": "short"},
        {"http_token": "a token with spaces"},
        {"http_token": "ä" * 20},
        {"public_url": "side.example"},
        {"public_url": "ftp://side.example"},
        {"public_url": "https://side.example/?a"},
        {"public_url": "https://user@side.example"},
        {"public_url": "https://side.example/\r\nx"},
        {"max_body_bytes": -1},
        {"max_body_bytes": 3_500_001},
        {"http_timeout": "0s"},
        {"http_connections": 0},
    ],
    ids=str,
)
def test_what_cannot_be_served_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(given)
    assert next(iter(given)).lower() in str(refused.value).lower()


@pytest.mark.parametrize(
    "given",
    [
        {"http_listen": ""},
        {"http_listen": "localhost:0"},
        {"http_listen": "[::1]:80"},
        {"http_listen": "0.0.0.0:80", "http_token": TOKEN},
        {"http_listen": "0.0.0.0:80", "http_token": "env:TOKEN"},
        {"http_listen": "0.0.0.0:80", "http_token": "file:/run/token"},
        {"http_listen": "0.0.0.0:80", "insecure": True},
        {"public_url": "http://10.0.0.1:8080/side"},
    ],
    ids=str,
)
def test_what_can_be_served_is_taken(given: dict[str, Any]) -> None:
    settings = Settings.model_validate(given)
    assert {name: getattr(settings, name) for name in given} == given


def test_no_message_shows_a_token() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({"http_token": "se cr et"})
    shown = refused.value.errors(include_url=False, include_input=False)
    assert "se cr et" not in json.dumps(shown, default=str)
    assert TOKEN not in repr(Settings.model_validate({"http_token": TOKEN}))


PROGRAM = """
import asyncio, sys
from sidecar.app import Sidecar
from sidecar.config import Settings
from sidecar.telemetry.settings import read_settings

async def main():
    sidecar = Sidecar(Settings(), read_settings({"OTEL_SDK_DISABLED": "true"}))
    await sidecar.start()
    print(sidecar.http_port, sorted({"uvicorn", "starlette", "h11"} & set(sys.modules)))
    await sidecar.stop()

asyncio.run(main())
"""


def test_turned_off_it_is_not_even_imported(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "SIDECAR_HTTP_LISTEN": "", "SIDECAR_LISTEN": address(free_port())}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "None []" in ran.stdout.splitlines()


def test_an_address_that_is_taken_ends_the_start_by_name(tmp_path: Path) -> None:
    with SidecarProcess(tmp_path / "first", OTEL_SDK_DISABLED="true") as first:
        taken = f"{HOST}:{first.http_port}"
        second = SidecarProcess(tmp_path / "second", SIDECAR_HTTP_LISTEN=taken, OTEL_SDK_DISABLED="true")
        second.launch()
        try:
            assert second.await_death() == 1
        finally:
            second.kill()
        assert f"cannot listen on {taken} (SIDECAR_HTTP_LISTEN)" in second.said()


def test_it_listens_on_ipv6_too(tmp_path: Path) -> None:
    with SidecarProcess(tmp_path, SIDECAR_HTTP_LISTEN="[::1]:0", OTEL_SDK_DISABLED="true") as house:
        answer = httpx.get(f"http://[::1]:{house.http_port}/executions")
        assert answer.status_code == 200
