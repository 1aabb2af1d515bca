"""The webhooks that are sent: genuine ones, some of them again, forged ones, and one that does not fit."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from examples.audit.plan import Request
from examples.audit.ways import Way

AGAIN = 5
MISFIT_NAME = "[misfit] a module without a path"


class Kind(StrEnum):
    """What a delivery is, in words."""

    GENUINE = "genuine"
    AGAIN = "sent again"
    MISFIT = "does not fit the schema"
    ALTERED = "altered after it was signed"
    STRANGER = "signed with another secret"
    STALE = "signed ten minutes ago"


FORGERIES = (Kind.ALTERED, Kind.STRANGER, Kind.STALE)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook. `name` is that of the request which it makes or pretends to make."""

    name: str
    delivery_id: str
    body: bytes
    kind: Kind


def first(requests: Sequence[Request]) -> list[Delivery]:
    """Return what is sent at the start."""
    hooked = [each for each in requests if each.way is Way.WEBHOOK]
    genuine = [_delivery(each, Kind.GENUINE) for each in hooked]
    forged = [_delivery(each, kind, "forged-") for each, kind in zip(hooked, FORGERIES, strict=False)]
    return [*genuine, *forged, _misfit()]


def again(requests: Sequence[Request]) -> Iterator[Delivery]:
    """Yield those that are sent once more, as a sender does that missed the answer."""
    for each in [each for each in requests if each.way is Way.WEBHOOK][:AGAIN]:
        yield _delivery(each, Kind.AGAIN)


def _delivery(request: Request, kind: Kind, prefix: str = "") -> Delivery:
    delivery_id = prefix + request.module.replace(".", "-")  # a signed id must have no dots
    return Delivery(request.name, delivery_id, json.dumps(request.payload()).encode(), kind)


def _misfit() -> Delivery:
    return Delivery(MISFIT_NAME, "misfit", b'{"module": "nowhere"}', Kind.MISFIT)
