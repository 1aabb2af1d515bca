"""The relay against a real store and a real collector's stand-in: every row of the table of answers.

Invariant 10: a span leaves the outbox only into a receipt. Invariant 6: export changes no outcome.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import structlog

from sidecar import failpoints
from sidecar.core.parcels import ClaimParcels
from sidecar.telemetry.destination import Destination
from sidecar.telemetry.environment import TelemetrySettingError
from sidecar.telemetry.otlp_client import OtlpClient
from sidecar.telemetry.relay_status import Pace, RelayState
from sidecar.telemetry.stranded import warn_of_stranded
from tests.services.answers import Answer, Code, Hang, Ok, Partial, Reset
from tests.services.received import Request
from tests.services.sink import Sink
from tests.telemetry.post_office import QUICK, SOON, STILL, PostOffice, at_work, post_office

STATUS = grpc.StatusCode


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.disarm()


def refusing(mark: str, code: grpc.StatusCode = STATUS.INVALID_ARGUMENT) -> Callable[[Request], Answer]:
    """An answer that refuses every request with a marked span in it."""

    def decide(request: Request) -> Answer:
        return Code(code, "bad span") if mark.encode() in request.payload else Ok()

    return decide


def test_rows_are_delivered_as_they_are_and_become_receipts(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        executions = await office.put(3)
        stored = await office.store.ledger.submit(ClaimParcels("peek", "traces", timedelta(0)))
        office.open_relay()
        await office.until_exported(delivered=3)
        assert await office.states(executions) == ["delivered"] * 3
        assert b"".join(r.payload for r in sink.taken) == b"".join(p.body for p in stored)

    at_work(tmp_path, sink, scenario)
    assert {copy.span_id for copy in sink.copies} == set(sink.by_span_id())
    assert all(len(copies) == 1 for copies in sink.by_span_id().values())


def test_a_commit_wakes_an_idle_relay(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        office.open_relay(pace=Pace(sweep=timedelta(hours=1)))
        await office.put(1)
        await office.until_exported(delivered=1)
        await office.until(RelayState.IDLE)
        await office.put(2)
        await office.until_exported(delivered=3)

    at_work(tmp_path, sink, scenario)


def test_a_backlog_goes_out_in_requests_of_at_most_512_spans(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        await office.put(1_500, together=True)
        office.open_relay()
        await office.until_exported(delivered=1_500)

    at_work(tmp_path, sink, scenario)
    assert len(sink.by_span_id()) == 1_500
    assert all(len(request.spans) <= 512 for request in sink.taken)
    assert len(sink.taken) < 15


def test_logs_have_a_relay_of_their_own(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        execution = await office.settle_unsampled()
        office.open_relay("traces")
        office.open_relay("logs")
        await office.until_exported(delivered=1)
        (record,) = sink.logs()
        assert record.trace_id.hex() == execution.anchor.trace_id
        assert record.event_name == "sidecar.execution.settled"

    at_work(tmp_path, sink, scenario)
    assert sink.copies == []


@pytest.mark.parametrize(
    "answer",
    [
        Code(STATUS.UNAVAILABLE, "restarting"),
        Code(STATUS.DEADLINE_EXCEEDED, "slow backend"),
        Code(STATUS.ABORTED),
        Code(STATUS.CANCELLED),
        Code(STATUS.OUT_OF_RANGE),
        Code(STATUS.DATA_LOSS),
        Code(STATUS.RESOURCE_EXHAUSTED, "slow down", retry_after=0.02),
        Reset(),
    ],
    ids=lambda a: a.status.name if isinstance(a, Code) else "reset",
)
def test_what_may_pass_is_tried_again_until_it_does(tmp_path: Path, sink: Sink, answer: Answer) -> None:
    sink.answer_next(*[answer] * 4)

    async def scenario(office: PostOffice) -> None:
        executions = await office.put(2)
        office.open_relay()
        await office.until_exported(delivered=2)
        assert await office.states(executions) == ["delivered"] * 2
        assert any(status.state is RelayState.BACKING_OFF for status in office.history)

    at_work(tmp_path, sink, scenario)
    assert len({request.payload for request in sink.requests}) == 1
    assert len(sink.requests) == 5


def test_retry_info_is_waited_for(tmp_path: Path, sink: Sink) -> None:
    sink.answer_next(Code(STATUS.UNAVAILABLE, "come back", retry_after=0.4))

    async def scenario(office: PostOffice) -> None:
        await office.put(1)
        office.open_relay()
        await office.until_exported(delivered=1)

    at_work(tmp_path, sink, scenario)
    first, second = sink.requests
    assert second.received_at - first.received_at >= 0.4


def test_a_collector_that_hangs_costs_one_timeout(tmp_path: Path, sink: Sink) -> None:
    sink.answer_next(Hang())

    async def scenario(office: PostOffice) -> None:
        executions = await office.put(1)
        office.open_relay(timeout=timedelta(milliseconds=200))
        assert "DEADLINE_EXCEEDED" in await office.until(RelayState.BACKING_OFF)
        await office.until_exported(delivered=1)
        assert await office.states(executions) == ["delivered"]

    at_work(tmp_path, sink, scenario)


def test_nothing_is_lost_while_nobody_listens(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        await asyncio.to_thread(sink.stop)
        executions = await office.put(3)
        relay = office.open_relay()
        await office.until(RelayState.BACKING_OFF)
        executions += await office.put(3)
        assert await office.states(executions) == ["pending"] * 6
        assert not relay.status.is_well
        await asyncio.to_thread(sink.start)
        await office.until_exported(delivered=6)
        assert await office.states(executions) == ["delivered"] * 6

    at_work(tmp_path, sink, scenario)
    assert len(sink.by_span_id()) == 6


def test_a_partial_success_is_stamped_rejected_and_never_sent_again(tmp_path: Path, sink: Sink) -> None:
    sink.answer_next(Partial(1, "too old"))

    async def scenario(office: PostOffice) -> None:
        executions = await office.put(3)
        office.open_relay()
        await office.until_exported(delivered=2, rejected=1)
        assert await office.states(executions) == ["rejected"] * 3
        await office.put(1)
        await office.until_exported(delivered=3, rejected=1)

    at_work(tmp_path, sink, scenario)
    assert all(len(copies) == 1 for copies in sink.by_span_id().values())


def test_a_message_without_rejections_is_a_delivery_and_is_logged_once(tmp_path: Path, sink: Sink) -> None:
    sink.answer(Partial(0, "deprecated attribute"))

    async def scenario(office: PostOffice) -> None:
        office.open_relay()
        for number in range(1, 4):
            await office.put(1)
            await office.until_exported(delivered=number)

    with structlog.testing.capture_logs() as lines:
        at_work(tmp_path, sink, scenario)
    said = [line["message"] for line in lines if line["event"] == "relay.collector_says"]
    assert said == ["deprecated attribute"]


@pytest.mark.parametrize(
    "code",
    [STATUS.INVALID_ARGUMENT, STATUS.INTERNAL, STATUS.UNKNOWN, STATUS.RESOURCE_EXHAUSTED],
    ids=lambda c: c.name,
)
def test_a_poison_row_alone_is_dead_lettered(tmp_path: Path, sink: Sink, code: grpc.StatusCode) -> None:
    sink.answer(refusing("poison", code))

    async def scenario(office: PostOffice) -> None:
        good = await office.put(5)
        bad = await office.put(1, mark="poison")
        good += await office.put(10)
        office.open_relay()
        await office.until_exported(delivered=15, dead_lettered=1)
        assert await office.states(good) == ["delivered"] * 15
        assert await office.states(bad) == ["dead_lettered"]

    at_work(tmp_path, sink, scenario)
    assert len(sink.by_span_id()) == 15


def test_poison_at_the_head_waits_for_the_first_success(tmp_path: Path, sink: Sink) -> None:
    sink.answer(refusing("poison"))

    async def scenario(office: PostOffice) -> None:
        bad = await office.put(1, mark="poison")
        office.open_relay(pace=STILL)
        assert "bad span" in await office.until(RelayState.PAUSED)
        assert await office.states(bad) == ["pending"]
        await office.put(2)
        office.relays[0].probe()
        await office.until_exported(delivered=2, dead_lettered=1)
        assert await office.states(bad) == ["dead_lettered"]

    at_work(tmp_path, sink, scenario)


def test_a_collector_that_never_took_anything_loses_no_row(tmp_path: Path, sink: Sink) -> None:
    sink.answer(Code(STATUS.INVALID_ARGUMENT, "wrong port"))

    async def scenario(office: PostOffice) -> None:
        executions = await office.put(8)
        office.open_relay()
        await office.until(RelayState.PAUSED)
        assert await office.states(executions) == ["pending"] * 8
        sink.answer(Ok())
        await office.until_exported(delivered=8)

    at_work(tmp_path, sink, scenario)


def test_three_singles_in_a_row_pause_and_the_rest_is_kept(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        relay = office.open_relay(pace=STILL)
        await office.put(1)
        await office.until_exported(delivered=1)
        sink.answer(Code(STATUS.INVALID_ARGUMENT, "no more"))
        executions = await office.put(8)
        await office.until(RelayState.PAUSED)
        assert Counter(await office.states(executions)) == {"dead_lettered": 3, "pending": 5}
        relay.probe()
        assert "nothing was taken yet" in await office.until(RelayState.PAUSED, times=2)
        assert Counter(await office.states(executions)) == {"dead_lettered": 3, "pending": 5}
        sink.answer(Ok())
        relay.probe()
        await office.until_exported(delivered=6, dead_lettered=3)

    at_work(tmp_path, sink, scenario)


@pytest.mark.parametrize("poisoned", [3, 7])
def test_poison_at_the_head_does_not_stop_what_is_behind(tmp_path: Path, sink: Sink, poisoned: int) -> None:
    sink.answer(refusing("poison"))

    async def scenario(office: PostOffice) -> None:
        bad = await office.put(poisoned, mark="poison")
        good = await office.put(37)
        office.open_relay()
        await office.until_exported(delivered=37, dead_lettered=poisoned)
        assert await office.states(good) == ["delivered"] * 37
        assert await office.states(bad) == ["dead_lettered"] * poisoned

    at_work(tmp_path, sink, scenario)
    assert all(len(copies) == 1 for copies in sink.by_span_id().values())


def test_poison_in_a_row_after_a_success_does_not_stop_what_is_behind(tmp_path: Path, sink: Sink) -> None:
    sink.answer(refusing("poison"))

    async def scenario(office: PostOffice) -> None:
        good = await office.put(1)
        office.open_relay()
        await office.until_exported(delivered=1)
        bad = await office.put(10, mark="poison", together=False)
        good += await office.put(37)
        await office.until_exported(delivered=38, dead_lettered=10)
        assert await office.states(good) == ["delivered"] * 38
        assert await office.states(bad) == ["dead_lettered"] * 10

    at_work(tmp_path, sink, scenario)


def test_suspects_are_kept_while_nothing_else_is_taken_and_wait_for_what_is(
    tmp_path: Path, sink: Sink
) -> None:
    sink.answer(refusing("poison"))

    async def scenario(office: PostOffice) -> None:
        bad = await office.put(7, mark="poison")
        office.open_relay()
        await office.until(RelayState.PAUSED)
        for _ in range(5):
            office.relays[0].probe()
            await asyncio.sleep(0.03)
        assert await office.states(bad) == ["pending"] * 7
        await office.put(6)
        await office.until_exported(delivered=6, dead_lettered=7)

    at_work(tmp_path, sink, scenario)


def test_a_claim_full_of_suspects_has_room_for_others(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClaimParcels.__init__, "__defaults__", (4, 3_670_016))
    sink.answer(refusing("poison"))

    async def scenario(office: PostOffice) -> None:
        bad = await office.put(6, mark="poison")
        await office.put(9)
        office.open_relay()
        await office.until_exported(delivered=9, dead_lettered=6)
        assert await office.states(bad) == ["dead_lettered"] * 6

    at_work(tmp_path, sink, scenario)


@pytest.mark.parametrize(
    "code",
    [STATUS.UNAUTHENTICATED, STATUS.PERMISSION_DENIED, STATUS.UNIMPLEMENTED],
    ids=lambda c: c.name,
)
def test_a_fault_of_configuration_pauses_and_keeps_the_rows(
    tmp_path: Path, sink: Sink, code: grpc.StatusCode
) -> None:
    sink.answer(Code(code, "token expired"))

    async def scenario(office: PostOffice) -> None:
        executions = await office.put(2)
        office.open_relay()
        assert f"{code.name}: token expired" in await office.until(RelayState.PAUSED)
        assert await office.states(executions) == ["pending"] * 2
        sink.answer(Ok())
        await office.until_exported(delivered=2)

    with structlog.testing.capture_logs() as lines:
        at_work(tmp_path, sink, scenario)
    paused = [line for line in lines if line["event"] == "relay.paused"]
    assert [line["log_level"] for line in paused] == ["error"]
    assert any(line["event"] == "relay.recovered" for line in lines)


def test_a_tls_failure_pauses(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        executions = await office.put(1)
        office.open_relay(pace=STILL, to=Destination(sink.endpoint, secure=True))
        assert (await office.until(RelayState.PAUSED)).startswith("TLS: ")
        assert await office.states(executions) == ["pending"]

    at_work(tmp_path, sink, scenario)
    assert sink.requests == []


def test_a_certificate_that_cannot_be_read_is_told_at_once() -> None:
    with pytest.raises(TelemetrySettingError, match=r"CERTIFICATE='/no/such.pem' .*No such file"):
        OtlpClient("traces", Destination("localhost:1", secure=True, certificate="/no/such.pem"))


def test_headers_and_compression_go_with_each_request(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        await office.put(50, together=True)
        office.open_relay(to=Destination(sink.endpoint, headers=(("api-key", "k"),), gzip=True))
        await office.until_exported(delivered=50)

    at_work(tmp_path, sink, scenario)
    (request, *_) = sink.taken
    assert request.metadata["api-key"] == "k"
    assert str(request.metadata["user-agent"]).startswith("execution-sidecar/")
    assert len(sink.by_span_id()) == 50


def test_closing_flushes_what_is_pending(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        relay = office.open_relay(pace=Pace(linger=timedelta(hours=1)))
        await office.until_exported()
        executions = await office.put(700, together=True)
        await relay.close(timedelta(seconds=10))
        assert relay.status.state is RelayState.STOPPED
        assert set(await office.states(executions[::50])) == {"delivered"}

    at_work(tmp_path, sink, scenario)


def test_closing_gives_back_what_is_on_its_way(tmp_path: Path, sink: Sink) -> None:
    sink.answer(Hang())

    async def scenario(office: PostOffice) -> None:
        executions = await office.put(2)
        relay = office.open_relay()
        await asyncio.to_thread(sink.wait_for_requests, 1)
        await relay.close(SOON)
        assert await office.states(executions) == ["pending"] * 2
        taken = await office.store.ledger.submit(ClaimParcels("next", "traces", timedelta(minutes=1)))
        assert sum(parcel.spans for parcel in taken) == 2

    at_work(tmp_path, sink, scenario)


def test_closing_while_nobody_listens_ends_within_its_grace(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        await asyncio.to_thread(sink.stop)
        executions = await office.put(1)
        relay = office.open_relay()
        await office.until(RelayState.BACKING_OFF)
        await asyncio.wait_for(relay.close(timedelta(milliseconds=50)), 5)
        assert await office.states(executions) == ["pending"]

    at_work(tmp_path, sink, scenario)


@pytest.mark.parametrize("point", ["outbox.before_send", "outbox.after_ok"])
def test_an_agent_outlives_an_error_and_repeats_the_same_bytes(
    tmp_path: Path, sink: Sink, point: str
) -> None:
    failpoints.arm(f"{point}=error")

    async def scenario(office: PostOffice) -> None:
        executions = await office.put(2)
        office.open_relay()
        await office.until_exported(delivered=2)
        assert await office.states(executions) == ["delivered"] * 2

    at_work(tmp_path, sink, scenario)
    assert len(sink.requests) == (1 if point == "outbox.before_send" else 2)
    for copies in sink.by_span_id().values():
        assert len({(copy.raw, copy.resource_raw, copy.scope_raw) for copy in copies}) == 1


def test_rows_that_a_dead_relay_had_claimed_are_found_by_the_sweep(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        await office.put(2)
        lease = timedelta(milliseconds=300)
        assert await office.store.ledger.submit(ClaimParcels("dead", "traces", lease))
        office.open_relay(pace=Pace(sweep=timedelta(milliseconds=100)))
        await office.until_exported(delivered=2)

    at_work(tmp_path, sink, scenario)


def test_the_next_start_delivers_what_the_last_one_left(tmp_path: Path, sink: Sink) -> None:
    async def first() -> None:
        async with post_office(tmp_path, sink) as office:
            await office.put(3)

    async def second(office: PostOffice) -> None:
        office.open_relay(pace=QUICK)
        await office.until_exported(delivered=3)

    asyncio.run(first())
    at_work(tmp_path, sink, second)
    assert len(sink.by_span_id()) == 3


def test_rows_without_a_destination_are_told_of(tmp_path: Path, sink: Sink) -> None:
    async def scenario(office: PostOffice) -> None:
        await office.put(2)
        assert await warn_of_stranded(office.store.ledger, ["traces", "logs"]) == ["traces"]
        office.open_relay()
        await office.until_exported(delivered=2)
        assert await warn_of_stranded(office.store.ledger, ["traces", "logs"]) == []

    with structlog.testing.capture_logs() as lines:
        at_work(tmp_path, sink, scenario)
    assert [line["signal"] for line in lines if line["event"] == "relay.no_destination"] == ["traces"]
