"""From a file to a syntax tree; what does not decode or parse is said in so many words."""

import ast
import tokenize
import warnings
from io import BytesIO
from pathlib import Path


class UnreadableError(Exception):
    """A module that is no Python source to this interpreter; `kind` is its `error.type`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def read(path: Path) -> str:
    """Return the text of a module, decoded as its own first lines demand.

    Raises:
        UnreadableError: `does_not_decode`.
    """
    data = path.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UnreadableError("does_not_decode", _words(error)) from error


def parse(text: str) -> ast.Module:
    """Return the syntax tree of a module.

    Raises:
        UnreadableError: `does_not_parse`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError("does_not_parse", _words(error)) from error


def _words(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        where = f", line {error.lineno}" if error.lineno else ""
        return f"{error.msg}{where}"
    return f"{type(error).__name__}: {error}"
