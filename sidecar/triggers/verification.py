"""Verification: whether a delivery comes from whom the webhook trusts, and whether that can be told."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import timedelta

from sidecar.core.retry import nanos
from sidecar.core.webhooks import Scheme, Verification
from sidecar.triggers.headers import Headers, raw
from sidecar.triggers.signatures import DECODERS, READERS, Claim, Fault, NotGenuineError, digest, sole

MIN_SECRET = 8
MAX_SECRETS = 8
MIN_TOLERANCE = timedelta(seconds=1)
MAX_TOLERANCE = timedelta(days=1)

_STANDARD_PREFIX = "whsec_"
_BEARER = re.compile(r"bearer +([^ ]+)", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_PRINTABLE = re.compile(r"[ -~]{0,64}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def verify(verification: Verification, headers: Headers, body: bytes, now: int) -> Fault | None:
    """Return None if the delivery is genuine, else why it is not; `now` in nanoseconds since the epoch.

    The body is what came over the wire, byte for byte. Every secret is tried, whichever fits. A scheme
    without a usable secret lets nothing in; NONE lets everything in.
    """
    if verification.scheme is Scheme.NONE:
        return None
    keys = usable_keys(verification)
    if not keys:
        return Fault.UNCONFIGURED
    try:
        if verification.scheme in (Scheme.BEARER, Scheme.HEADER):
            return None if known(_token(verification, headers), keys) else Fault.MISMATCH
        claim = READERS[verification.scheme](verification, headers)
    except NotGenuineError as error:
        return error.fault
    if not _fits(claim, keys, body):
        return Fault.MISMATCH
    return None if _within(claim.signed_at, now, verification.tolerance) else Fault.STALE


def usable_keys(verification: Verification) -> tuple[bytes, ...]:
    """Return the secrets as bytes, in order of preference, without those that nothing can be checked with."""
    keys = (_key(verification.scheme, secret) for secret in verification.secrets)
    return tuple(key for key in keys if key)


def known(token: bytes, keys: tuple[bytes, ...]) -> bool:
    """Say whether a token is one of the secrets, in a time that tells nothing of them or their lengths."""
    given = hashlib.sha256(token).digest()
    found = [hmac.compare_digest(given, hashlib.sha256(key).digest()) for key in keys]
    return any(found)


def _token(verification: Verification, headers: Headers) -> bytes:
    if verification.scheme is Scheme.HEADER:
        if not verification.header:
            raise NotGenuineError(Fault.UNCONFIGURED)
        return raw(sole(headers, verification.header))
    match = _BEARER.fullmatch(sole(headers, "authorization"))
    if match is None:
        raise NotGenuineError(Fault.MALFORMED)
    return raw(match[1])


def _fits(claim: Claim, keys: tuple[bytes, ...], body: bytes) -> bool:
    expected = [digest(key, claim.preamble, body) for key in keys]
    found = [hmac.compare_digest(right, given) for right in expected for given in claim.digests]
    return any(found)


def _within(signed_at: int | None, now: int, tolerance: timedelta) -> bool:
    return signed_at is None or abs(now - signed_at * 1_000_000_000) <= nanos(tolerance)


def _key(scheme: Scheme, secret: str) -> bytes | None:
    """Return a secret as bytes: base64 in Standard Webhooks, the text itself elsewhere."""
    if scheme is not Scheme.STANDARD:
        return secret.encode("utf-8", "surrogatepass")
    text = secret.removeprefix(_STANDARD_PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def problem(verification: Verification) -> str | None:
    """Return what is wrong with a verification whose secrets are resolved, in words without any secret."""
    return shape_problem(verification) or next(_secret_problems(verification), None)


def shape_problem(verification: Verification) -> str | None:
    """Return what is wrong apart from the secrets' own texts, which may still be references."""
    return next(_shape_problems(verification), None)


def _shape_problems(verification: Verification) -> Iterator[str]:
    scheme, count = verification.scheme, len(verification.secrets)
    if scheme is Scheme.NONE and count:
        yield "scheme: is `none`, which would leave the secrets unused; name the scheme, or give no secrets"
    if scheme is not Scheme.NONE and not count:
        yield f"secrets: there is none, and `{scheme}` would refuse every delivery; give at least one"
    if count > MAX_SECRETS:
        yield f"secrets: {count} are more than {MAX_SECRETS}; drop those that were rotated out"
    if scheme in (Scheme.HEADER, Scheme.HMAC):
        yield from _header_problems(verification)
    if not MIN_TOLERANCE <= verification.tolerance <= MAX_TOLERANCE:
        yield f"tolerance: must be between 1 second and 1 day (got {verification.tolerance})"


def _header_problems(verification: Verification) -> Iterator[str]:
    if not verification.header:
        yield f"header: is missing; `{verification.scheme}` needs the name of the header to look in"
    elif not _HEADER_NAME.fullmatch(verification.header):
        yield f"header: is not the name of an HTTP header (got {verification.header[:80]!r})"
    if not _PRINTABLE.fullmatch(verification.prefix):
        yield "prefix: must be at most 64 printable ASCII characters, such as `sha256=`"
    if verification.encoding not in DECODERS:
        yield f"encoding: must be `hex` or `base64` (got {verification.encoding[:80]!r})"


def _secret_problems(verification: Verification) -> Iterator[str]:
    for number, secret in enumerate(verification.secrets, start=1):
        key = _key(verification.scheme, secret)
        if secret != secret.strip() or _CONTROLS.search(secret):
            yield f"secrets: number {number} has control characters, or white space around it; remove them"
        if key is None:
            yield f"secrets: number {number} is not base64, as Standard Webhooks wants it after `whsec_`"
        elif min(len(key), len(secret)) < MIN_SECRET:
            yield f"secrets: number {number} is shorter than {MIN_SECRET} characters; take a longer one"
        if verification.scheme is Scheme.BEARER and " " in secret:
            yield f"secrets: number {number} has a space in it, which no bearer token may have"
