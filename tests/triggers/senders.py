"""Senders of webhooks, as their own documentation says they sign; written apart from what checks them."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from standardwebhooks import Webhook

from sidecar.core.webhooks import Scheme, Verification
from sidecar.triggers.headers import Headers

NOW = 1_700_000_000
NANOS = 1_000_000_000
BODY = b'{"type":"contact.created","data":{"id":7}}'
TEXT_SECRET = "a-secret-of-some-length"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def hmac_hex(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def hmac_base64(secret: str, message: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def github(body: bytes = BODY, secret: str = TEXT_SECRET) -> Headers:
    return Headers.of([("X-Hub-Signature-256", f"sha256={hmac_hex(secret, body)}")])


def stripe(body: bytes = BODY, *secrets: str, at: int = NOW) -> Headers:
    signatures = [hmac_hex(s, b"%d.%s" % (at, body)) for s in secrets or (TEXT_SECRET,)]
    members = [f"t={at}", *(f"v1={signature}" for signature in signatures), "v0=6ffbb59b2300aae63f27"]
    return Headers.of([("Stripe-Signature", ",".join(members))])


def standard_signature(delivery: str, at: int, body: str, secret: str = STANDARD_SECRET) -> str:
    """Return what the library of Standard Webhooks signs."""
    return Webhook(secret).sign(delivery, datetime.fromtimestamp(at, UTC), body)


def standard(body: bytes = BODY, *secrets: str, at: int = NOW, family: str = "Webhook") -> Headers:
    signed = [standard_signature("msg_1", at, body.decode(), s) for s in secrets or (STANDARD_SECRET,)]
    return Headers.of(
        [
            (f"{family}-Id", "msg_1"),
            (f"{family}-Timestamp", str(at)),
            (f"{family}-Signature", " ".join(signed)),
        ]
    )


def bearer(secret: str = TEXT_SECRET) -> Headers:
    return Headers.of([("Authorization", f"Bearer {secret}")])


def header(secret: str = TEXT_SECRET) -> Headers:
    return Headers.of([("X-Token", secret)])


def hmac_header(body: bytes = BODY, secret: str = TEXT_SECRET) -> Headers:
    return Headers.of([("X-Signature", f"v1:{hmac_base64(secret, body)}")])


TRUSTED = {
    Scheme.BEARER: Verification(Scheme.BEARER, (TEXT_SECRET,)),
    Scheme.HEADER: Verification(Scheme.HEADER, (TEXT_SECRET,), "X-Token"),
    Scheme.GITHUB: Verification(Scheme.GITHUB, (TEXT_SECRET,)),
    Scheme.STRIPE: Verification(Scheme.STRIPE, (TEXT_SECRET,)),
    Scheme.STANDARD: Verification(Scheme.STANDARD, (STANDARD_SECRET,)),
    Scheme.HMAC: Verification(Scheme.HMAC, (TEXT_SECRET,), "X-Signature", "v1:", "base64"),
}
"""One sound verification of each scheme that asks for a proof."""

GENUINE = {
    Scheme.BEARER: bearer(),
    Scheme.HEADER: header(),
    Scheme.GITHUB: github(),
    Scheme.STRIPE: stripe(),
    Scheme.STANDARD: standard(),
    Scheme.HMAC: hmac_header(),
}
"""Headers under which BODY, sent at NOW, is genuine for the verification of the same scheme."""

SIGNING = (Scheme.GITHUB, Scheme.STRIPE, Scheme.STANDARD, Scheme.HMAC)
