"""How much one span or log record may hold; the defaults are the specification's."""

from dataclasses import dataclass

MAX_SPANS = 512
MAX_BYTES = 3 * 1024 * 1024
MAX_DESCRIPTION = 1_024


@dataclass(frozen=True, slots=True)
class SpanLimits:
    """OTEL_SPAN_* and OTEL_LINK_* limits; a length of None is unlimited."""

    attributes: int = 128
    attribute_length: int | None = None
    links: int = 128
    link_attributes: int = 128


@dataclass(frozen=True, slots=True)
class LogLimits:
    """OTEL_LOGRECORD_* limits; a length of None is unlimited."""

    attributes: int = 128
    attribute_length: int | None = None
