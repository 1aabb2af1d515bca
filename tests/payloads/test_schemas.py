"""JSON Schema in bounded time: a misfit is named where it stands, and nothing can hold a check up."""

import json
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from sidecar.payloads import JsonSchemas
from sidecar.payloads.keywords import MAX_STEPS
from sidecar.payloads.patterns import found, pattern_problem
from sidecar.payloads.schemas import MAX_SCHEMA, UnusableSchemaError

SCHEMAS = JsonSchemas()
ORDER = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {"type": "array", "items": {"properties": {"price": {"type": "number"}}}},
        "colour": {"enum": ["red", "blue"]},
        "code": {"pattern": "^[A-Z]{3}$"},
        "tags": {"uniqueItems": True},
    },
    "additionalProperties": False,
}


def problem(schema: object, payload: object) -> str | None:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return SCHEMAS.problem(json.dumps(schema), data)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"items": [{"price": 1}, {"price": "much"}]}, "$.items[1].price: 'much' is not of type 'number'"),
        ({}, "$: 'items' is a required property"),
        ({"items": [], "size": 1}, "$: 'size' is not a property that may be there"),
        ({"items": [], "colour": "green"}, "$.colour: 'green' is not one of ['red', 'blue']"),
        ({"items": [], "code": "abc"}, "$.code: 'abc' does not match '^[A-Z]{3}$'"),
        ({"items": [], "tags": [1, 2, 1.0]}, "$.tags: 1.0 is there more than once"),
        (b"", "is not JSON: Expecting value"),
        (b"\xff", "is not JSON: "),
        (b"NaN", "is not JSON: NaN is not a number of JSON"),
    ],
)
def test_a_misfit_is_named_where_it_stands(payload: object, said: str) -> None:
    """ADM-1: payload within its schema."""
    assert (problem(ORDER, payload) or "fits").startswith(said)


def test_what_fits_has_no_problem() -> None:
    order = {"items": [{"price": 1.5}], "colour": "red", "code": "ABC", "tags": [1, True, "1", [1], {"a": 1}]}
    assert problem(ORDER, order) is None


def test_a_long_value_is_shortened_and_the_problem_is_not() -> None:
    said = problem({"properties": {"a": {"maxLength": 3}}}, {"a": "x" * 100_000})
    assert said is not None
    assert said.startswith("$.a: 'xxx")
    assert said.endswith("... is too long")
    assert len(said) < 200


def test_half_a_surrogate_pair_breaks_no_message() -> None:
    said = problem({"additionalProperties": {"type": "string"}}, b'{"\\ud800": 1}')
    assert said is not None
    assert said.encode()


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ("true", "must be a JSON object"),
        ('{"type": "text"}', "$.type: 'text' is not valid"),
        (
            '{"$schema": "https://example.com/mine"}',
            "$schema: 'https://example.com/mine' is not a known dialect",
        ),
        ('{"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema"}}}', "$schema may stand"),
        ('{"$ref": "#/$defs/missing"}', "refers to '#/$defs/missing', which is not in it"),
        ('{"$ref": "#"}', "refers to itself without end"),
        ('{"pattern": "(?<=a)b"}', "pattern '(?<=a)b' cannot be used: look-around"),
        ('{"patternProperties": {"(a)\\\\1": {}}}', "pattern '(a)\\\\1' cannot be used: backreferences"),
        ('{"unevaluatedProperties": false, "patternProperties": {"a": {}}}', "unevaluatedProperties cannot"),
        ('{"a": ' * 2_000 + "1" + "}" * 2_000, "is nested too deeply"),
        (json.dumps({"description": "x" * MAX_SCHEMA}), "has 65,"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_reason(schema: str, said: str) -> None:
    told = SCHEMAS.schema_problem(schema)
    assert told is not None
    assert told.startswith(said)
    with pytest.raises(UnusableSchemaError):
        SCHEMAS.problem(schema, b"{}")


@pytest.mark.parametrize(
    "dialect",
    [
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-04/schema#",
    ],
)
def test_a_schema_may_name_its_dialect(dialect: str) -> None:
    schema = {"$schema": dialect, "definitions": {"a": {"pattern": "^a+$"}}, "properties": {}}
    schema["properties"] = {"a": {"$ref": "#/definitions/a"}, "inner": {"$ref": "#"}}
    assert SCHEMAS.schema_problem(json.dumps(schema)) is None
    assert problem(schema, {"a": "aa", "inner": {"a": "a"}}) is None
    assert problem(schema, {"inner": {"a": "b"}}) == "$.inner.a: 'b' does not match '^a+$'"


@pytest.mark.parametrize(
    "reference", ["https://example.com/s", "file:///etc/passwd", "other.json", "//host/s"]
)
def test_no_reference_leads_out_of_the_schema(monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for where in ({"$ref": reference}, {"$id": "https://example.com/", "items": {"$ref": reference}}):
        assert "which is not in it" in (SCHEMAS.schema_problem(json.dumps(where)) or "")


def test_an_expression_that_backtracks_elsewhere_takes_no_time_here() -> None:
    """A second in Python's own engine is an hour for ten characters more."""
    evil = "^(a+)+$"
    text = "a" * 100_000 + "b"
    schema = {"pattern": evil, "patternProperties": {evil: {}}, "additionalProperties": False}
    assert "does not match" in (problem(schema, text) or "")
    assert "may be there" in (problem(schema, {text: 1}) or "")


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        (
            {"type": "array", "items": {"$ref": "#/$defs/a0"}}
            | {
                "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(25)}
                | {"a25": {}}
            },
            [1],
        ),
        ({"unevaluatedProperties": False, "properties": {"a": {}}}, {str(n): n for n in range(20_000)}),
        ({"anyOf": [{"type": "string"}] * 60}, {"a": ["x" * 1_000] * 1_000}),
        (
            {"items": {"properties": {c: {"type": "integer"} for c in "abcdef"}}},
            [dict.fromkeys("abcdef", 1)] * 20_000,
        ),
    ],
    ids=["references", "unevaluated", "messages", "items"],
)
def test_a_check_that_grows_out_of_hand_is_ended(schema: object, payload: object) -> None:
    """Invariant 7: the work for one payload is bounded, and what could not be checked does not fit."""
    assert problem(schema, payload) == f"takes more than {MAX_STEPS:,} steps to check"


