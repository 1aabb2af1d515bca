"""Webhooks as they are defined: what is wrong with a verification while references are still references."""

import re
from dataclasses import replace

from sidecar.core.webhooks import Verification
from sidecar.triggers.verification import problem, shape_problem

REFERENCES = ("env:", "file:")
"""What a secret begins with that stands elsewhere."""

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00-\x1f\x7f]+")
_STAND_IN = "c29tZXdoZXJlLWVsc2U="


def is_reference(secret: str) -> bool:
    """Return whether a secret names where the real one stands."""
    return secret.startswith(REFERENCES)


def defined_problem(verification: Verification) -> str | None:
    """Return what is wrong with a verification as it is written, as `field: problem`, without any secret."""
    for number, secret in enumerate(verification.secrets, start=1):
        if is_reference(secret) and not _REFERENCE.fullmatch(secret):
            return f"secrets: number {number} is no reference, which is like env:NAME or file:/path"
    resolved = tuple(_STAND_IN if is_reference(secret) else secret for secret in verification.secrets)
    return shape_problem(verification) or problem(replace(verification, secrets=resolved))
