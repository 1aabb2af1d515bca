"""Regular expressions that take linear time, whatever they say and whatever they are held against.

The engine is Rust's `regex`, which pydantic brings along: it knows neither look-around nor back-references,
and so cannot be made to run for ever.
"""

from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema


def pattern_problem(pattern: str) -> str | None:
    """Say why a pattern cannot be used, None if it can."""
    try:
        _compiled(pattern)
    except SchemaError as error:
        return _reason(error)
    return None


def found(pattern: str, text: str) -> bool:
    """Return whether a pattern matches anywhere in a text."""
    return _compiled(pattern).isinstance_python(text)


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _reason(error: SchemaError) -> str:
    """Return what the engine says, without the drawing of where."""
    lines = [line.strip() for line in str(error).splitlines()]
    last = next((line for line in reversed(lines) if line), "it cannot be compiled")
    return last.removeprefix("error: ").removeprefix("SchemaError: ").rstrip(".")
