"""The carrier: W3C Trace Context and Baggage as header texts, the way they travel beside a message."""

from dataclasses import dataclass

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
BAGGAGE = "baggage"


@dataclass(frozen=True, slots=True)
class Carrier:
    """The three header texts, verbatim; empty where absent."""

    traceparent: str = ""
    tracestate: str = ""
    baggage: str = ""
