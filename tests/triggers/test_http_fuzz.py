"""Anything at all over HTTP: never a fault of the sidecar, nothing queued, and it goes on."""

import socket
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.v1 import definitions_pb2 as defs
from tests.processes import SidecarProcess
from tests.services.loopback import HOST
from tests.triggers.raw_http import PATIENCE, request
from tests.web import Web, trusted, webs

OPTIONS = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """A sidecar that afterwards serves as before, has met no fault, and ends in order."""
    folder = tmp_path_factory.mktemp("fuzz")
    with SidecarProcess(folder, SIDECAR_HTTP_TIMEOUT="500ms", OTEL_SDK_DISABLED="true") as house:
        yield house
        with webs(house) as web:
            assert web.deliver(web.hook()).status_code == 202
    assert "sidecar.stopped" in house.said()
    assert "Traceback" not in house.log.read_text()
    assert '"level": "error"' not in house.log.read_text()


@pytest.fixture(scope="module")
def web(house: SidecarProcess) -> Iterator[Web]:
    """One open webhook of each provider, and one of each scheme that nobody here has the secret of."""
    with webs(house) as web:
        for provider in PROVIDERS:
            web.hook(f"{provider}-hook", provider=provider, verification=trusted(GITHUB))
        for scheme, fields in SCHEMES.items():
            web.hook(f"scheme-{scheme}", verification=trusted(scheme, **fields))
        yield web


GITHUB = defs.VERIFICATION_SCHEME_GITHUB
PROVIDERS = ["slack", "meta", "x", "zoom", "microsoft-graph", "dropbox", "github"]
SCHEMES: dict[defs.VerificationScheme.ValueType, dict[str, str]] = {
    defs.VERIFICATION_SCHEME_BEARER: {},
    defs.VERIFICATION_SCHEME_HEADER: {"header": "X-Token"},
    defs.VERIFICATION_SCHEME_STRIPE: {},
    defs.VERIFICATION_SCHEME_HMAC: {"header": "X-Signature", "encoding": "base64"},
}
PATHS = [*(f"{p}-hook" for p in PROVIDERS), *(f"scheme-{int(s)}" for s in SCHEMES), "nobody"]

NAMES = st.sampled_from(
    [
        b"Content-Type",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Expect",
        b"Connection",
        b"Upgrade",
        b"Authorization",
        b"X-Hub-Signature-256",
        b"X-Github-Event",
        b"Stripe-Signature",
        b"X-Signature",
        b"X-Token",
        b"X-Event-Id",
        b"Webhook-Id",
        b"X-Request-Id",
        b"Traceparent",
        b"Tracestate",
        b"Baggage",
        b"Cookie",
    ]
)
SHAPED = [
    b"chunked",
    b"identity",
    b"100-continue",
    b"0",
    b"5",
    b"-1",
    b"99999999999999999999",
    b"application/json",
    b"Bearer x",
    b"sha256=" + b"0" * 64,
    b"t=1,v1=" + b"0" * 64,
    b"ping",
    b"close",
    b"websocket",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
]
VALUES = st.one_of(st.sampled_from(SHAPED), st.binary(max_size=60))
HEADERS = st.lists(st.tuples(NAMES, VALUES).map(lambda pair: b"%s: %s" % pair), max_size=8)
METHODS = st.one_of(
    st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT"]), st.text("AZ-", max_size=5)
)
QUERIES = st.one_of(
    st.just(""),
    st.sampled_from(
        [
            "?crc_token=abc",
            "?challenge=%3Cb%3E",
            "?validationToken=a%00b",
            "?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1",
        ]
    ),
    st.text("ab=&%?;+/0f", max_size=20).map(lambda text: f"?{text}"),
)
BODIES = st.one_of(
    st.none(),
    st.binary(max_size=200),
    st.sampled_from(
        [
            b'{"type":"url_verification","challenge":"x"}',
            b'{"event":"endpoint.url_validation","payload":{"plainToken":"x"}}',
            b"[" * 5_000,
            b"5\r\nhello\r\n0\r\n\r\n",
        ]
    ),
)


def answered(port: int, data: bytes, method: str) -> int | None:
    """Send bytes, end the sending, and return the status of the first answer, None if there is none."""
    with socket.create_connection((HOST, port), PATIENCE) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            response = HTTPResponse(connection, method=method)
            response.begin()
            response.read()
        except (ConnectionError, HTTPException):
            return None
        return response.status


def assert_unharmed(web: Web, status: int | None) -> None:
    assert status is None or status < 500
    assert web.records() == []


@OPTIONS
@given(METHODS, st.sampled_from(PATHS), QUERIES, HEADERS, BODIES)
def test_whatever_is_sent_to_a_webhook_nothing_is_queued(
    web: Web, method: str, name: str, query: str, headers: list[bytes], body: bytes | None
) -> None:
    """WEB-1: nobody here knows a secret."""
    data = request(f"/hooks/{web.wire.namespace}/{name}{query}", *headers, method=method, body=body)
    assert_unharmed(web, answered(web.sidecar.http_port, data, method))


@OPTIONS
@given(st.sampled_from(["GET", "POST", "HEAD"]), st.binary(max_size=40), QUERIES, BODIES)
def test_whatever_path_is_asked_for_nothing_breaks(
    web: Web, method: str, path: bytes, query: str, body: bytes | None
) -> None:
    for prefix in ("/", "/executions/", "/hooks/", "/schedules/"):
        target = f"{prefix}{path.decode('latin-1')}{query}"
        assert_unharmed(
            web, answered(web.sidecar.http_port, request(target, method=method, body=body), method)
        )


@OPTIONS
@given(st.binary(max_size=300))
def test_whatever_bytes_come_nothing_breaks(web: Web, data: bytes) -> None:
    assert_unharmed(web, answered(web.sidecar.http_port, data, "POST"))
