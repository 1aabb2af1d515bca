"""The encoder: the SDK's own encoder as oracle, the same bytes always, bounds, and never an exception."""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link as SdkLink
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from opentelemetry.trace import Status as SdkStatus

from sidecar.conventions import names
from sidecar.core.facts import Kind, Link, LogFacts, Role, SpanFacts
from sidecar.core.model import Resource
from sidecar.core.ports import Encoded
from sidecar.telemetry.encoding import LOGS, TRACES, OtlpEncoder
from sidecar.telemetry.limits import MAX_BYTES, MAX_SPANS, LogLimits, SpanLimits
from sidecar.telemetry.resource import product_version
from tests.telemetry.samples import OWN, PARENT, SPAN, T0, TRACE, WORKER, log, span

WORKERS = {WORKER.resource_id: WORKER}
LINK = Link(TRACE, PARENT, 1, "x=1", ((names.LINK_KIND, "creation"),))


def encoded(facts: Sequence[SpanFacts | LogFacts], *, encoder: OtlpEncoder | None = None) -> list[Encoded]:
    return (encoder or OtlpEncoder(OWN)).encode(facts, WORKERS)


def decoded(facts: SpanFacts, *, encoder: OtlpEncoder | None = None) -> Span:
    (only,) = encoded([facts], encoder=encoder)
    (found,) = spans_of(only)
    return found


def spans_of(request: Encoded) -> list[Span]:
    message = ExportTraceServiceRequest.FromString(request.body)
    return [s for r in message.resource_spans for scope in r.scope_spans for s in scope.spans]


def attributes_of(found: Span) -> dict[str, object]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in found.attributes}


def sdk_span(facts: SpanFacts) -> ReadableSpan:
    """The same span as the SDK would have it, as far as its encoder says everything."""

    def context(span_id: str, remote: bool) -> SpanContext:
        state = TraceState([("a", "1"), ("1b@c", "2")])
        return SpanContext(int(TRACE, 16), int(span_id, 16), remote, TraceFlags(3), state)

    return ReadableSpan(
        name=facts.name,
        context=context(facts.span_id, remote=False),
        parent=context(facts.parent_span_id, facts.role in (Role.SEND, Role.ATTEMPT))
        if facts.parent_span_id
        else None,
        resource=SdkResource(dict(OWN), names.SCHEMA_URL),
        attributes=dict(facts.attributes),
        links=[SdkLink(context(link.span_id, remote=True), dict(link.attributes)) for link in facts.links],
        kind=SpanKind[facts.kind.value],
        status=SdkStatus(StatusCode.ERROR, facts.error_message) if facts.error_type else SdkStatus(),
        start_time=facts.start_at,
        end_time=facts.end_at,
        instrumentation_scope=InstrumentationScope("sidecar", product_version(), names.SCHEMA_URL),
    )


def test_it_says_what_the_sdk_says_and_the_flags_that_the_sdk_leaves_out() -> None:
    facts = [
        span(role=Role.SEND, kind=Kind.PRODUCER, name="send q"),
        span(role=Role.SEND, kind=Kind.PRODUCER, name="send q", parent=None),
        span(role=Role.ATTEMPT, kind=Kind.CONSUMER, links=(LINK,), error_type="boom"),
        span(role=Role.TERMINAL, error_type="timeout"),
        span(role=Role.STEP, attributes=()),
    ]
    oracle = encode_spans([sdk_span(each) for each in facts])
    (ours,) = OtlpEncoder(OWN).encode(facts, {})
    message = ExportTraceServiceRequest.FromString(ours.body)
    for each in message.resource_spans[0].scope_spans[0].spans:
        assert each.flags & 0xFF == 3
        each.flags &= ~0xFF
        for link in each.links:
            assert (link.flags & 0xFF, link.trace_state) == (1, "x=1")
            link.flags &= ~0xFF
            link.trace_state = ""
    for each in oracle.resource_spans[0].scope_spans[0].spans:
        each.status.SetInParent()
    for each in message.resource_spans[0].scope_spans[0].spans:
        each.status.SetInParent()
    assert message == oracle


def test_the_remote_bits_follow_the_role() -> None:
    flags = {
        role: decoded(span(role=role)).flags for role in (Role.SEND, Role.ATTEMPT, Role.STEP, Role.TERMINAL)
    }
    assert flags == {Role.SEND: 0x303, Role.ATTEMPT: 0x303, Role.STEP: 0x103, Role.TERMINAL: 0x103}
    assert decoded(span(role=Role.SEND, parent=None)).flags == 0x103


def test_the_same_facts_give_the_same_bytes_in_any_encoder() -> None:
    facts: list[SpanFacts | LogFacts] = [span(resource_id="w1", links=(LINK,)), span(), log()]
    first, second = encoded(facts), encoded(facts)
    assert first == second
    encoder = OtlpEncoder(OWN)
    assert encoder.encode(facts, WORKERS) == encoder.encode(facts, WORKERS) == first


def test_each_resource_is_frozen_with_what_a_worker_may_declare() -> None:
    (request,) = encoded([span(), span(resource_id="w1"), span(span_id=PARENT), span(resource_id="lost")])
    message = ExportTraceServiceRequest.FromString(request.body)
    resources = [{p.key for p in r.resource.attributes} for r in message.resource_spans]
    assert resources == [
        {"service.name", "service.version"},
        {"service.name", "process.pid", "k8s.pod.name"},
        {"service.name"},
    ]
    assert [len(r.scope_spans[0].spans) for r in message.resource_spans] == [2, 1, 1]
    assert {r.schema_url for r in message.resource_spans} == {names.SCHEMA_URL}
    assert message.resource_spans[1].scope_spans[0].scope.name == names.SCOPE
    assert request.count == 4