def test_many_different_items_are_compared_in_one_pass() -> None:
    items = [{"a": n, "b": [n]} for n in range(30_000)]
    assert problem({"uniqueItems": True}, items) is None
    assert "more than once" in (problem({"uniqueItems": True}, [*items, {"b": [7.0], "a": 7}]) or "")


@pytest.mark.parametrize("payload", [b"[" * 100_000, b'{"c":[' * 400 + b"]}" * 400])
def test_what_is_nested_too_deeply_does_not_fit(payload: bytes) -> None:
    tree = {"properties": {"c": {"items": {"$ref": "#"}}}}
    assert problem(tree, payload) == "is nested too deeply to be checked"


def test_numbers_beyond_arithmetic_do_not_fit() -> None:
    assert "cannot be checked" in (problem({"multipleOf": 0.1}, b"1" + b"0" * 4_000) or "")
    assert "is not JSON" in (problem({}, b"1" + b"0" * 5_000) or "")


def test_after_a_check_that_was_ended_the_next_one_has_all_its_steps() -> None:
    schema = {"items": {"type": "integer"}}
    assert problem(schema, [1] * 2 * MAX_STEPS) is not None
    assert problem(schema, [1] * 1_000) is None


@pytest.mark.parametrize("pattern", [r"^\d{3}-\w+$", r"\p{L}+", "a|b", r"\/x", "", "(?i)abc"])
def test_common_expressions_are_understood(pattern: str) -> None:
    assert pattern_problem(pattern) is None
    assert found(r"^\d{3}-\w+$", "123-abc")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=4),
    max_leaves=8,
)
PATTERNS = st.sampled_from(["^a", "b$", "^$", "a|b", "[ab]{2}"])
KEYWORDS = {
    "type": st.sampled_from(["string", "number", "integer", "object", "array", "boolean", "null"]),
    "enum": st.lists(VALUES, min_size=1, max_size=3),
    "const": VALUES,
    "pattern": PATTERNS,
    "uniqueItems": st.booleans(),
    "minItems": st.integers(0, 3),
    "required": st.lists(st.text("ab", max_size=2), max_size=2, unique=True),
}
TREES = st.recursive(
    st.fixed_dictionaries({}, optional=KEYWORDS),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            **KEYWORDS,
            "properties": st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
            "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
            "additionalProperties": inner | st.booleans(),
            "items": inner,
            "not": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(TREES, VALUES)
def test_a_value_fits_if_and_only_if_it_fits_for_others(schema: dict[str, Any], value: Any) -> None:
    """The library as it comes is the oracle."""
    oracle: Validator = Draft202012Validator(schema)
    assert (problem(schema, value) is None) is oracle.is_valid(value)


@settings(max_examples=200, deadline=None)
@given(
    st.text() | VALUES.map(json.dumps) | TREES.map(json.dumps),
    st.binary() | VALUES.map(json.dumps).map(str.encode),
)
def test_nothing_that_comes_in_is_answered_with_an_exception(schema: str, payload: bytes) -> None:
    told = SCHEMAS.schema_problem(schema)
    if told is None:
        said = SCHEMAS.problem(schema, payload)
        assert said is None or len(said) <= 600
    else:
        assert told.encode()
        assert len(told) <= 800
