"""WEB-3: the handshakes of common providers are answered, and give nothing away."""

import base64
import hashlib
import hmac
import json

import pytest

from sidecar.triggers.challenges import MAX_BODY, MAX_ECHO, Handshake, Received
from sidecar.triggers.handshakes import PROVIDERS, handshake, methods
from sidecar.triggers.headers import Headers

SECRET = "the-apps-own-secret"
BOTH = ("rotated-in-secret", SECRET)
MARKUP = "<script>alert('1')</script>&\""
WITH_GET = {"dropbox", "facebook", "instagram", "messenger", "meta", "twitter", "whatsapp", "x"}


def get(*query: tuple[str, str], secrets: tuple[str, ...] = BOTH) -> Received:
    return Received("GET", query, secrets=secrets)


def post(document: object, *, verified: bool = True, secrets: tuple[str, ...] = BOTH) -> Received:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Received("POST", (), Headers(), body, secrets, verified)


def answered(provider: str, received: Received) -> Handshake:
    answer = handshake(provider, received)
    assert answer is not None
    assert ("x-content-type-options", "nosniff") in answer.headers
    assert answer.content_type in {"text/plain; charset=utf-8", "application/json"}
    assert b"<" not in answer.body
    return answer


def text(provider: str, received: Received) -> str:
    answer = answered(provider, received)
    assert (answer.status, answer.content_type) == (200, "text/plain; charset=utf-8")
    return answer.body.decode()


def document(provider: str, received: Received) -> object:
    answer = answered(provider, received)
    assert (answer.status, answer.content_type) == (200, "application/json")
    return json.loads(answer.body)


def status(provider: str, received: Received) -> int:
    return answered(provider, received).status


def signature(token: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).digest()


def meta_query(token: str = SECRET, challenge: str = "1158201444", mode: str = "subscribe") -> Received:
    return get(("hub.mode", mode), ("hub.challenge", challenge), ("hub.verify_token", token))


SLACK = {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aBm2rZgRNFdxV", "type": "url_verification"}


def test_slack_gets_its_challenge_back_once_it_is_verified() -> None:
    assert text("slack", post(SLACK)) == "3eZbrw1aBm2rZgRNFdxV"
    assert handshake("slack", post(SLACK, verified=False)) is None


@pytest.mark.parametrize("challenge", [None, 7, "", "x" * (MAX_ECHO + 1), "caf\u00e9", "\ud800", "a\nb"])
def test_a_slack_challenge_of_another_form_is_refused_and_not_queued(challenge: object) -> None:
    assert status("slack", post({**SLACK, "challenge": challenge})) == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 5_000,
        b'{"type":"event_callback","challenge":"c"}',
        json.dumps({**SLACK, "padding": "x" * MAX_BODY}).encode(),
    ],
)
def test_what_is_no_challenge_of_slack_is_a_delivery(body: bytes) -> None:
    assert handshake("slack", post(body)) is None


@pytest.mark.parametrize("provider", ["meta", "facebook", "instagram", "messenger", "whatsapp", "WhatsApp"])
def test_meta_gets_its_challenge_back_for_any_of_the_secrets(provider: str) -> None:
    assert text(provider, meta_query()) == "1158201444"
    assert text(provider, meta_query(BOTH[0])) == "1158201444"


@pytest.mark.parametrize("token", ["", SECRET[:-1], SECRET + "x", "\ud800", "\u65e5"])
def test_meta_gets_nothing_back_for_a_wrong_token(token: str) -> None:
    answer = answered("meta", meta_query(token))
    assert answer.status == 401
    assert b"1158201444" not in answer.body


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_meta_gets_nothing_back_where_there_is_no_secret(secrets: tuple[str, ...]) -> None:
    query = meta_query("").query
    assert status("meta", get(*query, secrets=secrets)) == 401


def test_a_meta_request_of_another_form_is_refused() -> None:
    assert status("meta", meta_query(mode="unsubscribe")) == 400
    assert status("meta", meta_query(mode="")) == 400
    assert status("meta", get(*meta_query().query[1:])) == 400
    assert status("meta", get(("hub.mode", "subscribe"), ("hub.challenge", "1"))) == 400
    assert status("meta", get(*meta_query().query, ("hub.verify_token", "x"))) == 400
    assert status("meta", get(*meta_query().query, ("hub.challenge", "2"))) == 400
    assert status("meta", get()) == 400


@pytest.mark.parametrize("provider", ["x", "twitter"])
def test_x_gets_its_token_signed_with_the_preferred_secret(provider: str) -> None:
    token = "9b4507b3-9040-4669-9ca3-6b94edb50553"
    wanted = "sha256=" + base64.b64encode(signature(token, BOTH[0])).decode()
    assert document(provider, get(("crc_token", token))) == {"response_token": wanted}


def test_zoom_gets_its_token_signed_with_the_preferred_secret() -> None:
    token = "qgg8vlvZRS6UYooatFL8Aw"
    request = {
        "payload": {"plainToken": token},
        "event_ts": 1654503849680,
        "event": "endpoint.url_validation",
    }
    wanted = {"plainToken": token, "encryptedToken": signature(token, BOTH[0]).hex()}
    assert document("zoom", post(request, verified=False)) == wanted
    assert handshake("zoom", post({**request, "event": "meeting.started"})) is None


