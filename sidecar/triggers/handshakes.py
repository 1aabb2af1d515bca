"""Handshakes: the requests with which common providers try an address, answered instead of queued.

Sources: https://docs.slack.dev/reference/events/url_verification,
https://developers.facebook.com/docs/graph-api/webhooks/getting-started,
https://docs.x.com/x-api/webhooks/quickstart,
https://developers.zoom.us/docs/api/webhooks/,
https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks,
https://www.dropbox.com/developers/reference/webhooks and
https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.triggers.challenges import Handshake, Received, answer, echo, members, plain, refused, signable
from sidecar.triggers.signatures import digest
from sidecar.triggers.verification import known

Answering = Callable[[Received], Handshake | None]


def handshake(provider: str, received: Received) -> Handshake | None:
    """Return the answer to a provider's challenge, None if the request is a delivery like any other.

    A GET that `methods` allows is always answered here, with a refusal if it is no challenge.
    """
    habits = PROVIDERS.get(provider.lower())
    if habits is None:
        return None
    if received.method == "GET":
        return habits.on_get(received) if habits.on_get else None
    return habits.on_post(received) if habits.on_post and received.method == "POST" else None


def methods(provider: str) -> tuple[str, ...]:
    """Return the methods that a webhook of this provider takes, as `Allow` lists them."""
    habits = PROVIDERS.get(provider.lower())
    return ("GET", "POST") if habits is not None and habits.on_get else ("POST",)


def _slack(received: Received) -> Handshake | None:
    document = received.document()
    if document.get("type") != "url_verification" or not received.verified:
        return None
    return echo(document.get("challenge"))


def _meta(received: Received) -> Handshake:
    token = received.parameter("hub.verify_token")
    if received.parameter("hub.mode") != "subscribe" or token is None:
        return refused("hub.mode=subscribe and hub.verify_token must be given, each once")
    if not known(token.encode("utf-8", "surrogatepass"), received.keys()):
        return refused("hub.verify_token is none of the webhook's secrets", 401)
    return echo(received.parameter("hub.challenge"))


def _x(received: Received) -> Handshake:
    token, keys = signable(received.parameter("crc_token")), received.keys()
    if token is None:
        return refused("crc_token must be given once, and be an opaque token")
    if not keys:
        return refused("the webhook has no secret to answer with", 401)
    signature = base64.b64encode(digest(keys[0], token.encode("ascii"))).decode("ascii")
    return answer({"response_token": f"sha256={signature}"})


def _zoom(received: Received) -> Handshake | None:
    document = received.document()
    if document.get("event") != "endpoint.url_validation":
        return None
    token, keys = signable(members(document.get("payload")).get("plainToken")), received.keys()
    if token is None:
        return refused("payload.plainToken must be an opaque token")
    if not keys:
        return refused("the webhook has no secret to answer with", 401)
    return answer({"plainToken": token, "encryptedToken": digest(keys[0], token.encode("ascii")).hex()})


def _microsoft(received: Received) -> Handshake | None:
    """Answer Graph's `validationToken` and SharePoint's `validationtoken`."""
    given = {name for name, _ in received.query} & {"validationToken", "validationtoken"}
    return echo(received.parameter(given.pop()) if len(given) == 1 else None) if given else None


def _dropbox(received: Received) -> Handshake:
    return echo(received.parameter("challenge"))


def _github(received: Received) -> Handshake | None:
    ping = received.headers.only("x-github-event") == "ping"
    return plain("pong") if ping and received.verified else None


@dataclass(frozen=True, slots=True)
class Habits:
    """How a provider's challenges are answered, by method; None where it has none of that kind."""

    on_get: Answering | None = None
    on_post: Answering | None = None


_META = Habits(on_get=_meta)
_X = Habits(on_get=_x)
_MICROSOFT = Habits(on_post=_microsoft)

PROVIDERS: Mapping[str, Habits] = {
    "dropbox": Habits(on_get=_dropbox),
    "facebook": _META,
    "github": Habits(on_post=_github),
    "instagram": _META,
    "messenger": _META,
    "meta": _META,
    "microsoft": _MICROSOFT,
    "microsoft-graph": _MICROSOFT,
    "sharepoint": _MICROSOFT,
    "slack": Habits(on_post=_slack),
    "twitter": _X,
    "whatsapp": _META,
    "x": _X,
    "zoom": Habits(on_post=_zoom),
}
"""Every provider whose handshake is known, by the name that a webhook's definition gives, in lower case."""
