"""What the tests of verification share: how a delivery is judged, and headers with one thing changed."""

from dataclasses import replace

from sidecar.core.webhooks import Scheme
from sidecar.triggers.headers import Headers
from sidecar.triggers.signatures import Fault
from sidecar.triggers.verification import verify
from tests.triggers.senders import BODY, NANOS, NOW, TRUSTED


def judge(
    scheme: Scheme,
    headers: Headers,
    body: bytes = BODY,
    now: int = NOW,
    *,
    secrets: tuple[str, ...] | None = None,
) -> Fault | None:
    """Verify by the scheme's usual verification, or with other secrets; `now` in seconds."""
    trusted = TRUSTED[scheme]
    return verify(
        trusted if secrets is None else replace(trusted, secrets=secrets), headers, body, now * NANOS
    )


def changed(headers: Headers, name: str, value: str) -> Headers:
    return Headers.of((given, value if given == name else old) for given, old in headers)


def without(headers: Headers, name: str) -> Headers:
    return Headers.of(pair for pair in headers if pair[0] != name)
