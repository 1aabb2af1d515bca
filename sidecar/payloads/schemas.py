"""Schemas: read, looked through for what cannot be checked, and compiled."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
    FormatChecker,
)
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry, Specification
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012

from sidecar.payloads.keywords import OWN, Budget, TooMuchWorkError, counted, shortened
from sidecar.payloads.patterns import pattern_problem

MAX_SCHEMA = 65_536
"""Characters of a schema's text."""

_DIALECT = "$schema"
_DIALECTS: Mapping[str, tuple[Any, Any]] = {
    "https://json-schema.org/draft/2020-12/schema": (Draft202012Validator, DRAFT202012),
    "https://json-schema.org/draft/2019-09/schema": (Draft201909Validator, DRAFT201909),
    "http://json-schema.org/draft-07/schema": (Draft7Validator, DRAFT7),
    "http://json-schema.org/draft-06/schema": (Draft6Validator, DRAFT6),
    "http://json-schema.org/draft-04/schema": (Draft4Validator, DRAFT4),
}
_DEFAULT = next(iter(_DIALECTS))
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_MOST_ERRORS = 20
_extend: Callable[..., Callable[..., Any]] = extend
_SAMPLES: tuple[object, ...] = (None, True, 0, "", [], {})


class UnusableSchemaError(Exception):
    """A schema that payloads cannot be held against; the message says where and why."""


class Schema:
    """A sound schema, ready to have values held against it."""

    def __init__(self, text: str) -> None:
        """Compile a schema.

        Raises:
            UnusableSchemaError: if it is not sound.
        """
        schema = _read(text)
        kind, specification = _dialect(schema.pop(_DIALECT, _DEFAULT))
        _follow_the_rules(kind, schema)
        _look_through(schema, specification)
        self._budget = Budget()
        keywords = {n: counted(n, OWN.get(n, k), self._budget) for n, k in kind.VALIDATORS.items()}
        self._validator = _extend(kind, keywords)(schema)
        self._try_out()

    def problem(self, value: object) -> str | None:
        """Say where a value does not fit, None if it does.

        Raises:
            TooMuchWorkError: if that cannot be said in bounded time.
            RecursionError: if the value is nested too deeply, or the schema refers to itself without end.
        """
        self._budget.renew()
        errors = self._validator.iter_errors(value)
        found = best_match(error for _, error in zip(range(_MOST_ERRORS), errors, strict=False))
        return None if found is None else told(found)

    def _try_out(self) -> None:
        try:
            for sample in _SAMPLES:
                self.problem(sample)
        except RecursionError:
            raise UnusableSchemaError("refers to itself without end") from None
        except TooMuchWorkError as error:
            raise UnusableSchemaError(f"is too intricate: even an empty payload {error}") from None


def told(error: ValidationError | SchemaError) -> str:
    """Return an error in words: where, and what is wrong, both shortened."""
    text = f"{shortened(error.json_path, 200)}: {shortened(error.message, 300)}"
    # A name may hold half a surrogate pair, which no message can carry.
    return text.encode("utf-8", "backslashreplace").decode()


def _read(text: str) -> dict[str, Any]:
    if len(text) > MAX_SCHEMA:
        raise UnusableSchemaError(f"has {len(text):,} characters, over the limit of {MAX_SCHEMA:,}")
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise UnusableSchemaError(f"is not JSON: {error}") from None
    except RecursionError:
        raise UnusableSchemaError("is nested too deeply") from None
    if not isinstance(schema, dict):
        raise UnusableSchemaError("must be a JSON object")
    return schema


def _dialect(name: object) -> tuple[Any, Any]:
    known = _DIALECTS.get(name.removesuffix("#")) if isinstance(name, str) else None
    if known is None:
        raise UnusableSchemaError(f"$schema: {name!r:.200} is not a known dialect, such as {_DEFAULT}")
    return known


def _follow_the_rules(kind: Any, schema: dict[str, Any]) -> None:
    """Hold a schema against the schema of schemas."""
    try:
        kind.check_schema(schema, FormatChecker(formats=()))
    except SchemaError as error:
        raise UnusableSchemaError(told(error)) from None
    except RecursionError:
        raise UnusableSchemaError("is nested too deeply") from None


def _look_through(schema: dict[str, Any], specification: Specification[Any]) -> None:
    """Refuse what cannot be followed without a network, or cannot be checked in bounded time."""
    keywords: set[str] = set()
    for contents in _schemas(schema, specification):
        keywords.update(contents)
        _look_at(contents)
    if {"unevaluatedProperties", "patternProperties"} <= keywords:
        raise UnusableSchemaError("unevaluatedProperties cannot be used together with patternProperties")


def _schemas(schema: dict[str, Any], specification: Specification[Any]) -> Iterator[dict[str, Any]]:
    """Yield a schema and all that it has or refers to, each once."""
    registry: Registry[Any] = Registry()
    root = specification.create_resource(schema)
    waiting = [(registry.resolver_with_root(root), root)]
    seen: set[int] = set()
    while waiting:
        resolver, resource = waiting.pop()
        contents = resource.contents
        if not isinstance(contents, dict) or id(contents) in seen:
            continue
        seen.add(id(contents))
        yield contents
        for reference in (contents[name] for name in _REFERENCES if name in contents):
            try:
                target = resolver.lookup(str(reference))
            except Unresolvable:
                raise _missing(reference) from None
            waiting.append((target.resolver, specification.create_resource(target.contents)))
        waiting.extend((resolver.in_subresource(each), each) for each in resource.subresources())


def _missing(reference: object) -> UnusableSchemaError:
    what = f"refers to {reference!r:.200}, which is not in it"
    return UnusableSchemaError(f"{what}; references lead nowhere else")


def _look_at(contents: dict[str, Any]) -> None:
    if _DIALECT in contents:
        raise UnusableSchemaError("$schema may stand at the top only")
    expressions = [contents["pattern"]] if isinstance(contents.get("pattern"), str) else []
    for expression in (*expressions, *contents.get("patternProperties", ())):
        problem = pattern_problem(expression)
        if problem is not None:
            raise UnusableSchemaError(f"pattern {expression!r:.200} cannot be used: {problem}")
