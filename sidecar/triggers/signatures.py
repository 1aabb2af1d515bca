"""Signatures of webhooks: what each form says in its headers, taken apart but not yet believed.

Sources: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries,
https://docs.stripe.com/webhooks#verify-manually and
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sidecar.core.webhooks import Scheme, Verification
from sidecar.triggers.headers import Headers

GITHUB_HEADER = "x-hub-signature-256"
STRIPE_HEADER = "stripe-signature"
STANDARD_NAMES = ("webhook", "svix")

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
_SECONDS = re.compile(r"[0-9]{1,12}")
_SIGNED_ID = re.compile(r"[!-\-/-~]{1,256}")


class Fault(StrEnum):
    """Why a delivery is not taken for genuine; stable words."""

    UNCONFIGURED = "unconfigured"
    """The webhook has nothing to check against: no usable secret, or no header to look in."""
    MISSING = "missing"
    """A header that the scheme needs is not there."""
    MALFORMED = "malformed"
    """A header that the scheme needs is repeated, or is not of its form."""
    MISMATCH = "mismatch"
    """No secret fits."""
    STALE = "stale"
    """Signed with the right secret, but too long ago or too far ahead."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a delivery says of itself: digests over `preamble` and the body, one of which has to be right.

    `signed_at` is in seconds since the Unix epoch, None where the scheme has no timestamp.
    """

    digests: tuple[bytes, ...]
    preamble: bytes = b""
    signed_at: int | None = None


class NotGenuineError(Exception):
    """A delivery that cannot be taken for genuine, on its way to whoever asked."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def sole(headers: Headers, name: str) -> str:
    """Return the value of a header that must come exactly once.

    Raises:
        NotGenuineError: The header is absent or repeated.
    """
    values = headers.every(name)
    if len(values) != 1:
        raise NotGenuineError(Fault.MALFORMED if values else Fault.MISSING)
    return values[0]


def digest(key: bytes, *parts: bytes) -> bytes:
    """Return the HMAC-SHA256 of some parts, one after the other."""
    code = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        code.update(part)
    return code.digest()


def from_hex(text: str) -> bytes | None:
    """Return a digest of 64 hexadecimal digits, None if it is something else."""
    return bytes.fromhex(text) if _HEX.fullmatch(text) else None


def from_base64(text: str) -> bytes | None:
    """Return a digest of 44 characters of base64, None if it is something else."""
    return base64.b64decode(text) if _BASE64.fullmatch(text) else None


DECODERS: Mapping[str, Callable[[str], bytes | None]] = {"hex": from_hex, "base64": from_base64}


def _github(_: Verification, headers: Headers) -> Claim:
    return _prefixed(sole(headers, GITHUB_HEADER), "sha256=", from_hex)


def _hmac(verification: Verification, headers: Headers) -> Claim:
    decode = DECODERS.get(verification.encoding)
    if decode is None or not verification.header:
        raise NotGenuineError(Fault.UNCONFIGURED)
    return _prefixed(sole(headers, verification.header), verification.prefix, decode)


def _prefixed(value: str, prefix: str, decode: Callable[[str], bytes | None]) -> Claim:
    given = decode(value.removeprefix(prefix)) if value.startswith(prefix) else None
    if given is None:
        raise NotGenuineError(Fault.MALFORMED)
    return Claim((given,))


def _stripe(_: Verification, headers: Headers) -> Claim:
    members = [part.strip().partition("=") for part in sole(headers, STRIPE_HEADER).split(",")]
    times = [text for name, _, text in members if name == "t"]
    digests = _decoded((text for name, _, text in members if name == "v1"), from_hex)
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]) or not digests:
        raise NotGenuineError(Fault.MALFORMED)
    return Claim(digests, f"{times[0]}.".encode("ascii"), int(times[0]))


def _standard(_: Verification, headers: Headers) -> Claim:
    delivery, time, signatures = (sole(headers, name) for name in standard_names(headers))
    digests = _decoded((s[3:] for s in signatures.split(" ") if s.startswith("v1,")), from_base64)
    if not (_SIGNED_ID.fullmatch(delivery) and _SECONDS.fullmatch(time) and digests):
        raise NotGenuineError(Fault.MALFORMED)
    return Claim(digests, f"{delivery}.{time}.".encode("ascii"), int(time))


def standard_names(headers: Headers) -> tuple[str, str, str]:
    """Return the names of id, timestamp and signature: `svix-*` only where no `webhook-*` is given.

    One family is taken whole, so that nobody can put an unsigned `webhook-id` before a signed `svix-id`.
    """
    families = [(f"{name}-id", f"{name}-timestamp", f"{name}-signature") for name in STANDARD_NAMES]
    given = [names for names in families if any(headers.every(name) for name in names)]
    return (given or families)[0]


def _decoded(texts: Iterable[str], decode: Callable[[str], bytes | None]) -> tuple[bytes, ...]:
    return tuple(value for text in texts if (value := decode(text)) is not None)


READERS: Mapping[Scheme, Callable[[Verification, Headers], Claim]] = {
    Scheme.GITHUB: _github,
    Scheme.HMAC: _hmac,
    Scheme.STRIPE: _stripe,
    Scheme.STANDARD: _standard,
}
"""How to read the claim of each scheme that signs the body; each raises NotGenuineError."""
