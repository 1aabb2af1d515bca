"""Which delivery it is: its id, and the idempotency key that makes its repeats one execution."""

import hashlib
import re
from collections.abc import Sequence

from sidecar.core.refusals import RefusalError, invalid
from sidecar.core.webhooks import Scheme
from sidecar.triggers.headers import Headers
from sidecar.triggers.signatures import STANDARD_NAMES

USUAL_HEADERS = ("webhook-id", "x-github-delivery", "svix-id", "x-event-id", "x-shopify-webhook-id")
SIGNED_HEADERS = tuple(f"{name}-id" for name in STANDARD_NAMES)
KEY_PREFIX = "webhook:"
MAX_KEY = 256

_ID = re.compile(r"[!-~]{1,256}")


def delivery_key(headers: Headers, own_header: str = "", scheme: Scheme = Scheme.NONE) -> str | None:
    """Return the delivery's id, None if no header names one: then each delivery is work of its own.

    The webhook's own header comes first. With Standard Webhooks only the signed id counts beside it, lest
    whoever replays a delivery pass it off as another by adding a header.

    Raises:
        RefusalError: The id is repeated, or not 1 to 256 printable ASCII characters without spaces. It is
            refused, not replaced, since a substitute could make two deliveries one, or one two.
    """
    usual = SIGNED_HEADERS if scheme is Scheme.STANDARD else USUAL_HEADERS
    for name in (own_header, *usual):
        if name and (values := headers.every(name)):
            return _checked(name, values)
    return None


def _checked(name: str, values: Sequence[str]) -> str:
    if len(values) > 1:
        raise RefusalError(invalid(name, ", ".join(values), "names the delivery and must come once"))
    if not _ID.fullmatch(values[0]):
        wanted = "names the delivery and must be 1 to 256 printable ASCII characters without spaces"
        raise RefusalError(invalid(name, values[0], wanted))
    return values[0]


def idempotency_key(webhook_id: str, delivery_id: str) -> str:
    """Return the key of one webhook's delivery: no two pairs share one, and it has at most 256 characters.

    What is longer is replaced by its SHA-256; the length before the webhook's id is where that ends.
    """
    key = f"{KEY_PREFIX}{len(webhook_id)}:{webhook_id}:{delivery_id}"
    if len(key) <= MAX_KEY:
        return key
    return f"{KEY_PREFIX}sha256:{hashlib.sha256(key.encode()).hexdigest()}"
