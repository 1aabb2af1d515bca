"""The keywords of JSON Schema as they are checked here: counted, and without backtracking expressions."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from sidecar.payloads.patterns import found

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]
"""Validator, the keyword's value, the instance and the schema it stands in; yields what is wrong."""

MAX_STEPS = 100_000
_MAX_MESSAGE = 300
_MAX_SHOWN = 80


class TooMuchWorkError(Exception):
    """A check that has used up its steps."""


class Budget:
    """How much work one check may still take; a step is about one keyword held against one value."""

    def __init__(self) -> None:
        self._left = 0

    def renew(self) -> None:
        """Begin a new check."""
        self._left = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Use up some.

        Raises:
            TooMuchWorkError: if there are no more.
        """
        self._left -= steps
        if self._left < 0:
            raise TooMuchWorkError(f"takes more than {MAX_STEPS:,} steps to check")


def counted(name: str, keyword: Keyword, budget: Budget) -> Keyword:
    """Return a keyword whose work is counted, and whose messages are short."""

    def check(validator: Validator, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        budget.spend(_cost(name, value, instance))
        for error in keyword(validator, value, instance, schema) or ():
            if len(error.message) > _MAX_MESSAGE:
                budget.spend(len(error.message) // 100)
                error.message = _short_message(error.message, instance)
            yield error

    return check


def _cost(name: str, value: Any, instance: Any) -> int:
    size = len(instance) if isinstance(instance, (list, dict)) else 0
    if name.startswith("unevaluated"):
        return 1 + size * size // 200
    return 1 + size // 10 + (len(value) // 20 if isinstance(value, list) else 0)


def _short_message(message: str, instance: Any) -> str:
    return shortened(message.replace(repr(instance), _shown(instance), 1), _MAX_MESSAGE)


def _shown(value: object) -> str:
    return shortened(repr(value), _MAX_SHOWN)


def shortened(text: str, most: int) -> str:
    """Return a text that is cut where it is longer than allowed."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def pattern(validator: Validator, value: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    """Hold a text against an expression."""
    if validator.is_type(instance, "string") and not found(value, instance):
        yield ValidationError(f"{_shown(instance)} does not match {_shown(value)}")


def pattern_properties(
    validator: Any, value: Mapping[str, Any], instance: Any, _: Any
) -> Iterator[ValidationError]:
    """Hold properties against the schemas of the expressions that their names match."""
    if validator.is_type(instance, "object"):
        for expression, schema in value.items():
            for name in instance:
                if found(expression, name):
                    yield from validator.descend(instance[name], schema, path=name, schema_path=expression)


def additional_properties(
    validator: Any, value: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    """Hold properties that nothing else speaks of against a schema."""
    if not validator.is_type(instance, "object"):
        return
    known, expressions = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in instance:
        if name in known or any(found(expression, name) for expression in expressions):
            continue
        if value is False:
            yield ValidationError(f"{_shown(name)} is not a property that may be there")
        else:
            yield from validator.descend(instance[name], value, path=name)


def unique_items(validator: Validator, value: bool, instance: Any, _: Any) -> Iterator[ValidationError]:
    """Find an item that is there twice, in one pass."""
    if not value or not validator.is_type(instance, "array"):
        return
    seen: set[str] = set()
    for item in instance:
        text = _canonical(item)
        if text in seen:
            yield ValidationError(f"{_shown(item)} is there more than once")
            return
        seen.add(text)


def _canonical(item: Any) -> str:
    """Return a text that is the same for equal values: 1 equals 1.0, and neither equals true."""
    return json.dumps(_plain(item), sort_keys=True)


def _plain(item: Any) -> Any:
    if isinstance(item, float) and item.is_integer():
        return int(item)
    if isinstance(item, Mapping):
        return {name: _plain(value) for name, value in item.items()}
    if isinstance(item, Sequence) and not isinstance(item, str):
        return [_plain(value) for value in item]
    return item


OWN: Mapping[str, Keyword] = {
    "pattern": pattern,
    "patternProperties": pattern_properties,
    "additionalProperties": additional_properties,
    "uniqueItems": unique_items,
}
"""What stands in for the library's own."""
