"""Challenges: what a provider asks of an address before it sends there, and how an answer is put safely."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.triggers.headers import Headers

MAX_BODY = 16_384
MAX_ECHO = 1_024
SAFE_HEADERS = (("x-content-type-options", "nosniff"), ("cache-control", "no-store"))

_NOT_JSON = object()
_ECHO = re.compile(rf"[ -~]{{1,{MAX_ECHO}}}")
_TOKEN = re.compile(r"[A-Za-z0-9_+/-]{1,512}={0,2}")


@dataclass(frozen=True, slots=True)
class Received:
    """A request to a webhook's address: query names and values decoded, in order; the body as it came.

    `secrets` are the webhook's, in order of preference; `verified` says whether the request is genuine.
    """

    method: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    verified: bool = False

    def parameter(self, name: str) -> str | None:
        """Return a parameter of the query that came exactly once, None if it is absent or repeated."""
        values = [value for given, value in self.query if given == name]
        return values[0] if len(values) == 1 else None

    def keys(self) -> tuple[bytes, ...]:
        """Return the secrets as bytes, in order of preference, without empty ones."""
        return tuple(secret.encode("utf-8", "surrogatepass") for secret in self.secrets if secret)

    def document(self) -> Mapping[str, object]:
        """Return the JSON object in the body; empty if it is something else, or too long for a challenge."""
        return members(parsed(self.body)) if len(self.body) <= MAX_BODY else {}


@dataclass(frozen=True, slots=True)
class Handshake:
    """The whole answer to a request that is not work: nothing is queued for it, whatever the status."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = SAFE_HEADERS


def parsed(text: bytes | str) -> object:
    """Return the value that a JSON text stands for; of any other text something that is no JSON value."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOT_JSON


def members(value: object) -> Mapping[str, object]:
    """Return the members of a JSON object, none of anything else."""
    return value if isinstance(value, dict) else {}


def plain(text: str, status: int = 200) -> Handshake:
    """Return an answer of text that no browser takes for anything else."""
    return Handshake(status, "text/plain; charset=utf-8", text.encode("utf-8"))


def echo(text: object) -> Handshake:
    """Return a challenge to its sender; markup is escaped, what no provider sends is refused."""
    if not isinstance(text, str) or not _ECHO.fullmatch(text):
        return refused(f"the challenge must be 1 to {MAX_ECHO} printable ASCII characters, given once")
    return plain(html.escape(text))


def answer(values: Mapping[str, str]) -> Handshake:
    """Return an answer in JSON."""
    return Handshake(200, "application/json", json.dumps(values).encode("ascii"))


def refused(why: str, status: int = 400) -> Handshake:
    """Return a refusal: 400 for what is malformed, 401 for who is not known."""
    return plain(f"{why}\n", status)


def signable(token: object) -> str | None:
    """Return a token that may be signed for anybody who asks, else None.

    Whoever asks learns the signature of what he sends. So it must be nothing that could be a delivery:
    no JSON text, no `id.timestamp.body`, no `v0:timestamp:body`.
    """
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return None
    return token if parsed(token) is _NOT_JSON else None
