"""Named crash points: no-ops unless a test armed them at start, so that a kill lands where it matters."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

NAMES: tuple[str, ...] = (
    "commit.begun",
    "commit.before_commit",
    "commit.after_commit",
    "settle.before_outbox",
    "settle.between",
    "settle.before_commit",
    "settle.after_commit",
    "accept.before_commit",
    "accept.after_commit",
    "claim.before_commit",
    "claim.after_commit",
    "claim.before_push",
    "outbox.before_send",
    "outbox.after_ok",
    "reaper.before_submit",
)
"""Every point that exists."""


class UnknownFailpointError(ValueError):
    """A failpoint or an action was named that does not exist."""


class InjectedError(Exception):
    """Raised by the action `error`."""


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _exit() -> None:
    os._exit(137)


def _error() -> None:
    raise InjectedError("failpoint")


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "stop": _stop, "exit": _exit, "error": _error}


@dataclass(slots=True)
class _Armed:
    action: Callable[[], None]
    countdown: int

    def hit(self) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            self.action()


_armed: dict[str, _Armed] = {}


def arm(text: str) -> None:
    """Arm points from `name=action[@nth],…`; actions are kill, stop, exit, error, delay:SECONDS.

    Raises:
        UnknownFailpointError: for a name or an action that does not exist.
    """
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, rest = part.partition("=")
        verb, _, nth = rest.partition("@")
        if name not in NAMES:
            raise UnknownFailpointError(f"failpoint {name!r} does not exist; there are: {', '.join(NAMES)}")
        _armed[name] = _Armed(_action(verb), int(nth or 1))


def _action(verb: str) -> Callable[[], None]:
    kind, _, seconds = verb.partition(":")
    if kind == "delay":
        return lambda: time.sleep(float(seconds))
    if kind not in _ACTIONS:
        raise UnknownFailpointError(
            f"failpoint action {verb!r} does not exist; there are: {', '.join(_ACTIONS)}, delay"
        )
    return _ACTIONS[kind]


def disarm() -> None:
    """Make every point inert again."""
    _armed.clear()


def hit(name: str) -> None:
    """Act if this point is armed; costs one look at an empty dict otherwise."""
    if _armed and (armed := _armed.get(name)) is not None:
        armed.hit()
