"""Signatures of webhooks by Standard Webhooks, as a sender makes them, with nothing but the library."""

import base64
import hmac
import secrets

from examples.audit.deliveries import Delivery, Kind

PREFIX = "whsec_"
STALE_SECONDS = 600


def new_secret() -> str:
    """Return a secret for one run."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def headers(delivery: Delivery, secret: str, now: int) -> dict[str, str]:
    """Return the headers of a delivery at `now`, seconds since the epoch; those of a forged one are wrong.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    at = now - STALE_SECONDS if delivery.kind is Kind.STALE else now
    key = new_secret() if delivery.kind is Kind.STRANGER else secret
    body = b"{}" if delivery.kind is Kind.ALTERED else delivery.body
    return {
        "content-type": "application/json",
        "webhook-id": delivery.delivery_id,
        "webhook-timestamp": str(at),
        "webhook-signature": _signature(key, f"{delivery.delivery_id}.{at}.".encode() + body),
    }


def _signature(secret: str, text: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, text, "sha256")).decode()
