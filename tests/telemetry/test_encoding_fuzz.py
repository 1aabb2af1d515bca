"""Whatever the facts hold, the encoder gives bytes that decode to as many records."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidecar.core.facts import Kind, Link, LogFacts, Role, SpanFacts
from sidecar.core.model import Resource
from sidecar.core.ports import Encoded
from sidecar.telemetry.encoding import LOGS, OtlpEncoder
from sidecar.telemetry.limits import LogLimits, SpanLimits
from tests.telemetry.samples import OWN, SPAN, TRACE

TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
WHOLE = st.integers(-(2**80), 2**80)
VALUES = st.one_of(TEXT, st.booleans(), WHOLE, st.floats(), st.lists(TEXT, max_size=3).map(tuple))
ATTRIBUTES = st.lists(st.tuples(TEXT, VALUES), max_size=6).map(tuple)
TRACE_IDS = st.one_of(st.just(TRACE), TEXT)
SPAN_IDS = st.one_of(st.just(SPAN), TEXT)
LINKS = st.lists(st.builds(Link, TRACE_IDS, SPAN_IDS, WHOLE, TEXT, ATTRIBUTES), max_size=3).map(tuple)
SPANS = st.builds(
    SpanFacts,
    role=st.sampled_from([Role.SEND, Role.ATTEMPT, Role.STEP, Role.TERMINAL]),
    name=TEXT,
    kind=st.sampled_from(Kind),
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=st.none() | SPAN_IDS,
    flags=WHOLE,
    tracestate=TEXT,
    start_at=WHOLE,
    end_at=st.none() | WHOLE,
    attributes=ATTRIBUTES,
    links=LINKS,
    error_type=st.none() | TEXT,
    error_message=TEXT,
    resource_id=st.none() | st.sampled_from(["known", "unknown"]),
)
RECORDS = st.builds(LogFacts, TEXT, TEXT, TEXT, WHOLE, TRACE_IDS, SPAN_IDS, WHOLE, ATTRIBUTES)
SMALL = st.integers(0, 3)


def records_in(request: Encoded) -> int:
    if request.signal == LOGS:
        logs = ExportLogsServiceRequest.FromString(request.body)
        return sum(len(s.log_records) for r in logs.resource_logs for s in r.scope_logs)
    spans = ExportTraceServiceRequest.FromString(request.body)
    found = [s for r in spans.resource_spans for scope in r.scope_spans for s in scope.spans]
    assert all(s.end_time_unix_nano >= s.start_time_unix_nano for s in found)
    assert all(len(s.trace_id) == 16 and len(s.span_id) == 8 and any(s.span_id) for s in found)
    return len(found)


@given(st.lists(SPANS | RECORDS, max_size=4), ATTRIBUTES, SMALL, st.none() | SMALL)
def test_encoding_never_raises_and_loses_nothing(
    facts: list[SpanFacts | LogFacts],
    declared: tuple[tuple[str, str], ...],
    count: int,
    length: int | None,
) -> None:
    encoder = OtlpEncoder(OWN, SpanLimits(count, length, count, count), LogLimits(count, length))
    resources = {"known": Resource("known", (("service.name", "w"), *declared), "")}
    requests = encoder.encode(facts, resources)
    assert sum(records_in(request) for request in requests) == len(facts)
    assert sum(request.count for request in requests) == len(facts)
    assert (
        OtlpEncoder(OWN, SpanLimits(count, length, count, count), LogLimits(count, length)).encode(
            facts, resources
        )
        == requests
    )
