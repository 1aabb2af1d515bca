"""What is left in a spool reaches a real sidecar once, with its true times, on both stores; EXT-6, SCH-5."""

import json
import shutil
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from sidecar.client import State, SyncClient
from sidecar.client.channel import Connection
from sidecar.client.flushing import Flush, Flushed
from sidecar.client.spool import Bounds, Spool
from sidecar.client.spooled import Spooled, now
from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.client.spooling import SUCCESS, spooled
from tests.conftest import StartSidecar
from tests.processes import SidecarProcess
from tests.wire import Wire, reason_of

pytestmark = pytest.mark.conformance

FAILED = work.Settlement(failed=work.Failed(final=True))
FAILED.failed.error.type = "exit_code"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def connection(sidecar: SidecarProcess) -> Iterator[Connection]:
    opened = Connection(sidecar.target)
    yield opened
    opened.io.block(opened.close())


def leave(spool: Spool, *told: Spooled) -> list[Path]:
    paths = []
    for each in told:
        kept = spool.add(each)
        kept.release()
        paths.append(kept.path)
    return paths


def flush(spool: Spool, connection: Connection, *, everyones: bool = False) -> Flushed:
    return Flush(spool, connection, everyones=everyones).run(30)


def outside(
    wire: Wire,
    execution_id: str = "",
    *,
    ago: timedelta = timedelta(minutes=10),
    settlement: work.Settlement | None = SUCCESS,
) -> Spooled:
    return spooled(wire.target, execution_id, namespace=wire.namespace, ago=ago, settlement=settlement)


def test_a_run_that_nobody_saw_is_recorded_with_its_outcome_and_true_start(
    wire: Wire, connection: Connection, spool: Spool
) -> None:
    """SCH-5."""
    told = outside(wire, "e1", ago=timedelta(minutes=10), settlement=FAILED)
    leave(spool, told)
    assert flush(spool, connection).delivered == ["e1"]
    record = wire.get("e1")
    assert (record.state, record.error.type) == (pb.EXECUTION_STATE_FAILED, "exit_code")
    assert record.trace_id == "ab" * 16
    for recorded, true in ((record.accepted_at, told.registered_at), (record.started_at, told.begun_at)):
        assert abs(recorded.ToDatetime(tzinfo=true.tzinfo) - true) < timedelta(seconds=5)
    assert spool.look() == []


def test_telling_the_same_again_changes_nothing(
    wire: Wire, connection: Connection, spool: Spool, tmp_path: Path
) -> None:
    """A crash after the sidecar took it and before the file was removed."""
    (path,) = leave(spool, outside(wire, "e1"))
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    flush(spool, connection)
    before = wire.get("e1")
    shutil.copy(copy, path)
    assert flush(spool, connection).delivered == ["e1"]
    assert wire.get("e1") == before


def test_two_flushes_at_once_tell_each_once(wire: Wire, connection: Connection, spool: Spool) -> None:
    ids = [f"e{n}" for n in range(30)]
    leave(spool, *(outside(wire, each) for each in ids))
    barrier = threading.Barrier(3)

    def one() -> list[str]:
        barrier.wait()
        return flush(Spool(spool.folder), connection).delivered

    with ThreadPoolExecutor(3) as pool:
        shares = [future.result() for future in [pool.submit(one) for _ in range(3)]]
    assert sorted(each for share in shares for each in share) == sorted(ids)
    assert spool.look() == []
    assert {wire.get(each).state for each in ids} == {pb.EXECUTION_STATE_SUCCEEDED}


def test_what_was_begun_by_a_process_that_died_is_begun(
    wire: Wire, connection: Connection, spool: Spool
) -> None:
    """Its lease runs out, and it failed as any other whose process is gone."""
    told = outside(wire, "e1", settlement=None)
    leave(spool, told)
    assert flush(spool, connection).delivered == ["e1"]
    record = wire.get("e1")
    assert (record.state, record.worker_id) == (pb.EXECUTION_STATE_RUNNING, told.begin.worker_id)


