"""What the caller has told: which requests were accepted as what, and how each webhook was answered."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from examples.audit.deliveries import Kind

NO_TRACE = "0" * 32


@dataclass(frozen=True, slots=True)
class Delivered:
    """A webhook and its answer; `trace_id` is that of the sender's own span, zeros if it makes none."""

    name: str
    delivery_id: str
    kind: Kind
    status: int
    execution_id: str
    existing: bool
    reason: str
    trace_id: str


class Heard:
    """`accepted` maps the names of requests to the ids that they got, and whether those existed before."""

    def __init__(self) -> None:
        self.accepted: dict[str, list[tuple[str, bool]]] = {}
        self.delivered: list[Delivered] = []
        self.all_accepted = threading.Event()
        self.all_sent_again = threading.Event()

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one line of the caller's."""
        facts = dict(event)
        match facts.pop("event"):
            case "accepted":
                self._accept(**facts)
            case "delivered":
                self._deliver(Delivered(**{**facts, "kind": Kind(facts["kind"])}))
            case "all accepted":
                self.all_accepted.set()
            case "all sent again":
                self.all_sent_again.set()

    def of(self, *kinds: Kind) -> list[Delivered]:
        """Return the webhooks of some kinds, in the order of their answers."""
        return [each for each in list(self.delivered) if each.kind in kinds]

    def names(self) -> dict[str, str]:
        """Return the names of the requests by the ids that they got."""
        return {answers[0][0]: name for name, answers in self.accepted.items()}

    def _accept(self, name: str, execution_id: str, existing: bool) -> None:
        self.accepted.setdefault(name, []).append((execution_id, existing))

    def _deliver(self, delivered: Delivered) -> None:
        self.delivered.append(delivered)
        if delivered.execution_id:
            self._accept(delivered.name, delivered.execution_id, delivered.existing)
