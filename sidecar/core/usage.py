"""Usage: how much of each limit is used, as counted in one commit and kept up while it goes on."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sidecar.core.catalog import Cap

Scope = tuple[str, str]
"""Namespace and scope, such as `queue:mail`."""


@dataclass(slots=True)
class Tally:
    """Executions of each scope, in all and by concurrency key."""

    all: Counter[Scope] = field(default_factory=Counter)
    by_key: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, namespace: str, scopes: Iterable[str], key: str | None, count: int = 1) -> None:
        """Count executions of these scopes that have one concurrency key."""
        for scope in scopes:
            self.all[namespace, scope] += count
            if key is not None:
                self.by_key[namespace, scope, key] += count

    def reached(self, namespace: str, cap: Cap, key: str | None) -> int:
        """Return the limit of a cap that is reached for this key, 0 if there is room."""
        if cap.limit and self.all[namespace, cap.scope] >= cap.limit:
            return cap.limit
        if cap.per_key and key is not None and self.by_key[namespace, cap.scope, key] >= cap.per_key:
            return cap.per_key
        return 0


@dataclass(slots=True)
class Usage:
    """What the limits of one commit are held against; empty where nothing is limited.

    `full_at` is until when a rate's scope is used up, `taken` those that this commit used.
    """

    full_at: dict[Scope, int] = field(default_factory=dict)
    taken: set[Scope] = field(default_factory=set)
    waiting: dict[Scope, int] = field(default_factory=dict)
    open: Tally = field(default_factory=Tally)
    running: Tally = field(default_factory=Tally)