def begun(wire: Wire, told: Spooled) -> work.Lease:
    wire.executions.EnqueueExecution(told.register)
    return wire.workers.Begin(told.begin).lease


def test_a_settlement_with_its_lease_needs_nothing_else(
    wire: Wire, connection: Connection, spool: Spool
) -> None:
    told = outside(wire, "e1", settlement=None)
    lease = begun(wire, told)
    leave(spool, told.ended(work.Settlement(lease=lease.lease, succeeded=SUCCESS.succeeded), now()))
    flush(spool, connection)
    record = wire.get("e1")
    assert (record.state, record.attempts) == (pb.EXECUTION_STATE_SUCCEEDED, 1)


def test_a_settlement_whose_lease_was_lost_begins_again(
    wire: Wire, connection: Connection, spool: Spool
) -> None:
    told = outside(wire, "e1", settlement=None)
    told.register.item.retry.max_attempts = 2
    told.register.item.retry.initial_interval.FromMilliseconds(1)
    lost = begun(wire, told)
    given_up = work.Settlement(lease=lost.lease, failed=work.Failed())
    given_up.failed.error.type = "lost"
    wire.workers.Settle(work.SettleRequest(settlement=given_up))
    leave(spool, told.ended(work.Settlement(lease=lost.lease, succeeded=SUCCESS.succeeded), now()))
    assert flush(spool, connection).delivered == ["e1"]
    record = wire.get("e1")
    assert (record.state, record.attempts) == (pb.EXECUTION_STATE_SUCCEEDED, 2)


def test_a_settlement_that_the_sidecar_knows_nothing_of_is_registered_anew(
    wire: Wire, connection: Connection, spool: Spool
) -> None:
    told = outside(wire, "e1", settlement=None)
    lease = work.LeaseRef(namespace=wire.namespace, execution_id="e1", token=b"x" * 16, fence=1)
    leave(spool, told.ended(work.Settlement(lease=lease, succeeded=SUCCESS.succeeded), now()))
    flush(spool, connection)
    assert wire.get("e1").state == pb.EXECUTION_STATE_SUCCEEDED


def test_what_was_settled_meanwhile_counts_as_told(wire: Wire, connection: Connection, spool: Spool) -> None:
    told = outside(wire, "e1")
    wire.executions.EnqueueExecution(told.register)
    wire.cancel("e1")
    leave(spool, told)
    assert flush(spool, connection).delivered == ["e1"]
    assert wire.get("e1").state == pb.EXECUTION_STATE_CANCELLED


def test_what_another_holds_is_left_for_later(wire: Wire, connection: Connection, spool: Spool) -> None:
    """EXT-2."""
    told = outside(wire, "e1")
    begun(wire, outside(wire, "e1"))
    (path,) = leave(spool, told)
    flushed = flush(spool, connection)
    assert [left for left, _ in flushed.left] == [path]
    assert "lease" in flushed.left[0][1]
    assert wire.get("e1").state == pb.EXECUTION_STATE_RUNNING


@pytest.mark.parametrize("ended", [False, True])
def test_a_run_whose_occurrence_another_took_has_a_record_of_its_own(
    wire: Wire, connection: Connection, spool: Spool, ended: bool
) -> None:
    """SCH-1: the file named the occurrence, and somebody else was first."""
    lease = begun(wire, outside(wire, "taken", settlement=None))
    if ended:
        settlement = work.Settlement(lease=lease.lease, succeeded=work.Succeeded())
        wire.workers.Settle(work.SettleRequest(settlement=settlement))
    before = wire.get("taken")
    leave(spool, outside(wire, "own", settlement=FAILED).beginning("taken"))
    assert flush(spool, connection).delivered == ["own"]
    assert wire.get("taken") == before
    assert wire.get("own").error.type == "exit_code"


