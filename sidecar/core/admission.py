"""Admission: what is looked at before an execution is accepted; cheap checks, no side effects."""

from dataclasses import dataclass
from datetime import timedelta

from sidecar.core.refusals import Reason, Refused


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Bounds on what may come in."""

    max_payload_bytes: int = 1_048_576
    idempotency_window: timedelta = timedelta(hours=24)


def admit(payload: bytes, limits: AdmissionLimits) -> Refused | None:
    """Return why this work is refused, None if it is let in."""
    size, limit = len(payload), limits.max_payload_bytes
    if size > limit:
        return Refused(
            Reason.PAYLOAD_TOO_LARGE,
            f"payload: {size} bytes are over the limit of {limit}; keep large data elsewhere",
            {"field": "payload", "size": str(size), "limit": str(limit)},
        )
    return None