def test_many_spans_are_split_in_order() -> None:
    facts = [span(span_id=f"{n:016x}", resource_id="w1" if n % 2 else None) for n in range(1, 1_200)]
    requests = encoded(facts)
    assert [r.count for r in requests] == [MAX_SPANS, MAX_SPANS, 1_199 - 2 * MAX_SPANS]
    at = 0
    for request in requests:
        expected = {f.span_id for f in facts[at : at + request.count]}
        assert {s.span_id.hex() for s in spans_of(request)} == expected
        at += request.count


def test_large_spans_are_split_by_bytes() -> None:
    facts = [span(span_id=f"{n:016x}", attributes=(("x", "y" * 500_000),)) for n in range(1, 20)]
    requests = encoded(facts)
    assert sum(r.count for r in requests) == 19
    assert len(requests) == 4
    assert all(len(r.body) <= MAX_BYTES for r in requests)


def test_spans_and_logs_come_apart() -> None:
    requests = encoded([log(), span(), log()])
    assert [(r.signal, r.count) for r in requests] == [(TRACES, 1), (LOGS, 2)]
    assert encoded([]) == []


def test_a_log_record_says_everything() -> None:
    (request,) = encoded([log()])
    message = ExportLogsServiceRequest.FromString(request.body)
    (record,) = message.resource_logs[0].scope_logs[0].log_records
    assert (record.trace_id.hex(), record.span_id.hex(), record.flags) == (TRACE, SPAN, 2)
    assert (record.severity_text, record.severity_number) == ("ERROR", 17)
    assert record.event_name == names.SETTLED_EVENT
    assert record.body.string_value == "execution e-1 failed"
    assert record.time_unix_nano == record.observed_time_unix_nano == T0
    assert {p.key for p in record.attributes} >= {names.EXECUTION_ID, "tags"}


def test_limits_drop_and_count() -> None:
    attributes = tuple((f"k{n}", "\u00e4" * 10) for n in range(10))
    link = Link(TRACE, PARENT, attributes=(("a", "1"), ("b", "2")))
    encoder = OtlpEncoder(OWN, SpanLimits(4, 3, 2, 1), LogLimits(2, 5))
    found = decoded(span(attributes=attributes, links=(link,) * 5), encoder=encoder)
    assert (len(found.attributes), found.dropped_attributes_count) == (4, 6)
    assert found.attributes[0].value.string_value == "\u00e4" * 3
    assert (len(found.links), found.dropped_links_count) == (2, 3)
    assert (len(found.links[0].attributes), found.links[0].dropped_attributes_count) == (1, 1)
    (request,) = encoded([log(attributes)], encoder=encoder)
    record = ExportLogsServiceRequest.FromString(request.body).resource_logs[0].scope_logs[0].log_records[0]
    assert (len(record.attributes), record.dropped_attributes_count) == (2, 8)


def test_what_protobuf_cannot_hold_is_made_to_fit() -> None:
    attributes = (("surrogate", "a\ud800b"), ("big", 2**70), ("", "no key"), ("twice", 1), ("twice", 2))
    found = decoded(span(name="x\udfff", attributes=attributes, error_type="e"))
    assert found.name == "x\ufffd"
    assert attributes_of(found) == {"surrogate": "a\ufffdb", "big": str(2**70), "twice": 2}
    assert found.status.code == Status.STATUS_CODE_ERROR


def test_the_end_is_never_before_the_start() -> None:
    for end in (T0 - 1, 0, None, -(2**80)):
        found = decoded(span(end_at=end))
        assert found.end_time_unix_nano == found.start_time_unix_nano == T0


def test_a_span_that_cannot_be_encoded_goes_out_minimal_and_is_counted() -> None:
    encoder = OtlpEncoder(OWN)
    huge = (("sidecar.execution.id", "e-1"), ("x", "y" * 2_000_000))
    found = decoded(span(attributes=huge, error_type="boom"), encoder=encoder)
    assert attributes_of(found) == {"sidecar.execution.id": "e-1", names.FINALIZATION_MINIMAL: True}
    assert (found.trace_id.hex(), found.span_id.hex(), found.dropped_attributes_count) == (TRACE, SPAN, 1)
    assert found.status.code == Status.STATUS_CODE_ERROR
    assert encoder.reduced == 1
    (request,) = encoded([log(huge)], encoder=encoder)
    assert (request.signal, request.count, encoder.reduced) == (LOGS, 1, 2)


def test_more_workers_than_are_kept_still_get_their_own_resource() -> None:
    workers = {f"w{n}": Resource(f"w{n}", (("service.name", f"s{n}"),), "") for n in range(400)}
    encoder = OtlpEncoder(OWN)
    for worker in (*workers, "w0"):
        (request,) = encoder.encode([span(resource_id=worker)], workers)
        message = ExportTraceServiceRequest.FromString(request.body)
        name = message.resource_spans[0].resource.attributes[0].value.string_value
        assert name == f"s{worker[1:]}"
