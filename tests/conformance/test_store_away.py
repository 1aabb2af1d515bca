"""The store away while work goes on: nobody is told OK, nothing is half done, and it comes back by itself.

FIN-5 and invariant 3.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from sqlalchemy import create_engine

from sidecar.v1 import execution_pb2 as pb
from sidecar.v1 import worker_service_pb2 as work
from tests.processes import SidecarProcess
from tests.services.loopback import await_condition
from tests.services.postgres import Postgres
from tests.wire import PATIENCE, Wire, detail, reason_of, settlement


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the SQLite file as another program would."""
    other = sqlite3.connect(path, isolation_level=None, timeout=30)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def down(postgres: Postgres) -> Iterator[None]:
    """Have the whole PostgreSQL gone."""
    postgres.kill()
    try:
        yield
    finally:
        postgres.start()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_settlement_is_unavailable_and_then_the_same_one_counts(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if kind == "postgres" else None
    store = postgres.create_database() if postgres else None
    with SidecarProcess(tmp_path, store, SIDECAR_STORE_PATIENCE="500ms") as house:
        wire = Wire(house.target, "default")
        worker = wire.worker(credits=2)
        worker.connect()
        wire.enqueue(execution_id="e1")
        lease = worker.lease()
        with down(postgres) if postgres else locked(tmp_path / "sidecar.db"):
            for call in (lambda: settle(wire, lease), lambda: wire.enqueue(execution_id="e2")):
                with pytest.raises(grpc.RpcError) as refused:
                    call()
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
                assert reason_of(refused.value) == "STORE_UNAVAILABLE"
                assert detail(refused.value, error_details_pb2.RetryInfo).retry_delay.seconds == 1
            await_condition(lambda: not house.healthy(), "health says so", PATIENCE)
        await_condition(house.healthy, "health is back", PATIENCE)
        assert settle(wire, lease).execution.state == pb.EXECUTION_STATE_SUCCEEDED
        assert wire.get("e1").attempts == 1
        answer = wire.enqueue(execution_id="e2")
        assert not answer.existing
        worker.settle(worker.lease(2))
        worker.disconnect()


def settle(wire: Wire, lease: work.Lease) -> work.SettleResponse:
    request = work.SettleRequest(settlement=settlement(lease.lease))
    return wire.workers.Settle(request, timeout=PATIENCE)


def test_every_agent_outlives_a_store_that_only_reads(postgres: Postgres, tmp_path: Path) -> None:
    """A failover leaves a server read-only for a while; afterwards deadlines pass again by themselves."""
    store = postgres.create_database()
    with SidecarProcess(tmp_path, store, SIDECAR_STORE_PATIENCE="500ms") as house:
        wire = Wire(house.target, "default")
        limit = pb.Deadlines(in_queue=Duration(seconds=1))
        with read_only(store):
            with pytest.raises(grpc.RpcError) as refused:
                wire.enqueue(execution_id="e1")
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        await_condition(house.healthy, "health is back", PATIENCE)
        wire.enqueue(execution_id="e1", deadlines=limit)
        assert wire.wait("e1").error.type == "expired_in_queue"


@contextmanager
def read_only(store: str) -> Iterator[None]:
    """Have the database refuse every write, on new connections too."""
    engine = create_engine(store, isolation_level="AUTOCOMMIT")
    name = engine.url.database
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"

    def switch(to: str) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {to}')
            connection.exec_driver_sql(f"{others} AND datname = '{name}'")

    switch("on")
    try:
        yield
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            connection.exec_driver_sql(f"{others} AND datname = '{name}'")
        engine.dispose()
