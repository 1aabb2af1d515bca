"""What callers send and what must go on of it: cases from Trace Context level 2 and Baggage.

Sources: https://www.w3.org/TR/trace-context-2/ and https://www.w3.org/TR/baggage/
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.conventions.carrier import Carrier
from tests.conventions.w3c_texts import BAGGAGES, STATES

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
FUTURE = f"cc-{TRACE}-{SPAN}-01"


@dataclass(frozen=True, slots=True)
class Case:
    """Headers as they come; `flags` is None where a new trace begins."""

    name: str
    headers: tuple[tuple[str, str], ...]
    flags: int | None = 1
    tracestate: str = ""
    baggage: str = ""

    @property
    def carrier(self) -> Carrier:
        """What the codec makes of the headers."""
        parent = "" if self.flags is None else f"00-{TRACE}-{SPAN}-{self.flags:02x}"
        return Carrier(parent, self.tracestate, self.baggage)

    def fits_fields(self) -> bool:
        """Whether the carrier of a message can hold it: each header at most once, by its plain name."""
        names = [name for name, _ in self.headers]
        return len(set(names)) == len(names) and {"traceparent", "tracestate", "baggage"} >= set(names)

    def fits_metadata(self) -> bool:
        """Whether gRPC hands it over: lower-case names, one parent, printable values, less than 8 KiB."""
        names = [name for name, _ in self.headers]
        values = "".join(value for _, value in self.headers)
        plain = all(name == name.lower() for name in names) and names.count("traceparent") <= 1
        return plain and len(values) < 7_000 and all(" " <= c <= "~" for c in values)


GOES_ON = {
    "sampled": (PARENT, 1),
    "unsampled": (f"00-{TRACE}-{SPAN}-00", 0),
    "the-random-flag-is-kept": (f"00-{TRACE}-{SPAN}-03", 3),
    "the-random-flag-is-kept-unsampled": (f"00-{TRACE}-{SPAN}-02", 2),
    "unknown-flags-are-zeroed": (f"00-{TRACE}-{SPAN}-fc", 0),
    "unknown-flags-are-zeroed-and-known-ones-kept": (f"00-{TRACE}-{SPAN}-ff", 3),
    "future-version": (FUTURE, 1),
    "future-version-with-more": (f"{FUTURE}-extra", 1),
    "future-version-with-an-empty-rest": (f"{FUTURE}-", 1),
    "future-version-fe": (f"fe-{TRACE}-{SPAN}-00-x", 0),
    "future-version-with-unknown-flags": (f"01-{TRACE}-{SPAN}-0d", 1),
    "spaces-around": (f"  {PARENT} ", 1),
    "tabs-around": (f"\t{PARENT} \t", 1),
}

RESTARTS = {
    "empty": "",
    "nonsense": "nonsense",
    "upper-case-trace-id": f"00-{TRACE.upper()}-{SPAN}-01",
    "upper-case-parent-id": f"00-{TRACE}-{SPAN.upper()}-01",
    "upper-case-flags": f"00-{TRACE}-{SPAN}-0A",
    "upper-case-version": FUTURE.replace("cc", "CC"),
    "zero-trace-id": f"00-{'0' * 32}-{SPAN}-01",
    "zero-parent-id": f"00-{TRACE}-{'0' * 16}-01",
    "version-ff": f"ff-{TRACE}-{SPAN}-01",
    "version-ff-with-more": f"ff-{TRACE}-{SPAN}-01-extra",
    "version-of-one-digit": f"0-{TRACE}-{SPAN}-01",
    "version-of-three-digits": f"000-{TRACE}-{SPAN}-01",
    "version-not-hex": f".0-{TRACE}-{SPAN}-01",
    "version-00-with-more": f"{PARENT}-extra",
    "version-00-with-a-dash": f"{PARENT}-",
    "version-00-with-a-dot": f"{PARENT}.",
    "future-version-without-a-dash-before-more": f"{FUTURE}.extra",
    "future-version-cut-short": FUTURE[:-1],
    "future-version-without-flags": f"cc-{TRACE}-{SPAN}",
    "future-version-with-zero-trace-id": f"cc-{'0' * 32}-{SPAN}-01",
    "short-trace-id": f"00-{TRACE[:-1]}-{SPAN}-01",
    "long-trace-id": f"00-{TRACE}0-{SPAN}-01",
    "trace-id-not-hex": f"00-{TRACE[:-1]}g-{SPAN}-01",
    "short-parent-id": f"00-{TRACE}-{SPAN[:-1]}-01",
    "long-parent-id": f"00-{TRACE}-{SPAN}0-01",
    "parent-id-not-hex": f"00-{TRACE}-.{SPAN[1:]}-01",
    "short-flags": f"00-{TRACE}-{SPAN}-1",
    "long-flags": f"00-{TRACE}-{SPAN}-001",
    "flags-not-hex": f"00-{TRACE}-{SPAN}-0.",
    "without-flags": f"00-{TRACE}-{SPAN}",
    "wrong-dashes": PARENT.replace("-", "_"),
    "space-within": PARENT.replace("-", "- ", 1),
    "two-in-one-header": f"{PARENT},{PARENT}",
    "two-future-ones-in-one-header": f"{FUTURE},{FUTURE}",
}

TOGETHER = (
    Case(
        "all-three",
        (("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "k=v;p")),
        tracestate="a=1",
        baggage="k=v;p",
    ),
    Case("nothing", (), None),
    Case("tracestate-alone", (("tracestate", "a=1"),), None),
    Case("baggage-alone", (("baggage", "k=v;p"),), None, baggage="k=v;p"),
    Case("baggage-without-a-valid-parent", (("traceparent", "x"), ("baggage", "k=v")), None, baggage="k=v"),
    Case("two-parents", (("traceparent", PARENT), ("traceparent", PARENT.replace("4b", "4c"))), None),
    Case(
        "two-equal-parents-with-more",
        (("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "k=v;p=1")),
        None,
        baggage="k=v;p=1",
    ),
    Case("a-parent-and-an-empty-one", (("traceparent", PARENT), ("traceparent", "")), None),
    Case(
        "names-in-any-case",
        (("TraceParent", PARENT), ("TRACESTATE", "a=1"), ("tracestate", "b=2"), ("BagGage", "k=v")),
        tracestate="a=1,b=2",
        baggage="k=v",
    ),
    Case("parent-in-two-cases", (("traceparent", PARENT), ("TRACEPARENT", PARENT)), None),
    Case("other-names", (("trace-parent", PARENT), ("trace.parent", PARENT), ("trace-state", "a=1")), None),
)


def _cases() -> Iterator[Case]:
    both = (("tracestate", "a=1"), ("baggage", "k=v;p"))
    for name, (text, flags) in GOES_ON.items():
        yield Case(f"parent-{name}", (("traceparent", text), *both), flags, "a=1", "k=v;p")
    for name, text in RESTARTS.items():
        yield Case(f"bad-parent-{name}", (("traceparent", text), *both), None, "", "k=v;p")
    for name, (values, wanted) in STATES.items():
        given = (("traceparent", PARENT), *(("tracestate", value) for value in values), ("baggage", "k=v"))
        yield Case(f"state-{name}", given, 1, wanted, "k=v")
    for name, (values, wanted) in BAGGAGES.items():
        given = (("traceparent", PARENT), *(("baggage", value) for value in values))
        yield Case(f"baggage-{name}", given, 1, "", wanted)
    yield from TOGETHER


CASES = tuple(_cases())
