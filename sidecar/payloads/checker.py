"""The checker: payloads against schemas, each schema compiled once."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import NoReturn

from sidecar.payloads.keywords import TooMuchWorkError
from sidecar.payloads.schemas import Schema, UnusableSchemaError

_KEPT = 256
"""Compiled schemas."""


class NotJsonError(Exception):
    """A payload that no schema can be held against."""


class JsonSchemas:
    """Implements `core.ports.PayloadChecker`. A `format` is a remark, as JSON Schema has it, not a check."""

    def __init__(self) -> None:
        self._schema: Callable[[str], Schema] = lru_cache(maxsize=_KEPT)(Schema)

    def problem(self, schema: str, payload: bytes) -> str | None:
        """Say where a payload does not fit a schema, None if it does.

        Raises:
            UnusableSchemaError: if the schema is not sound.
        """
        sound = self._schema(schema)
        try:
            return sound.problem(_read(payload))
        except (NotJsonError, TooMuchWorkError) as error:
            return str(error)
        except RecursionError:
            return "is nested too deeply to be checked"
        except ArithmeticError as error:
            return f"has a number that cannot be checked: {error}"

    def schema_problem(self, schema: str) -> str | None:
        """Say what is wrong with a schema, None if it is sound."""
        try:
            self._schema(schema)
        except UnusableSchemaError as error:
            return str(error)
        return None


def _read(payload: bytes) -> object:
    try:
        # Decoded here: the standard library would guess at UTF-16 and UTF-32, which workers do not.
        value: object = json.loads(payload.decode(), parse_constant=_refuse)
    except ValueError as error:
        raise NotJsonError(f"is not JSON: {error}") from None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")
