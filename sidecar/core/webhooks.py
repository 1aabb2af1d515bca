"""Webhooks as the core knows them: how their senders prove themselves."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class Scheme(StrEnum):
    """The ways of proving who sent a delivery."""

    NONE = "none"
    BEARER = "bearer"
    HEADER = "header"
    GITHUB = "github"
    STRIPE = "stripe"
    STANDARD = "standard"
    HMAC = "hmac"


@dataclass(frozen=True, slots=True)
class Verification:
    """How a webhook's sender proves itself. `secrets` in order of preference: several while one rotates."""

    scheme: Scheme = Scheme.NONE
    secrets: tuple[str, ...] = field(default=(), repr=False)
    header: str = ""
    prefix: str = ""
    encoding: str = "hex"
    tolerance: timedelta = timedelta(minutes=5)


OPEN = Verification()
