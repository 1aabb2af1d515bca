"""WEB-1: a delivery is let in if it is genuine, and for no other reason."""

import hmac
from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.core.webhooks import Scheme, Verification
from sidecar.triggers import verification as subject
from sidecar.triggers.headers import Headers
from sidecar.triggers.verification import problem, shape_problem, verify
from tests.triggers.judging import changed, judge, without
from tests.triggers.senders import (
    BODY,
    GENUINE,
    NANOS,
    NOW,
    SIGNING,
    STANDARD_SECRET,
    TEXT_SECRET,
    TRUSTED,
    bearer,
    github,
    header,
    hmac_header,
    hmac_hex,
    standard,
    stripe,
)

OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
WINDOW = 300


def test_githubs_documented_example_is_genuine() -> None:
    trusted = Verification(Scheme.GITHUB, ("It's a Secret to Everybody",))
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = Headers.of([("X-Hub-Signature-256", signature)])
    assert verify(trusted, headers, b"Hello, World!", NOW * NANOS) is None
    assert verify(trusted, headers, b"Hello, World?", NOW * NANOS) == "mismatch"


def test_the_libraries_own_standard_example_is_genuine() -> None:
    headers = Headers.of(
        [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ]
    )
    assert judge(Scheme.STANDARD, headers, b'{"test": 2432232314}', 1_614_265_330) is None


@pytest.mark.parametrize("scheme", TRUSTED)
def test_each_scheme_takes_what_its_sender_proves(scheme: Scheme) -> None:
    assert judge(scheme, GENUINE[scheme]) is None


@pytest.mark.parametrize("scheme", SIGNING)
@pytest.mark.parametrize("body", [BODY + b"\n", BODY[:-1], BODY.replace(b":", b": "), b"", b"\xff\x00"])
def test_an_altered_body_is_a_mismatch(scheme: Scheme, body: bytes) -> None:
    """WEB-1: the bytes as they came are signed; the same JSON written otherwise is another body."""
    assert judge(scheme, GENUINE[scheme], body) == "mismatch"


@pytest.mark.parametrize("scheme", TRUSTED)
def test_another_secret_is_a_mismatch(scheme: Scheme) -> None:
    assert judge(scheme, GENUINE[scheme], secrets=(OTHER_SECRET,)) == "mismatch"


@pytest.mark.parametrize("scheme", TRUSTED)
@pytest.mark.parametrize("secrets", [("new", "old"), ("old", "new"), ("x" * 40, "old", "y" * 40)])
def test_while_secrets_rotate_any_of_them_will_do(scheme: Scheme, secrets: tuple[str, ...]) -> None:
    mine = {"old": TRUSTED[scheme].secrets[0], "new": OTHER_SECRET}
    assert judge(scheme, GENUINE[scheme], secrets=tuple(mine.get(s, s) for s in secrets)) is None


def test_a_sender_may_rotate_too_and_sign_with_both() -> None:
    assert judge(Scheme.STRIPE, stripe(BODY, "retired-secret", TEXT_SECRET)) is None
    assert judge(Scheme.STANDARD, standard(BODY, OTHER_SECRET, STANDARD_SECRET)) is None


@pytest.mark.parametrize("scheme", TRUSTED)
def test_a_missing_proof_is_missing(scheme: Scheme) -> None:
    for name, _ in GENUINE[scheme]:
        assert judge(scheme, without(GENUINE[scheme], name)) == "missing"


@pytest.mark.parametrize("scheme", TRUSTED)
def test_a_proof_given_twice_is_malformed_even_if_equal(scheme: Scheme) -> None:
    for pair in GENUINE[scheme]:
        assert judge(scheme, Headers.of([*GENUINE[scheme], pair])) == "malformed"


@pytest.mark.parametrize("scheme", TRUSTED)
@pytest.mark.parametrize("secrets", [(), ("",), ("", "")])
def test_no_secret_lets_nothing_in(scheme: Scheme, secrets: tuple[str, ...]) -> None:
    """WEB-1: a scheme fails closed."""
    empty = Headers.of((name, "") for name, _ in GENUINE[scheme])
    assert judge(scheme, GENUINE[scheme], secrets=secrets) == "unconfigured"
    assert judge(scheme, empty, secrets=secrets) == "unconfigured"


def test_an_empty_key_signs_nothing() -> None:
    assert judge(Scheme.GITHUB, github(BODY, ""), secrets=("",)) == "unconfigured"
    assert judge(Scheme.GITHUB, github(BODY, ""), secrets=("", TEXT_SECRET)) == "mismatch"


