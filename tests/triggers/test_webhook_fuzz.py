"""WEB-1: whatever comes in over the wire, checking it never raises, and nothing random is genuine."""

import base64
import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from sidecar.core.refusals import RefusalError
from sidecar.core.webhooks import Scheme, Verification
from sidecar.triggers.challenges import MAX_ECHO, Received
from sidecar.triggers.deliveries import USUAL_HEADERS, delivery_key
from sidecar.triggers.handshakes import PROVIDERS, handshake, methods
from sidecar.triggers.headers import Headers
from sidecar.triggers.signatures import Fault
from sidecar.triggers.verification import problem, verify
from tests.triggers.senders import (
    BODY,
    GENUINE,
    NANOS,
    NOW,
    SIGNING,
    STANDARD_SECRET,
    TRUSTED,
    github,
    hmac_header,
    standard,
    standard_signature,
    stripe,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
DIGEST = st.binary(min_size=32, max_size=32)
HEX = DIGEST.map(bytes.hex)
BASE64 = DIGEST.map(lambda value: base64.b64encode(value).decode())
TIME = st.one_of(st.just(str(NOW)), st.integers(0, 10**13).map(str), ANY_TEXT)
VALUES = st.one_of(
    ANY_TEXT,
    TIME,
    HEX.map("sha256={}".format),
    BASE64.map("v1:{}".format),
    ANY_TEXT.map("Bearer {}".format),
    st.builds("t={},v1={},v1={}".format, TIME, HEX, HEX | ANY_TEXT),
    st.builds("v1,{} v1a,{} v1,{}".format, BASE64, BASE64, BASE64 | ANY_TEXT),
)
NAMES = st.sampled_from(
    sorted({name for headers in GENUINE.values() for name, _ in headers} | {*USUAL_HEADERS})
)
PAIRS = st.lists(st.tuples(NAMES | ANY_TEXT, VALUES), max_size=8)
HEXADECIMAL = {Scheme.GITHUB, Scheme.STRIPE}
BODIES = st.binary(max_size=200)
NOWS = st.one_of(st.just(NOW * NANOS), st.integers(-(2**70), 2**70))
SCHEMES = st.sampled_from(sorted(TRUSTED))
VERIFICATIONS = st.builds(
    Verification,
    st.sampled_from(Scheme),
    st.lists(ANY_TEXT, max_size=3).map(tuple),
    NAMES | ANY_TEXT,
    st.sampled_from(["", "sha256=", "v1:"]) | ANY_TEXT,
    st.sampled_from(["hex", "base64"]) | ANY_TEXT,
    st.timedeltas(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
PARAMETERS = st.sampled_from(
    ["hub.mode", "hub.challenge", "hub.verify_token", "crc_token", "challenge", "validationToken", "other"]
)


@given(VERIFICATIONS, PAIRS, BODIES, NOWS)
def test_checking_never_raises(
    verification: Verification, pairs: list[tuple[str, str]], body: bytes, now: int
) -> None:
    fault = verify(verification, Headers.of(pairs), body, now)
    assert fault is None or isinstance(fault, Fault)
    assert problem(verification) != ""
    if verification.scheme is not Scheme.NONE and not any(verification.secrets):
        assert fault is Fault.UNCONFIGURED


@given(SCHEMES, PAIRS, BODIES, NOWS)
def test_random_headers_are_never_genuine(
    scheme: Scheme, pairs: list[tuple[str, str]], body: bytes, now: int
) -> None:
    assert verify(TRUSTED[scheme], Headers.of(pairs), body, now) in set(Fault) - {Fault.UNCONFIGURED}


@given(st.sampled_from(SIGNING), BODIES)
def test_a_signature_is_good_for_one_body_only(scheme: Scheme, body: bytes) -> None:
    assert (verify(TRUSTED[scheme], GENUINE[scheme], body, NOW * NANOS) is None) == (body == BODY)


@given(st.sampled_from(SIGNING), st.data())
def test_one_flipped_character_of_the_headers_is_seen(scheme: Scheme, data: st.DataObject) -> None:
    pairs = list(GENUINE[scheme])
    index = data.draw(st.integers(0, len(pairs) - 1))
    name, value = pairs[index]
    place = data.draw(st.integers(0, len(value.split(",v0=")[0]) - 1))
    other = data.draw(
        st.characters(exclude_categories=()).filter(lambda c: c.lower() != value[place].lower())
    )
    pairs[index] = (name, value[:place] + other + value[place + 1 :])
    assert verify(TRUSTED[scheme], Headers.of(pairs), BODY, NOW * NANOS) is not None


@given(BODIES, st.integers(0, 10**12 - 1), st.integers(-400, 400))
def test_every_body_is_signed_and_taken_within_the_window(body: bytes, at: int, late: int) -> None:
    assert verify(TRUSTED[Scheme.GITHUB], github(body), body, 0) is None
    assert verify(TRUSTED[Scheme.HMAC], hmac_header(body), body, 0) is None
    wanted = None if abs(late) <= 300 else Fault.STALE
    assert verify(TRUSTED[Scheme.STRIPE], stripe(body, at=at), body, (at + late) * NANOS) is wanted


@given(st.text(max_size=80), st.from_regex(r"\A[!-\-/-~]{1,60}\Z"), DIGEST, st.booleans())
def test_what_the_library_of_standard_webhooks_signs_is_genuine(
    text: str, delivery: str, key: bytes, prefixed: bool
) -> None:
    secret = ("whsec_" if prefixed else "") + base64.b64encode(key).decode()
    body = text.encode("utf-8", "replace")
    signature = standard_signature(delivery, NOW, body.decode(), secret)
    headers = Headers.of(
        [("webhook-id", delivery), ("webhook-timestamp", str(NOW)), ("webhook-signature", signature)]
    )
    assert verify(Verification(Scheme.STANDARD, (secret,)), headers, body, NOW * NANOS) is None


@pytest.mark.parametrize("scheme", [Scheme.STRIPE, Scheme.STANDARD])
@given(tolerance=st.timedeltas(timedelta(0), timedelta(days=1)), late=st.integers(-(10**14), 10**14))
def test_the_window_is_as_wide_as_it_is_set(scheme: Scheme, tolerance: timedelta, late: int) -> None:
    trusted = replace(TRUSTED[scheme], tolerance=tolerance)
    fault = verify(trusted, GENUINE[scheme], BODY, NOW * NANOS + late)
    assert fault == (None if abs(late) <= tolerance // timedelta(microseconds=1) * 1_000 else "stale")


def test_the_library_judges_as_we_do() -> None:
    """What it takes now we take now; what it refuses for its age, its body or its secret we refuse too."""
    now = int(datetime.now(UTC).timestamp())
    for at, body, secret in (
        (now, BODY, STANDARD_SECRET),
        (now, BODY + b" ", STANDARD_SECRET),
        (now, BODY, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        (now - 1_000, BODY, STANDARD_SECRET),
        (now + 1_000, BODY, STANDARD_SECRET),
    ):
        headers = standard(BODY, secret, at=at)
        taken = False
        with contextlib.suppress(WebhookVerificationError):
            Webhook(STANDARD_SECRET).verify(body, dict(headers), json_parse=False)
            taken = True
        assert (verify(TRUSTED[Scheme.STANDARD], headers, body, now * NANOS) is None) == taken
        assert taken == ((at, body, secret) == (now, BODY, STANDARD_SECRET))


@given(
    st.sampled_from([*PROVIDERS, "unknown"]),
    st.sampled_from(["GET", "POST"]),
    st.lists(st.tuples(PARAMETERS | ANY_TEXT, ANY_TEXT), max_size=4).map(tuple),
    PAIRS,
    BODIES,
    st.booleans(),
)
def test_handshakes_never_raise_and_never_reflect_markup(
    provider: str,
    method: str,
    query: tuple[tuple[str, str], ...],
    pairs: list[tuple[str, str]],
    body: bytes,
    verified: bool,
) -> None:
    answer = handshake(provider, Received(method, query, Headers.of(pairs), body, ("secret",), verified))
    if answer is None:
        assert method == "POST" or "GET" not in methods(provider)
        return
    assert answer.status in {200, 400, 401}
    assert ("x-content-type-options", "nosniff") in answer.headers
    assert not set(b"<>\"'") & set(answer.body) or answer.content_type == "application/json"
    assert len(answer.body) <= 6 * MAX_ECHO


@given(st.sampled_from(["slack", "zoom"]), JSON, JSON)
def test_challenges_in_any_json_never_raise(provider: str, challenge: object, payload: object) -> None:
    kinds = {"type": "url_verification", "event": "endpoint.url_validation"}
    body = json.dumps({**kinds, "challenge": challenge, "payload": payload}).encode()
    answer = handshake(provider, Received("POST", (), Headers(), body, ("secret",), True))
    assert answer is not None
    assert answer.status in {200, 400}


@given(PAIRS, ANY_TEXT | NAMES, st.sampled_from(Scheme))
def test_an_id_is_sound_absent_or_refused(pairs: list[tuple[str, str]], own: str, scheme: Scheme) -> None:
    headers = Headers.of(pairs)
    with contextlib.suppress(RefusalError):
        key = delivery_key(headers, own, scheme)
        assert key is None or key in {value for _, value in headers}
        assert key is None or (key.isascii() and 1 <= len(key) <= 256)