NOT_TOKENS = ["", '{"event":"forged"}', "12345", "-5", "1e5", "true", "null", "NaN", "[]", '"text"']
NOT_TOKENS += [
    "v0:1654503849:{}",
    "msg_1.1654503849.{}",
    "a b",
    "a=b",
    "caf\u00e9",
    "\ud800",
    "x" * 600,
    MARKUP,
]


@pytest.mark.parametrize("token", NOT_TOKENS)
def test_nothing_is_signed_that_could_be_a_delivery(token: str) -> None:
    """Else anybody could have a body signed, and send it with the signature."""
    assert status("x", get(("crc_token", token))) == 400
    assert status("zoom", post({"event": "endpoint.url_validation", "payload": {"plainToken": token}})) == 400


@pytest.mark.parametrize("payload", [None, [], "text", {}, {"plainToken": None}, {"plainToken": 5}])
def test_a_zoom_payload_of_another_form_is_refused(payload: object) -> None:
    assert status("zoom", post({"event": "endpoint.url_validation", "payload": payload})) == 400


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_nothing_is_signed_without_a_secret(secrets: tuple[str, ...]) -> None:
    assert status("x", get(("crc_token", "token"), secrets=secrets)) == 401
    challenge = {"event": "endpoint.url_validation", "payload": {"plainToken": "token"}}
    assert status("zoom", post(challenge, secrets=secrets)) == 401


def test_x_is_refused_without_one_token() -> None:
    assert status("x", get()) == 400
    assert status("x", get(("crc_token", "a"), ("crc_token", "a"))) == 400


@pytest.mark.parametrize("provider", ["microsoft", "microsoft-graph", "sharepoint"])
@pytest.mark.parametrize("name", ["validationToken", "validationtoken"])
def test_microsoft_gets_its_token_back(provider: str, name: str) -> None:
    token = "Validation: Testing client application reachability for subscription Request-Id: 522a8e7e-096a"
    assert text(provider, Received("POST", ((name, token),))) == token


def test_a_microsoft_token_is_bounded_and_given_once() -> None:
    token = ("validationToken", "a")
    assert status("microsoft", Received("POST", (token, token))) == 400
    assert status("microsoft", Received("POST", (token, ("validationtoken", "a")))) == 400
    assert status("microsoft", Received("POST", (("validationToken", ""),))) == 400
    assert status("microsoft", Received("POST", (("validationToken", "x" * (MAX_ECHO + 1)),))) == 400
    assert handshake("microsoft", post({"value": []})) is None


def test_dropbox_gets_its_challenge_back() -> None:
    assert text("dropbox", get(("challenge", "abc123"))) == "abc123"
    assert status("dropbox", get()) == 400
    assert status("dropbox", get(("challenge", "x" * (MAX_ECHO + 1)))) == 400


def test_markup_comes_back_as_text_only() -> None:
    shown = "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&amp;&quot;"
    assert text("dropbox", get(("challenge", MARKUP))) == shown
    assert text("microsoft", Received("POST", (("validationToken", MARKUP),))) == shown
    assert text("meta", meta_query(challenge=MARKUP)) == shown
    assert text("slack", post({**SLACK, "challenge": MARKUP})) == shown


def test_a_ping_of_github_is_answered_and_not_queued() -> None:
    ping = Received("POST", headers=Headers.of([("X-GitHub-Event", "ping")]), verified=True)
    assert text("github", ping) == "pong"
    assert handshake("github", Received("POST", headers=ping.headers, verified=False)) is None
    push = Received("POST", headers=Headers.of([("X-GitHub-Event", "push")]), verified=True)
    assert handshake("github", push) is None
    twice = Received("POST", headers=Headers.of([*ping.headers, *push.headers]), verified=True)
    assert handshake("github", twice) is None


@pytest.mark.parametrize("provider", ["", "unknown", "discord", "stripe"])
def test_an_unknown_provider_has_no_handshake(provider: str) -> None:
    for received in (meta_query(), get(("challenge", "a"), ("crc_token", "a")), post(SLACK)):
        assert handshake(provider, received) is None
    assert methods(provider) == ("POST",)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_get_is_allowed_only_where_it_is_always_answered(provider: str) -> None:
    """WEB-1: 405 with Allow; a GET is never queued."""
    allowed = ("GET", "POST") if provider in WITH_GET else ("POST",)
    assert methods(provider) == methods(provider.upper()) == allowed
    assert (handshake(provider, get()) is not None) == ("GET" in allowed)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_other_methods_are_no_handshake(provider: str) -> None:
    query = (*meta_query().query, ("challenge", "a"), ("crc_token", "a"), ("validationToken", "a"))
    for method in ("HEAD", "PUT", "get", ""):
        assert handshake(provider, Received(method, query, secrets=BOTH, verified=True)) is None


@pytest.mark.parametrize("provider", sorted(WITH_GET))
def test_a_delivery_is_never_taken_for_a_challenge_by_its_query(provider: str) -> None:
    query = (*meta_query().query, ("challenge", "a"), ("crc_token", "a"))
    assert handshake(provider, Received("POST", query, body=b"{}", secrets=BOTH, verified=True)) is None


def test_a_request_does_not_show_its_secrets() -> None:
    assert SECRET not in repr(get())
