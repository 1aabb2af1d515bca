"""Webhooks, from the wire to the core's own words."""

import re
from datetime import timedelta

from sidecar.core.definitions import Webhook
from sidecar.core.webhooks import Scheme, Verification
from sidecar.transport import policies
from sidecar.transport.checks import Checks
from sidecar.transport.fields import bounded_int, duration, identifier, prose, refuse, text
from sidecar.transport.words import required_word
from sidecar.v1 import definitions_pb2 as pb

MAX_PATH = 512
MAX_CONTENT_TYPES = 32
MAX_SECRETS = 8
MAX_SECRET = 1_024
MAX_BODY = 2**53
LONGEST_WAIT = timedelta(seconds=60)

_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_MEDIA_TYPE = re.compile(r"[!#$&^_.+\-0-9a-z]{1,127}/(\*|[!#$&^_.+\-0-9a-z]{1,127})")


def webhook(name: str, wire: pb.Webhook, checks: Checks) -> Webhook:
    """Return an address that sets a workflow off."""
    return Webhook(
        webhook_id=identifier(f"{name}.webhook_id", wire.webhook_id),
        path=_path(f"{name}.path", wire.path),
        workflow_id=identifier(f"{name}.workflow_id", wire.workflow_id),
        description=prose(f"{name}.description", wire.description),
        queue=identifier(f"{name}.queue", wire.queue, ""),
        provider=identifier(f"{name}.provider", wire.provider, ""),
        disabled=wire.disabled,
        verification=_verification(f"{name}.verification", wire.verification, checks),
        delivery_header=_header(f"{name}.delivery_header", wire.delivery_header),
        propagation=policies.propagation(f"{name}.propagation", wire.propagation),
        max_body_bytes=bounded_int(f"{name}.max_body_bytes", wire.max_body_bytes, 0, MAX_BODY),
        content_types=_content_types(f"{name}.content_types", wire),
        wait=_wait(f"{name}.wait", wire),
        retry=policies.retry(f"{name}.retry", wire.retry) if wire.HasField("retry") else None,
        deadlines=policies.deadlines(f"{name}.deadlines", wire.deadlines),
        rate=policies.rate(f"{name}.rate", wire.rate) if wire.HasField("rate") else None,
    )


def _path(name: str, value: str) -> str:
    if not value:
        refuse(name, value, "is required")
    if len(value) > MAX_PATH:
        refuse(name, value, f"is longer than {MAX_PATH} characters")
    segments = value.split("/")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments) or {".", ".."} & {*segments}:
        refuse(name, value, "must be segments of letters, digits and -._~ with one / between them, like a/b")
    return value


def _verification(name: str, wire: pb.Verification, checks: Checks) -> Verification:
    if wire == pb.Verification():
        return Verification()
    found = Verification(
        scheme=required_word(f"{name}.scheme", wire.scheme, pb.VerificationScheme, Scheme),
        secrets=_secrets(f"{name}.secrets", wire),
        header=_header(f"{name}.header", wire.header),
        prefix=text(f"{name}.prefix", wire.prefix, 64),
        encoding=text(f"{name}.encoding", wire.encoding, 64) or "hex",
        tolerance=duration(wire, "tolerance", f"{name}.tolerance") or Verification().tolerance,
    )
    for field, schemes in _OWN_FIELDS.items():
        if getattr(wire, field) and found.scheme not in schemes:
            refuse(f"{name}.{field}", getattr(wire, field), f"is for {' and '.join(schemes)} only")
    return checks.verification(name, found)


_OWN_FIELDS = {
    "header": (Scheme.HEADER, Scheme.HMAC),
    "prefix": (Scheme.HMAC,),
    "encoding": (Scheme.HMAC,),
}
"""What would be given in vain with another scheme."""


def _secrets(name: str, wire: pb.Verification) -> tuple[str, ...]:
    bounded_int(name, len(wire.secrets), 0, MAX_SECRETS)
    if any(not 1 <= len(secret) <= MAX_SECRET for secret in wire.secrets):
        refuse(name, "hidden", f"must have 1 to {MAX_SECRET} characters each")
    return tuple(wire.secrets)


def _header(name: str, value: str) -> str:
    if value and not _TOKEN.fullmatch(value):
        refuse(name, value, "is not the name of an HTTP header")
    return value


def _content_types(name: str, wire: pb.Webhook) -> tuple[str, ...]:
    bounded_int(name, len(wire.content_types), 0, MAX_CONTENT_TYPES)
    lowered = [value.lower() for value in wire.content_types]
    for value in lowered:
        if not _MEDIA_TYPE.fullmatch(value):
            refuse(name, value, "is not a media type, such as application/json or text/*")
    return tuple(lowered)


def _wait(name: str, wire: pb.Webhook) -> timedelta | None:
    wait = duration(wire, "wait", name)
    if wait is not None and wait > LONGEST_WAIT:
        refuse(name, str(wait), f"is longer than {LONGEST_WAIT.seconds} s")
    return wait