def test_no_header_to_look_in_lets_nothing_in() -> None:
    for scheme in (Scheme.HEADER, Scheme.HMAC):
        blank = replace(TRUSTED[scheme], header="")
        assert verify(blank, Headers.of([("", TEXT_SECRET)]), BODY, NOW * NANOS) == "unconfigured"
    strange = replace(TRUSTED[Scheme.HMAC], encoding="base32")
    assert verify(strange, GENUINE[Scheme.HMAC], BODY, NOW * NANOS) == "unconfigured"


def test_an_open_webhook_takes_anything() -> None:
    assert verify(Verification(), Headers(), BODY, NOW * NANOS) is None


@pytest.mark.parametrize("scheme", [Scheme.STRIPE, Scheme.STANDARD])
@pytest.mark.parametrize(
    ("late", "fault"),
    [
        *((late, None) for late in (-WINDOW, -1, 0, 1, WINDOW)),
        *((late, "stale") for late in (-WINDOW - 1, WINDOW + 1, 86_400 * 365, -NOW)),
    ],
)
def test_the_replay_window_is_closed_both_ways(scheme: Scheme, late: int, fault: str | None) -> None:
    assert judge(scheme, GENUINE[scheme], now=NOW + late) == fault


@pytest.mark.parametrize("scheme", [Scheme.STRIPE, Scheme.STANDARD])
def test_the_window_is_exact_to_the_nanosecond_and_can_be_set(scheme: Scheme) -> None:
    narrow = replace(TRUSTED[scheme], tolerance=timedelta(seconds=1))
    assert verify(narrow, GENUINE[scheme], BODY, (NOW + 1) * NANOS) is None
    assert verify(narrow, GENUINE[scheme], BODY, (NOW + 1) * NANOS + 1) == "stale"
    negative = replace(TRUSTED[scheme], tolerance=timedelta(seconds=-1))
    assert verify(negative, GENUINE[scheme], BODY, NOW * NANOS) == "stale"


def test_a_timestamp_moved_into_the_window_is_a_mismatch() -> None:
    old = NOW - 10_000
    moved = changed(stripe(at=old), "stripe-signature", f"t={NOW},v1={hmac_hex(TEXT_SECRET, BODY)}")
    assert judge(Scheme.STRIPE, moved) == "mismatch"
    swapped = changed(standard(at=old), "webhook-timestamp", str(NOW))
    assert judge(Scheme.STANDARD, swapped) == "mismatch"


def test_only_a_genuine_delivery_is_called_stale() -> None:
    assert judge(Scheme.STRIPE, stripe(BODY, "another-secret", at=NOW - 10_000)) == "mismatch"


@pytest.mark.parametrize("form", ["{}", "whsec_{}"])
@pytest.mark.parametrize("key", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "YQ==", "YWI=", "YQ", "YWI"])
def test_a_standard_secret_has_or_has_not_its_prefix_and_padding(form: str, key: str) -> None:
    secret = form.format(key)
    assert judge(Scheme.STANDARD, standard(BODY, secret), secrets=(f"whsec_{key}",)) is None
    assert judge(Scheme.STANDARD, standard(BODY, f"whsec_{key}"), secrets=(secret,)) is None


def test_a_standard_secret_that_is_no_base64_lets_nothing_in() -> None:
    for secret in ("whsec_", "whsec_!", "whsec_AAAAA", "whpk_AAAA", "whsec_AA-_"):
        assert judge(Scheme.STANDARD, standard(), secrets=(secret,)) == "unconfigured"
        assert judge(Scheme.STANDARD, standard(), secrets=(secret, STANDARD_SECRET)) is None


@pytest.mark.parametrize(
    "value", ["", TEXT_SECRET, f"Basic {TEXT_SECRET}", "Bearer", f"Bearer a {TEXT_SECRET}"]
)
def test_authorization_of_another_form_is_malformed(value: str) -> None:
    assert judge(Scheme.BEARER, Headers.of([("authorization", value)])) == "malformed"


@pytest.mark.parametrize(
    "value", [f"bearer {TEXT_SECRET}", f"BEARER   {TEXT_SECRET}", f" Bearer {TEXT_SECRET}\t"]
)
def test_bearer_is_written_in_any_case(value: str) -> None:
    assert judge(Scheme.BEARER, Headers.of([("Authorization", value)])) is None


@pytest.mark.parametrize(
    "token", [TEXT_SECRET[:-1], TEXT_SECRET + "x", TEXT_SECRET.upper(), "\ud800", "\u00e9"]
)
def test_a_token_that_is_nearly_the_secret_is_a_mismatch(token: str) -> None:
    assert judge(Scheme.BEARER, bearer(token)) == "mismatch"
    assert judge(Scheme.HEADER, header(token)) == "mismatch"


