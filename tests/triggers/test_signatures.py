"""WEB-1: each form of signature is taken apart as its specification says, and no other way."""

import pytest

from sidecar.core.webhooks import Scheme
from sidecar.triggers.headers import Headers, raw
from tests.triggers.judging import changed, judge
from tests.triggers.senders import BODY, NOW, TEXT_SECRET, hmac_hex, standard, standard_signature

SIGNATURE = hmac_hex(TEXT_SECRET, b"%d.%s" % (NOW, BODY))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha256=",
        "sha1=" + "0" * 40,
        "0" * 64,
        "sha256=" + "0" * 63,
        "sha256=" + "g" * 64,
        "SHA256=" + "0" * 64,
        "sha256=" + "0" * 64 + ", sha256=" + "0" * 64,
        "sha256=" + "\u0660" * 64,
        "\ud800",
        "sha256=\x00",
    ],
)
def test_a_github_signature_of_another_form_is_malformed(value: str) -> None:
    assert judge(Scheme.GITHUB, Headers.of([("x-hub-signature-256", value)])) == "malformed"


def test_hexadecimal_digits_may_be_capitals() -> None:
    capitals = "sha256=" + hmac_hex(TEXT_SECRET, BODY).upper()
    assert judge(Scheme.GITHUB, Headers.of([("x-hub-signature-256", capitals)])) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "t",
        f"t={NOW}",
        f"v1={SIGNATURE}",
        f"t=,v1={SIGNATURE}",
        f"t=-1,v1={SIGNATURE}",
        "t=1.5,v1=" + SIGNATURE,
        f"t={NOW},t={NOW},v1={SIGNATURE}",
        f"t={NOW},v0={SIGNATURE}",
        f"t={NOW},v1=",
        f"t={NOW},v1={SIGNATURE}0",
        f"t={'9' * 13},v1={SIGNATURE}",
        f"t=\u0661,v1={SIGNATURE}",
        f"t={NOW};v1={SIGNATURE}",
    ],
)
def test_a_stripe_signature_of_another_form_is_malformed(value: str) -> None:
    assert judge(Scheme.STRIPE, Headers.of([("stripe-signature", value)])) == "malformed"


def test_stripe_members_of_other_schemes_are_passed_over() -> None:
    value = f"v0=abc, t={NOW}, v1=not-hex, v2={SIGNATURE}, v1={SIGNATURE}, x"
    assert judge(Scheme.STRIPE, Headers.of([("stripe-signature", value)])) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("webhook-id", value) for value in ("", "msg.1", "msg 1", "m\u00fcsg", "m" * 257)),
        *(("webhook-timestamp", value) for value in ("", "now", "-1", f"{NOW}.0", "1e9", "9" * 13, "\u0661")),
        *(("webhook-signature", value) for value in ("", "v1", "v1,", "v1,AAAA", "v1a," + "A" * 43 + "=")),
        ("webhook-signature", "v1," + "A" * 43 + "-"),
        ("webhook-signature", "v1," + "A" * 42 + "B="),
    ],
)
def test_a_standard_header_of_another_form_is_malformed(name: str, value: str) -> None:
    assert judge(Scheme.STANDARD, changed(standard(), name, value)) == "malformed"


def test_another_id_is_a_mismatch() -> None:
    """WEB-2: the id that names the delivery is signed with it."""
    assert judge(Scheme.STANDARD, changed(standard(), "webhook-id", "msg_2")) == "mismatch"


def test_a_dot_cannot_move_between_id_timestamp_and_body() -> None:
    """A genuine delivery cut up otherwise says something that nobody signed."""
    signature = standard_signature("a", NOW, f"{NOW}.{{}}")
    headers = [("webhook-timestamp", str(NOW)), ("webhook-signature", signature)]
    whole = Headers.of([("webhook-id", "a"), *headers])
    assert judge(Scheme.STANDARD, whole, b"%d.{}" % NOW) is None
    assert judge(Scheme.STANDARD, Headers.of([("webhook-id", f"a.{NOW}"), *headers]), b"{}") == "malformed"


def test_signatures_of_unknown_versions_are_passed_over() -> None:
    known = standard_signature("msg_1", NOW, BODY.decode())
    value = f"v1a,AAAA v2,{known[3:]} v1,AAAA {known}"
    assert judge(Scheme.STANDARD, changed(standard(), "webhook-signature", value)) is None
    only_unknown = changed(standard(), "webhook-signature", f"v2,{known[3:]}")
    assert judge(Scheme.STANDARD, only_unknown) == "malformed"


def test_svix_names_mean_the_same_and_are_never_mixed() -> None:
    """WEB-2: an unsigned `webhook-id` cannot stand beside a signed `svix-id`."""
    svix = standard(family="Svix")
    assert judge(Scheme.STANDARD, svix) is None
    assert judge(Scheme.STANDARD, Headers.of([*svix, ("webhook-id", "msg_2")])) == "missing"
    assert judge(Scheme.STANDARD, Headers.of([*svix, *standard()])) is None


def test_headers_keep_their_order_and_repeats() -> None:
    headers = Headers.from_wire([(b"X-A", b" 1 "), (b"x-b", b"\xe9"), (b"X-a", b"2")])
    assert list(headers) == [("x-a", "1"), ("x-b", "\u00e9"), ("x-a", "2")]
    assert headers.every("X-A") == ("1", "2")
    assert (headers.only("x-a"), headers.only("X-B"), headers.only("x-c")) == (None, "\u00e9", None)
    assert raw("\u00e9") == b"\xe9"
    assert raw("\u65e5") == "\u65e5".encode()
