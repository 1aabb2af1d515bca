"""An exception as the sidecar keeps it: its type, message and stack, bounded and always expressible."""

import re
import traceback
from typing import Final

from sidecar.v1 import execution_pb2 as pb

MAX_TYPE: Final = 256
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def type_of(error: BaseException) -> str:
    """Return the `error.type`: the qualified name, builtins without their module."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return plain(name, MAX_TYPE)


def message_of(error: BaseException) -> str:
    """Return the message, also of an exception that cannot say it."""
    try:
        return str(error)
    except Exception as inner:
        return f"<{type(error).__qualname__}: its message could not be made: {type(inner).__qualname__}>"


def failure_of(
    error: BaseException, limit: int, *, error_type: str = "", message: str = ""
) -> pb.ExecutionError:
    """Return type, message and stack within `limit` bytes; the stack gives way, its end is kept."""
    said = cut(message or message_of(error), limit)
    room = max(0, limit - len(said.encode()))
    return pb.ExecutionError(
        type=plain(error_type, MAX_TYPE) or type_of(error), message=said, stack=_tail(_stack(error), room)
    )


def plain(text: str, limit: int) -> str:
    """Return one line of at most `limit` characters that any store can hold."""
    return _CONTROL.sub(" ", expressible(text))[:limit]


def expressible(text: str) -> str:
    """Return a text that UTF-8 can hold: lone surrogates are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def cut(text: str, limit: int) -> str:
    """Return the first `limit` bytes of a text, in whole characters."""
    return text.encode("utf-8", "backslashreplace")[:limit].decode("utf-8", "ignore")


def _tail(text: str, limit: int) -> str:
    data = text.encode("utf-8", "backslashreplace")
    return data[max(0, len(data) - limit) :].decode("utf-8", "ignore")


def _stack(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception as inner:
        return f"the stack could not be made: {type(inner).__qualname__}"
