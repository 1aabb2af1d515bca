"""Reading OTEL_* variables by the specification's rules: empty is unset, a bad value is told apart.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
A number or word that makes no sense is ignored with a warning; what could send telemetry to the wrong
place, or nowhere, is an error.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote


class TelemetrySettingError(ValueError):
    """A variable whose value cannot be used; the message names it, its value and what is allowed."""

    def __init__(self, variable: str, value: str, allowed: str) -> None:
        super().__init__(f"{variable}={value!r} cannot be used: {allowed}")
        self.variable = variable


class Environment:
    """The variables of one process, and the warnings that reading them gave."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.warnings: list[str] = []

    def text(self, *names: str) -> str:
        """Return the first of these variables that is set and not blank, else nothing."""
        return next((v for name in names if (v := self._variables.get(name, "").strip())), "")

    def named(self, *names: str) -> tuple[str, str]:
        """Return the name and value of the first variable that is set; the last name if none is."""
        found = ((name, self.text(name)) for name in names)
        return next(((name, value) for name, value in found if value), (names[-1], ""))

    def flag(self, *names: str) -> bool:
        """Return True only for `true`, in any case."""
        name, value = self.named(*names)
        if value.lower() not in ("", "true", "false"):
            self._ignored(name, value, "it must be true or false; false is used")
        return value.lower() == "true"

    def number(self, default: int | None, *names: str, least: int = 0) -> int | None:
        """Return a whole number of at least `least`, the default if unset or ignored."""
        name, value = self.named(*names)
        if not value:
            return default
        if value.isascii() and value.isdigit() and len(value) < 19 and int(value) >= least:
            return int(value)
        self._ignored(name, value, f"it must be a whole number of at least {least}; {default} is used")
        return default

    def fraction(self, default: float, name: str) -> float:
        """Return a number from 0 to 1, the default if unset or ignored."""
        value = self.text(name)
        try:
            number = float(value or default)
        except ValueError:
            number = -1.0
        if 0.0 <= number <= 1.0:
            return number
        self._ignored(name, value, f"it must be a number from 0 to 1; {default} is used")
        return default

    def word(self, default: str, allowed: Sequence[str], *names: str) -> str:
        """Return one of the allowed words, in lower case; the default if unset or ignored."""
        name, value = self.named(*names)
        if not value or value.lower() in allowed:
            return value.lower() or default
        self._ignored(name, value, f"it must be one of {', '.join(allowed)}; {default} is used")
        return default

    def pairs(self, name: str) -> dict[str, str]:
        """Return `key=value,…` with percent-encoded values; wholly ignored if any of it is malformed."""
        try:
            return parse_pairs(self.text(name))
        except ValueError as error:
            self._ignored(name, self.text(name), f"{error}; all of it is ignored")
            return {}

    def _ignored(self, name: str, value: str, why: str) -> None:
        self.warnings.append(f"{name}={value!r}: {why}")


def parse_pairs(text: str) -> dict[str, str]:
    """Return the pairs of `key=value,…`, decoded.

    Raises:
        ValueError: if a part has no key or no `=`, or its value is not percent-encoded UTF-8.
    """
    pairs: dict[str, str] = {}
    for number, part in enumerate(filter(str.strip, text.split(",")), start=1):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"part {number} must be key=value")
        pairs[unquote(key.strip(), errors="strict")] = unquote(value.strip(), errors="strict")
    return pairs
