"""Secrets where they are needed: as written, from the environment, or from a file that may be exchanged."""

import asyncio
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from sidecar.core.ports import Clock
from sidecar.triggers.defined import is_reference

MAX_FILE_BYTES = 65_536
KEPT_SECONDS = 2.0
"""How long what was read of a file is taken for what is in it."""

_MAX_KEPT = 1_000
_LAST_NEWLINE = re.compile(r"\r?\n\Z")

_log = structlog.get_logger("sidecar")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The texts that some secrets stand for, in their order; `missing` names those that cannot be read."""

    texts: tuple[str, ...] = field(default=(), repr=False)
    missing: tuple[str, ...] = ()


class UnreadableSecretError(Exception):
    """A reference that leads nowhere; the text says why, and never what the secret is."""


class Secrets:
    """Resolves `env:NAME` and `file:/path`; any other text is the secret itself.

    Files are read again after two seconds, so that a rotated secret counts without a restart. What cannot
    be read is left out, and no former text stands in for it.
    """

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._environment = environment
        self._clock = clock
        self._kept: dict[str, tuple[float, str | None]] = {}

    async def resolve(self, written: Sequence[str]) -> Resolved:
        """Return what these secrets stand for."""
        found = [(secret, await self._text(secret)) for secret in written]
        return Resolved(
            tuple(text for _, text in found if text is not None),
            tuple(secret for secret, text in found if text is None),
        )

    async def _text(self, secret: str) -> str | None:
        if not is_reference(secret):
            return secret
        kept = self._kept.get(secret)
        now = self._clock.monotonic()
        if kept is not None and now - kept[0] < KEPT_SECONDS:
            return kept[1]
        text = await self._read(secret)
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[secret] = now, text
        return text

    async def _read(self, reference: str) -> str | None:
        kind, _, name = reference.partition(":")
        try:
            return self._variable(name) if kind == "env" else await asyncio.to_thread(file_text, name)
        except (UnreadableSecretError, OSError, ValueError) as error:
            _log.warning("secret.unreadable", reference=reference, problem=str(error))
            return None

    def _variable(self, name: str) -> str:
        if value := self._environment.get(name, ""):
            return value
        raise UnreadableSecretError(f"{name} is not set in the sidecar's environment, or empty")


def file_text(name: str) -> str:
    """Return what a file holds, without one newline at its end.

    Raises:
        UnreadableSecretError: it is empty, too large, no regular file, not UTF-8, or not named from the root.
        OSError: it cannot be opened or read.
    """
    if not Path(name).is_absolute():
        raise UnreadableSecretError("the path of a secret's file must begin with /")
    try:
        text = _bounded(name).decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableSecretError("the file is not UTF-8 text") from None
    text = _LAST_NEWLINE.sub("", text)
    if not text:
        raise UnreadableSecretError("the file is empty")
    return text


def _bounded(name: str) -> bytes:
    # Non-blocking, as a pipe in the place of the file would hold the thread for ever.
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableSecretError("it is not a regular file")
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableSecretError(f"the file is longer than {MAX_FILE_BYTES} bytes")
    return content
