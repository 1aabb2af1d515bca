"""Deliveries as requests of the core: how much of them is taken, and what of their headers counts."""

import re
from collections.abc import Sequence

from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import from_headers
from sidecar.core.catalog import Rate
from sidecar.core.correlation import Source
from sidecar.core.definitions import Propagation, Webhook
from sidecar.core.enqueue import Request
from sidecar.core.refusals import Reason, RefusalError, Refused
from sidecar.core.webhooks import Scheme
from sidecar.triggers.answers import Mistake, MistakeError, mistake
from sidecar.triggers.deliveries import delivery_key, idempotency_key
from sidecar.triggers.headers import Headers

TRIGGER_TYPE = "webhook"
REQUEST_ID = "x-request-id"
MAX_CONTENT_TYPE = 256

_ID = re.compile(r"[!-~]{1,256}")
_LENGTH = re.compile(r"[0-9]{1,19}")
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_CONTENT_TYPE = re.compile(rf"({_WORD}/{_WORD})[ \t]*(?:;[ -~\t]*)?")


def too_large(limit: int) -> RefusalError:
    """Return the refusal of a body, which is read no further."""
    message = f"the body is longer than {limit} bytes; keep large data elsewhere"
    return RefusalError(Refused(Reason.PAYLOAD_TOO_LARGE, message, {"limit": str(limit)}))


def within(headers: Headers, limit: int) -> None:
    """Look at the length that a body is said to have, before any of it is read.

    Raises:
        RefusalError: with PAYLOAD_TOO_LARGE if that is over the limit.
    """
    told = headers.only("content-length") or ""
    if _LENGTH.fullmatch(told) and int(told) > limit:
        raise too_large(limit)


def content_type(headers: Headers, accepted: Sequence[str]) -> str:
    """Return the body's media type as it was given, empty if it was not.

    `accepted` has lower-case types such as `application/json` and `text/*`; empty accepts any, and none.

    Raises:
        MistakeError: it is malformed or repeated, or none of those that are accepted.
    """
    values = headers.every("content-type")
    if not values and not accepted:
        return ""
    given = values[0] if len(values) == 1 and len(values[0]) <= MAX_CONTENT_TYPE else ""
    match = _CONTENT_TYPE.fullmatch(given)
    if match is None:
        message = f"Content-Type must be given once, well-formed, with at most {MAX_CONTENT_TYPE} characters"
        raise MistakeError(mistake(Mistake.UNSUPPORTED_MEDIA_TYPE, message))
    if accepted and not _accepts(accepted, match[1].lower()):
        message = f"a body of type {match[1]} is not taken here, only {', '.join(accepted)}"
        raise MistakeError(mistake(Mistake.UNSUPPORTED_MEDIA_TYPE, message))
    return given


def _accepts(accepted: Sequence[str], media_type: str) -> bool:
    return bool({media_type, f"{media_type.partition('/')[0]}/*"} & {*accepted})


def request(namespace: str, hook: Webhook, headers: Headers, body: bytes, content_type: str) -> Request:
    """Return the work that a genuine delivery asks for.

    Raises:
        RefusalError: if the header that names the delivery is malformed or repeated.
    """
    delivery = delivery_key(headers, hook.delivery_header, hook.verification.scheme)
    propagation = hook.propagation or _usual_propagation(hook)
    return Request(
        namespace=namespace,
        workflow_id=hook.workflow_id,
        queue=hook.queue,
        payload=body,
        content_type=content_type,
        request_id=request_id(headers),
        idempotency_key=None if delivery is None else idempotency_key(hook.webhook_id, delivery),
        source=Source.WEBHOOK,
        trigger_type=TRIGGER_TYPE,
        webhook_id=hook.webhook_id,
        path=hook.path,
        provider=hook.provider or None,
        carrier=carrier(headers, propagation),
        propagation=propagation,
        retry=hook.retry,
        deadlines=hook.deadlines,
        rates=() if hook.rate is None else (Rate(f"webhook:{hook.webhook_id}", hook.rate),),
    )


def request_id(headers: Headers) -> str:
    """Return the request's id if it has a well-formed one, else nothing: then one is made."""
    given = headers.only(REQUEST_ID) or ""
    return given if _ID.fullmatch(given) else ""


def carrier(headers: Headers, propagation: Propagation) -> Carrier:
    """Return as much of the sender's context as he is trusted with; baggage only where it is continued."""
    if propagation is Propagation.IGNORE:
        return Carrier()
    found = from_headers(headers)
    return found if propagation is Propagation.CONTINUE else Carrier(found.traceparent, found.tracestate)


def _usual_propagation(hook: Webhook) -> Propagation:
    """Return what holds where the webhook leaves it open: who is not known is linked to, not joined."""
    return Propagation.LINK if hook.verification.scheme is Scheme.NONE else Propagation.CONTINUE
