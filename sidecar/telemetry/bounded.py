"""A bound on the distinct values of a metric attribute, so that no caller can make series without end."""

from sidecar.conventions import names


class Bounded:
    """Keeps the first `limit` values as they are; every later one is `_OTHER`."""

    def __init__(self, limit: int = 100, longest: int = 128) -> None:
        self._limit = limit
        self._longest = longest
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return the value, or `_OTHER`."""
        if value in self._known:
            return value
        if len(self._known) >= self._limit or len(value) > self._longest:
            return names.OTHER
        self._known.add(value)
        return value
