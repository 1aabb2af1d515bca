"""The collector away for the whole run, then there: every span arrives, byte-identical if twice.

Invariant 10.
"""

import signal

import pytest

from sidecar.v1 import admin_service_pb2 as admin
from tests.conftest import StartSidecar
from tests.services.loopback import await_condition
from tests.services.sink import Sink
from tests.wire import PATIENCE, Wire

pytestmark = pytest.mark.e2e
RUNS = 50


def account(wire: Wire) -> admin.Account:
    answer = wire.admin.Verify(admin.VerifyRequest(), timeout=PATIENCE)
    assert not answer.violations
    return answer.account


def run_work(wire: Wire) -> None:
    with wire.worker(credits=RUNS) as worker:
        for n in range(RUNS):
            wire.enqueue(execution_id=f"e{n}")
        worker.lease(RUNS)
        for lease in list(worker.heard.leases):
            worker.settle(lease)


def test_what_waited_for_the_collector_arrives_when_it_comes(start_sidecar: StartSidecar, sink: Sink) -> None:
    sink.stop()
    house = start_sidecar(OTEL_EXPORTER_OTLP_ENDPOINT=sink.url)
    house.start()
    wire = Wire(house.target, "default")
    run_work(wire)
    house.kill()
    house.start()
    assert account(wire).pending == RUNS
    sink.start()
    sink.wait_for(spans=3 * RUNS, timeout=60)
    await_condition(lambda: account(wire).delivered == RUNS, "every terminal span is a receipt", 30)
    copies = sink.by_span_id()
    assert len(copies) == 3 * RUNS
    assert all(len({copy.raw for copy in each}) == 1 for each in copies.values())


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["outbox.before_send", "outbox.after_ok"])
def test_a_kill_around_the_send_loses_nothing_and_alters_nothing(
    start_sidecar: StartSidecar, sink: Sink, point: str
) -> None:
    house = start_sidecar(OTEL_EXPORTER_OTLP_ENDPOINT=sink.url, SIDECAR_RELAY_LEASE="1s")
    sink.stop()
    house.start()
    wire = Wire(house.target, "default")
    run_work(wire)
    house.stop()
    sink.start()
    house.armed(f"{point}=kill").launch()
    assert house.await_death() == -signal.SIGKILL
    house.armed("").start()
    await_condition(lambda: account(wire).delivered == RUNS, "every terminal span is a receipt", 60)
    copies = sink.by_span_id()
    assert len(copies) == 3 * RUNS
    assert all(len({copy.raw for copy in each}) == 1 for each in copies.values())
    assert all(len({copy.resource_raw for copy in each}) == 1 for each in copies.values())
    twice = [each for each in copies.values() if len(each) > 1]
    assert bool(twice) == (point == "outbox.after_ok")
