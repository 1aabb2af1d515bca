"""The sink tells the truth about what it was sent, and answers as it is told to."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.services import absent, otlp
from tests.services.answers import DETAILS, Answer, Code, Hang, Ok, Partial, Reset, Slow
from tests.services.loopback import NotInTimeError
from tests.services.received import Request
from tests.services.sink import Sink


def one(name: str = "one") -> tuple[Span, bytes]:
    span = otlp.make_span(name, {"sidecar.execution.id": name})
    return span, otlp.request_of([span])


def refusal(sink: Sink, timeout: float = 10.0) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as raised:
        otlp.send(sink.endpoint, one()[1], timeout=timeout)
    code: grpc.StatusCode = raised.value.code()
    return code


def test_every_copy_is_kept_byte_for_byte(sink: Sink) -> None:
    span, request = one()
    otlp.send(sink.endpoint, request)
    otlp.send(sink.endpoint, request)
    otlp.send(sink.endpoint, request + one("another")[1])

    assert len(sink.wait_for(spans=2)) == 4
    copies = sink.by_span_id()[span.span_id.hex()]
    assert [copy.raw for copy in copies] == [span.SerializeToString()] * 3
    assert copies[0].attributes == {"sidecar.execution.id": "one"}
    assert copies[0].resource_attributes == {"service.name": "sidecar"}
    assert [taken.payload for taken in sink.taken[:2]] == [request, request]


def test_unknown_fields_survive_in_the_bytes(sink: Sink) -> None:
    later_version = Span(name="later").SerializeToString() + b"\xf8\x3f\x07"
    scope = b"\x12" + bytes([len(later_version)]) + later_version
    resource = b"\x12" + bytes([len(scope)]) + scope
    otlp.send(sink.endpoint, b"\x0a" + bytes([len(resource)]) + resource)
    [copy] = sink.wait_for(spans=1)
    assert copy.raw == later_version
    assert copy.span.name == "later"


def test_partial_success_is_told_with_its_count(sink: Sink) -> None:
    sink.answer_next(Partial(2, "too old"))
    told = otlp.send(sink.endpoint, one()[1]).partial_success
    assert (told.rejected_spans, told.error_message) == (2, "too old")
    assert otlp.send(sink.endpoint, one()[1]).partial_success.rejected_spans == 0


def test_a_code_may_carry_a_time_to_retry_after(sink: Sink) -> None:
    sink.answer(Code(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", retry_after=1.5))
    with pytest.raises(grpc.RpcError) as raised:
        otlp.send(sink.endpoint, one()[1])
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    [packed] = [entry.value for entry in raised.value.trailing_metadata() if entry.key == DETAILS]
    [detail] = Status.FromString(packed).details
    assert retry_after(detail) == 1.5
    assert sink.copies == []


def retry_after(detail: Any) -> float:
    info = RetryInfo()
    assert detail.Unpack(info)
    seconds: float = info.retry_delay.ToTimedelta().total_seconds()
    return seconds


@pytest.mark.parametrize("answer", [Hang(), Slow(30)])
def test_a_caller_gives_up_on_a_silent_sink(sink: Sink, answer: Answer) -> None:
    sink.answer(answer)
    assert refusal(sink, timeout=0.3) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(sink.requests) == 1
    assert len(sink.copies) == (1 if isinstance(answer, Slow) else 0)


def test_a_new_answer_lets_hanging_calls_go(sink: Sink) -> None:
    sink.answer(Hang())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(refusal, sink)
        sink.wait_for_requests(1)
        sink.answer(Ok())
        assert waiting.result(5) is grpc.StatusCode.UNAVAILABLE


def test_after_a_reset_the_sink_has_what_the_sender_must_send_again(sink: Sink) -> None:
    sink.answer_next(Reset())
    assert refusal(sink) is grpc.StatusCode.UNAVAILABLE
    assert len(sink.copies) == 1


def test_a_poisoned_request_is_refused_by_what_is_in_it(sink: Sink) -> None:
    def no_poison(request: Request) -> Answer:
        poisoned = any(copy.span.name == "poison" for copy in request.spans)
        return Code(grpc.StatusCode.INVALID_ARGUMENT) if poisoned else Ok()

    sink.answer(no_poison)
    otlp.send(sink.endpoint, one("good")[1])
    with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
        otlp.send(sink.endpoint, one("poison")[1])
    assert [copy.span.name for copy in sink.copies] == ["good"]


def test_a_stopped_sink_comes_back_on_the_same_port(sink: Sink) -> None:
    where = sink.endpoint
    with grpc.insecure_channel(where) as channel:
        export = otlp.exporter(channel)
        export(one("before")[1], timeout=5)
        sink.stop()
        with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            export(one("meanwhile")[1], timeout=5)
        sink.start()
        export(one("after")[1], timeout=20, wait_for_ready=True)
    assert sink.endpoint == where
    assert [copy.span.name for copy in sink.copies] == ["before", "after"]


def test_waiting_in_vain_says_what_is_missing(sink: Sink) -> None:
    with pytest.raises(NotInTimeError, match=r"3 spans; the sink has 0 requests, 0 spans taken"):
        sink.wait_for(spans=3, timeout=0.05)


def test_a_missing_part_is_a_skip_but_a_failure_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Go toolchain"):
        absent.absent("no Go toolchain")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no Go toolchain"):
        absent.absent("no Go toolchain")