def test_a_secret_may_be_in_any_script() -> None:
    secret = "p\u00e4ssw\u00f6rd-\u65e5\u672c"
    wire = Headers.from_wire([(b"X-Token", secret.encode())])
    assert judge(Scheme.HEADER, wire, secrets=(secret,)) is None
    assert judge(Scheme.GITHUB, github(BODY, secret), secrets=(secret,)) is None


def test_hmac_has_the_header_prefix_and_encoding_that_are_set() -> None:
    assert judge(Scheme.HMAC, hmac_header()) is None
    hexadecimal = Verification(Scheme.HMAC, (TEXT_SECRET,), "X-Hub-Signature-256", "sha256=")
    assert verify(hexadecimal, github(), BODY, NOW * NANOS) is None
    bare = Verification(Scheme.HMAC, (TEXT_SECRET,), "x-sig")
    unprefixed = Headers.of([("X-Sig", hmac_hex(TEXT_SECRET, BODY))])
    assert verify(bare, unprefixed, BODY, NOW * NANOS) is None
    assert verify(replace(bare, prefix="v1="), unprefixed, BODY, NOW * NANOS) == "malformed"
    assert verify(replace(bare, encoding="base64"), unprefixed, BODY, NOW * NANOS) == "malformed"


@pytest.mark.parametrize("scheme", TRUSTED)
def test_every_secret_is_compared_in_constant_time(scheme: Scheme, monkeypatch: pytest.MonkeyPatch) -> None:
    """WEB-1: no early end tells which secret fits, nor how much of it."""
    seen: list[tuple[int, int]] = []

    def watched(a: bytes, b: bytes) -> bool:
        seen.append((len(a), len(b)))
        return hmac.compare_digest(a, b)

    monkeypatch.setattr(subject, "hmac", type("watching", (), {"compare_digest": staticmethod(watched)}))
    assert judge(scheme, GENUINE[scheme], secrets=(TRUSTED[scheme].secrets[0], OTHER_SECRET)) is None
    assert seen == [(32, 32), (32, 32)]


@pytest.mark.parametrize("scheme", TRUSTED)
def test_a_sound_verification_has_no_problem(scheme: Scheme) -> None:
    assert problem(TRUSTED[scheme]) is None
    assert problem(Verification()) is None


@pytest.mark.parametrize(
    ("verification", "words"),
    [
        (Verification(Scheme.GITHUB), "give at least one"),
        (Verification(Scheme.NONE, (TEXT_SECRET,)), "leave the secrets unused"),
        (Verification(Scheme.GITHUB, (TEXT_SECRET,) * 9), "9 are more than 8"),
        (Verification(Scheme.GITHUB, (TEXT_SECRET, "7-chars")), "number 2 is shorter than 8"),
        (Verification(Scheme.GITHUB, ("",)), "number 1 is shorter than 8"),
        (Verification(Scheme.GITHUB, (TEXT_SECRET + "\n",)), "white space around it"),
        (Verification(Scheme.GITHUB, (" " + TEXT_SECRET,)), "white space around it"),
        (Verification(Scheme.GITHUB, (TEXT_SECRET + "\x00.",)), "control characters"),
        (Verification(Scheme.BEARER, ("a secret of words",)), "space in it"),
        (Verification(Scheme.STANDARD, ("whsec_not base64!",)), "number 1 is not base64"),
        (Verification(Scheme.STANDARD, ("whsec_YWJjZGVm",)), "number 1 is shorter than 8"),
        (Verification(Scheme.HEADER, (TEXT_SECRET,)), "header: is missing"),
        (Verification(Scheme.HMAC, (TEXT_SECRET,)), "header: is missing"),
        (Verification(Scheme.HMAC, (TEXT_SECRET,), "X Signature"), "not the name of an HTTP header"),
        (Verification(Scheme.HMAC, (TEXT_SECRET,), "x", "sha256\n"), "prefix: must be"),
        (Verification(Scheme.HMAC, (TEXT_SECRET,), "x", "", "base32"), "`hex` or `base64` (got 'base32')"),
        (
            replace(TRUSTED[Scheme.STRIPE], tolerance=timedelta(milliseconds=999)),
            "between 1 second and 1 day",
        ),
        (replace(TRUSTED[Scheme.STRIPE], tolerance=timedelta(days=1, seconds=1)), "got 1 day, 0:00:01"),
    ],
)
def test_a_problem_is_told_in_words_that_hold_no_secret(verification: Verification, words: str) -> None:
    told = problem(verification)
    assert told is not None
    assert words in told
    assert not any(secret and secret in told for secret in verification.secrets)


def test_references_to_secrets_are_no_problem_before_they_are_resolved() -> None:
    references = Verification(Scheme.STANDARD, ("env:HOOK",))
    assert shape_problem(references) is None
    assert problem(references) is not None