def test_what_the_sidecar_refuses_is_set_aside_and_named(
    wire: Wire, connection: Connection, spool: Spool
) -> None:
    wire.enqueue(execution_id="e1", payload=b"other work")
    bad, good = leave(spool, outside(wire, "e1"), outside(wire, "e2"))
    flushed = flush(spool, connection)
    assert flushed.delivered == ["e2"]
    ((aside, reason),) = flushed.set_aside
    assert (aside.name, "other work" in reason) == (f"{bad.name}.bad", True)
    assert flush(spool, connection) == Flushed()
    assert not good.exists()


def test_files_that_cannot_be_told_are_set_aside_or_left_and_the_rest_is_told(
    wire: Wire, connection: Connection, spool: Spool
) -> None:
    torn, newer, old, elsewhere, good = leave(
        spool,
        outside(wire),
        outside(wire),
        outside(wire, ago=timedelta(days=31)),
        spooled("sidecar.example:50551", "far", namespace=wire.namespace),
        outside(wire, "e1"),
    )
    torn.write_bytes(torn.read_bytes()[:100])
    newer.write_text(json.dumps({**json.loads(newer.read_bytes()), "version": 2}))
    flushed = flush(spool, connection)
    assert flushed.delivered == ["e1"]
    assert {path.name for path, _ in flushed.set_aside} == {f"{path.name}.bad" for path in (torn, old)}
    assert {path for path, _ in flushed.left} == {newer, elsewhere}
    assert "it is for the sidecar at sidecar.example:50551" in dict(flushed.left)[elsewhere]
    assert not good.exists()
    assert flush(spool, connection, everyones=True).delivered == ["far"]


def test_a_pass_ends_with_its_time(wire: Wire, connection: Connection, spool: Spool) -> None:
    paths = leave(spool, outside(wire), outside(wire))
    none = Flush(spool, connection).run(0)
    stopped = Flush(spool, connection)
    stopped.stop()
    assert [path for path, _ in none.left] == [path for path, _ in stopped.run(30).left] == paths


def test_a_full_spool_has_room_again_once_it_is_told(
    wire: Wire, connection: Connection, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", Bounds(files=1))
    leave(spool, outside(wire))
    flush(spool, connection)
    leave(spool, outside(wire))


def test_while_the_sidecar_is_away_all_is_left(start_sidecar: StartSidecar, spool: Spool) -> None:
    """EXT-6: nothing is lost, and one try is enough to know."""
    away = start_sidecar()
    connection = Connection(away.target)
    leave(spool, spooled(away.target, "e1"), spooled(away.target, "e2"))
    flushed = Flush(spool, connection, patience=0.5).run(30)
    assert flushed.stopped_by is not None
    assert len(flushed.left) == len(spool.waiting()) == 2
    with away, SyncClient(away.target) as client:
        assert set(flush(spool, connection).delivered) == {"e1", "e2"}
        assert client.get("e1").state is State.SUCCEEDED
    connection.io.block(connection.close())


def test_a_sidecar_that_dies_amid_a_flush_is_told_once_it_is_back(
    start_sidecar: StartSidecar, spool: Spool
) -> None:
    """Invariant 3: killed right after the begin's commit, before anybody heard of it."""
    with start_sidecar().armed("claim.after_commit=kill") as sidecar:
        connection = Connection(sidecar.target)
        wire = Wire(sidecar.target, "default")
        told = spooled(sidecar.target, str(uuid.uuid4()))
        leave(spool, told)
        assert Flush(spool, connection, patience=2).run(30).stopped_by is not None
        sidecar.await_death()
        sidecar.armed("").start()
        assert wire.get(told.execution_id).state == pb.EXECUTION_STATE_RUNNING
        assert flush(spool, connection).delivered == [told.execution_id]
        record = wire.get(told.execution_id)
        assert (record.state, record.attempts) == (pb.EXECUTION_STATE_SUCCEEDED, 1)
        with pytest.raises(grpc.RpcError) as ended:
            wire.workers.Begin(told.begin)
        assert reason_of(ended.value) == "ALREADY_FINALIZED"
        wire.close()
        connection.io.block(connection.close())
