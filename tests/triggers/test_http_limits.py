"""The HTTP server among strangers: each request is bounded in size, time and number, and answered in JSON."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sidecar.v1 import definitions_pb2 as defs
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition
from tests.triggers.raw_http import asked, connected, request
from tests.web import SECRET, Web, signed, trusted, webs

CONNECTIONS = 8
MAX_BODY = 100_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """A sidecar with little patience and few connections, whose log strangers cannot fill with faults."""
    with SidecarProcess(
        tmp_path_factory.mktemp("limits"),
        SIDECAR_HTTP_TIMEOUT="1s",
        SIDECAR_HTTP_CONNECTIONS=str(CONNECTIONS),
        SIDECAR_MAX_BODY_BYTES=str(MAX_BODY),
        OTEL_SDK_DISABLED="true",
    ) as house:
        yield house
    assert "sidecar.stopped" in house.said()
    assert "Traceback" not in house.log.read_text()
    assert '"level": "error"' not in house.log.read_text()


@pytest.fixture
def web(house: SidecarProcess) -> Iterator[Web]:
    with webs(house) as web:
        yield web


@pytest.fixture
def path(web: Web) -> str:
    return f"/hooks/{web.hook()}"


@pytest.fixture
def port(house: SidecarProcess) -> int:
    return house.http_port


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /hoo", b"POST /x HTTP/1.1\r\nHost: a\r\nX: "],
    ids=["silent", "in the first line", "in a header"],
)
def test_a_head_that_never_ends_is_given_up(port: int, begun: bytes) -> None:
    with connected(port) as connection:
        connection.send(begun)
        assert connection.answer().reason == "REQUEST_TIMEOUT"
        assert connection.until_closed() == b""


@pytest.mark.parametrize("framing", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_a_body_that_never_ends_is_given_up_and_not_queued(
    web: Web, port: int, path: str, framing: bytes
) -> None:
    with connected(port) as connection:
        connection.send(request(path, framing, body=None) + b"3\r\n{}\n")
        heard = connection.answer()
        assert (heard.status, heard.reason) == (408, "REQUEST_TIMEOUT")
        assert connection.until_closed() == b""
    assert web.records() == []


def test_a_sender_that_drips_has_no_more_time_than_others(web: Web, port: int, path: str) -> None:
    """The whole request has one deadline, however often a byte comes."""
    with connected(port) as connection:
        connection.send(request(path, b"Content-Length: 1000000", body=None).replace(b"1000000", b"90000"))
        connection.socket.settimeout(0.05)
        heard = b""
        while not heard:
            connection.send(b"x")
            try:
                heard = connection.interim()
            except TimeoutError:
                continue
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert web.records() == []


def test_a_pause_between_two_requests_is_no_slow_request(port: int, path: str) -> None:
    with connected(port) as connection:
        for _ in range(3):
            connection.send(request(path))
            assert connection.answer().status == 202


def test_a_body_that_is_dropped_for_its_size_cannot_hold_the_connection(port: int, path: str) -> None:
    """413 at once; then what still comes is thrown away for no longer than any request may take."""
    with connected(port) as connection:
        connection.send(request(path, b"Content-Length: 10000000000", body=None))
        assert connection.answer().reason == "PAYLOAD_TOO_LARGE"
        assert connection.until_closed() == b""


def test_after_a_refused_body_the_connection_goes_on(port: int, path: str) -> None:
    with connected(port) as connection:
        connection.send(request(path, body=bytes(MAX_BODY + 1)))
        assert connection.answer().status == 413
        connection.send(request(path))
        assert connection.answer().status == 202


def test_a_chunked_body_is_read_no_further_than_its_limit(web: Web, port: int, path: str) -> None:
    with connected(port) as connection:
        connection.send(request(path, b"Transfer-Encoding: chunked", body=None))
        chunk = b"%x\r\n%s\r\n" % (50_000, bytes(50_000))
        connection.send(chunk * 3)
        assert connection.answer().reason == "PAYLOAD_TOO_LARGE"
    assert web.records() == []


def test_one_connection_too_many_is_told_to_come_again(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(connected(port))

        def turned_away() -> bool:
            with connected(port) as late:
                heard = late.until_closed()
                return heard.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1\r\n" in heard

        assert turned_away()
    # Those before have hung up, so there is room again.
    await_condition(lambda: _is_served(port), "the next one is served", 20)


def _is_served(port: int) -> bool:
    with connected(port) as connection:
        connection.send(request("/livez", method="GET", body=None))
        return connection.answer("GET").status == 200


def test_more_of_a_head_than_anybody_needs_is_refused(web: Web, port: int, path: str) -> None:
    """431, or 400 where it does not even come in one piece."""
    for data in (request(path, b"X-Long: " + b"a" * 40_000), request(f"{path}?{'a' * 40_000}")):
        heard = asked(port, data)
        assert (heard.status, heard.reason) in ((431, "HEAD_TOO_LARGE"), (400, "BAD_REQUEST"))
    heard = asked(port, request(path, *[b"X-%d: a" % n for n in range(300)]))
    assert (heard.status, heard.reason) == (431, "HEAD_TOO_LARGE")
    assert web.records() == []


def test_a_head_that_never_ends_is_cut_short(port: int) -> None:
    """Nobody keeps more of it than the bound, and none of what follows."""
    with connected(port) as connection:
        connection.send(b"POST /x HTTP/1.1\r\nX-Long: " + b"a" * 40_000)
        assert connection.answer().reason == "BAD_REQUEST"


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /x HTTP/1.1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nX\x00Y: 1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_in_json_and_ends(port: int, data: bytes) -> None:
    with connected(port) as connection:
        connection.send(data)
        heard = connection.answer()
        assert 400 <= heard.status < 500
        assert heard.reason in ("BAD_REQUEST", "REQUEST_TIMEOUT")
        assert heard.headers["connection"] == "close"
        connection.until_closed()


def test_a_broken_chunk_is_answered_too(web: Web, port: int, path: str) -> None:
    heard = asked(port, request(path, b"Transfer-Encoding: chunked", body=None) + b"zz\r\n")
    assert (heard.status, heard.reason) == (400, "BAD_REQUEST")
    assert web.records() == []


def test_garbage_after_an_answer_ends_the_connection_quietly(house: SidecarProcess, path: str) -> None:
    """Also where the rest of a refused body turns out to be none."""
    data = request(path, b"Transfer-Encoding: chunked", body=None) + b"%x\r\n%s\r\n" % (
        2 * MAX_BODY,
        bytes(2 * MAX_BODY),
    )
    with connected(house.http_port) as connection:
        connection.send(data)
        assert connection.answer().status == 413
        connection.send(b"zz\r\n")
        connection.until_closed()
    assert "Traceback" not in house.said(100_000)


@pytest.mark.parametrize(
    "target",
    [
        "/hooks/../livez",
        "/hooks/%2e%2e/livez",
        "/hooks//",
        "/hooks/",
        "/hooks/%ff%fe",
        "/hooks/a%00b",
        "/hooks/%",
        "/hooks%2Fx",
        "/hooks/x;y",
        "/hooks/" + "a/" * 2_000,
    ],
)
def test_no_odd_path_leads_anywhere(port: int, target: str) -> None:
    heard = asked(port, request(target))
    assert heard.status == 404
    assert heard.reason in ("WEBHOOK_NOT_FOUND", "PAGE_NOT_FOUND")


def test_only_a_body_that_is_wanted_is_asked_for(port: int, path: str) -> None:
    """`Expect: 100-continue`: a refusal that needs no body comes without one."""
    expecting = b"Expect: 100-continue"
    with connected(port) as connection:
        connection.send(request(path, expecting, b"Content-Length: 2", body=None))
        assert connection.interim() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"{}")
        assert connection.answer().status == 202
    for target, length, status in ((path, 10**9, 413), ("/hooks/nobody", 2, 404)):
        with connected(port) as connection:
            connection.send(request(target, expecting, b"Content-Length: %d" % length, body=None))
            assert connection.answer().status == status


def test_pipelined_deliveries_are_answered_in_order(web: Web, port: int, path: str) -> None:
    last = request(path, b"X-Event-Id: 2", b"Connection: close")
    with connected(port) as connection:
        connection.send(request(path, b"X-Event-Id: 1") + request("/hooks/nobody") + last)
        assert re.findall(rb"HTTP/1.1 (\d+)", connection.until_closed()) == [b"202", b"404", b"202"]
    assert len(web.records()) == 2


def test_http_1_0_and_an_absolute_address_are_served(port: int, path: str) -> None:
    data = b"POST %s HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}" % path.encode()
    assert asked(port, data).status == 202
    heard = asked(port, request(f"http://localhost{path}"))
    assert heard.status == 404


def test_an_upgrade_is_no_way_round(port: int, path: str) -> None:
    """Neither a WebSocket nor HTTP/2 over clear text: it is a delivery like any other."""
    for upgrade in (b"websocket", b"h2c"):
        data = request(path, b"Connection: Upgrade", b"Upgrade: " + upgrade)
        assert asked(port, data).status == 202


def test_a_signature_given_twice_is_refused(web: Web, port: int) -> None:
    """WEB-1: which of two a proxy has looked at, nobody knows."""
    path = f"/hooks/{web.hook(verification=trusted(defs.VERIFICATION_SCHEME_GITHUB))}"
    proof = f"X-Hub-Signature-256: {signed(SECRET, b'{}')}".encode()
    assert asked(port, request(path, proof, proof)).status == 401
    assert asked(port, request(path, proof)).status == 202
    assert len(web.records()) == 1


def test_whoever_hangs_up_halfway_leaves_nothing(web: Web, port: int, path: str) -> None:
    with connected(port) as connection:
        connection.send(request(path, b"Content-Length: 100", body=None) + b"half")
    assert web.deliver(path.removeprefix("/hooks/")).status_code == 202
    assert len(web.records()) == 1
