"""WEB-2: repeats of a delivery are one execution, and no webhook reaches another's keys."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.refusals import Reason, RefusalError
from sidecar.core.webhooks import Scheme
from sidecar.triggers.deliveries import USUAL_HEADERS, delivery_key, idempotency_key
from sidecar.triggers.headers import Headers

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=256)
AWKWARD = st.text("0123456789:%a", max_size=12)


def test_the_usual_headers_are_looked_for_in_order() -> None:
    """WEB-2: in the order that is promised."""
    assert USUAL_HEADERS == (
        "webhook-id",
        "x-github-delivery",
        "svix-id",
        "x-event-id",
        "x-shopify-webhook-id",
    )
    left = [(name.upper(), f"of-{name}") for name in USUAL_HEADERS]
    while left:
        assert delivery_key(Headers.of(reversed(left))) == f"of-{left[0][0].lower()}"
        left.pop(0)
    assert delivery_key(Headers.of([("x-request-id", "1")])) is None


def test_a_webhooks_own_header_comes_first() -> None:
    headers = Headers.of([("webhook-id", "usual"), ("X-Order", "own")])
    assert delivery_key(headers, "X-Order") == "own"
    assert delivery_key(headers, "x-other") == "usual"
    assert delivery_key(headers) == "usual"


def test_a_replay_cannot_pass_for_another_delivery_by_a_header_that_nobody_signed() -> None:
    headers = Headers.of([("x-github-delivery", "forged"), ("svix-id", "signed")])
    assert delivery_key(headers, scheme=Scheme.STANDARD) == "signed"
    assert delivery_key(Headers.of([("x-event-id", "forged")]), scheme=Scheme.STANDARD) is None
    assert delivery_key(headers, scheme=Scheme.GITHUB) == "forged"


@pytest.mark.parametrize("value", ["", "a b", "a\tb", "caf\u00e9", "\ud800", "a\x00", "x" * 257, "a\nb"])
def test_a_malformed_id_is_refused_rather_than_replaced(value: str) -> None:
    with pytest.raises(RefusalError, match="x-event-id: names the delivery") as caught:
        delivery_key(Headers.of([("x-event-id", value), ("x-shopify-webhook-id", "fine")]))
    assert caught.value.refused.reason is Reason.INVALID_ARGUMENT


def test_an_id_given_twice_is_refused() -> None:
    with pytest.raises(RefusalError, match="must come once"):
        delivery_key(Headers.of([("x-order", "1"), ("X-Order", "1")]), "x-order")


@given(PRINTABLE)
def test_every_printable_id_is_taken_as_it_is(value: str) -> None:
    assert delivery_key(Headers.of([("x-event-id", value)])) == value


def test_an_id_may_be_as_long_as_the_limit() -> None:
    assert delivery_key(Headers.of([("x-event-id", "e" * 256)])) == "e" * 256


def test_keys_read_as_what_they_are() -> None:
    assert idempotency_key("orders", "evt_1") == "webhook:6:orders:evt_1"
    long = idempotency_key("orders", "e" * 256)
    assert re.fullmatch(r"webhook:sha256:[0-9a-f]{64}", long)
    assert long != idempotency_key("orders", "e" * 255)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b:c"), ("a:b", "c")),
        (("a:1", "x"), ("a", "1:x")),
        (("1", "a:b"), ("1:a", "b")),
        (("w" * 200, "d" * 200), ("w" * 201, "d" * 199)),
        (("w" * 200, ":" + "d" * 199), ("w" * 200 + ":", "d" * 199)),
    ],
)
def test_no_webhook_reaches_anothers_keys(one: tuple[str, str], other: tuple[str, str]) -> None:
    """WEB-2: whatever the sender calls his delivery."""
    assert idempotency_key(*one) != idempotency_key(*other)


@given(st.tuples(AWKWARD, AWKWARD), st.tuples(AWKWARD, AWKWARD))
def test_keys_are_equal_only_for_equal_pairs(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (idempotency_key(*one) == idempotency_key(*other)) == (one == other)


@given(PRINTABLE, PRINTABLE)
def test_a_key_is_one_that_the_store_takes(webhook_id: str, delivery_id: str) -> None:
    assert re.fullmatch(r"webhook:[!-~]{1,248}", idempotency_key(webhook_id, delivery_id))


def test_a_sender_cannot_name_a_delivery_so_that_it_looks_hashed() -> None:
    hashed = idempotency_key("orders", "e" * 256).removeprefix("webhook:")
    assert idempotency_key("", hashed) != f"webhook:{hashed}"
    assert idempotency_key("sha256", hashed.removeprefix("sha256:")) != f"webhook:{hashed}"
