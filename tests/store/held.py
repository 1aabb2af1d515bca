"""An encoder that can hold up a commit in the middle, after its rows are read."""

import threading
from collections.abc import Mapping, Sequence

from sidecar.core.facts import LogFacts, SpanFacts
from sidecar.core.model import Resource
from sidecar.core.ports import Encoded
from tests.store.workbench import NamingEncoder


class HeldEncoder(NamingEncoder):
    """Holds up whatever is encoded between `hold` and `go_on`."""

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def hold(self) -> None:
        self.entered.clear()
        self.go_on.clear()

    def encode(
        self, facts: Sequence[SpanFacts | LogFacts], resources: Mapping[str, Resource]
    ) -> list[Encoded]:
        self.entered.set()
        assert self.go_on.wait(30)
        return super().encode(facts, resources)
