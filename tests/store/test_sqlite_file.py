"""SQLite: one sidecar a file, one writer, IMMEDIATE transactions, and no file that is not sound."""

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from sidecar.store.engine import UnusableStoreError
from tests.store.workbench import Desk, success

OpenDesk = Callable[..., Desk]


@pytest.fixture
def desk(new_sqlite: Callable[[], str], open_desk: OpenDesk) -> Desk:
    return open_desk(new_sqlite())


def path_of(desk: Desk) -> Path:
    return Path(desk.url.removeprefix("sqlite:///"))


def test_a_second_sidecar_on_the_file_is_told_so(desk: Desk) -> None:
    with pytest.raises(UnusableStoreError, match="in use by another sidecar"):
        Desk(desk.url)
    desk.close()
    Desk(desk.url).start().close()


def test_only_the_owner_can_read_it(tmp_path: Path, open_desk: OpenDesk) -> None:
    open_desk(f"sqlite:///{tmp_path / 'new.db'}")
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600


def test_every_write_begins_immediately_and_is_synced_in_full(desk: Desk) -> None:
    statements: list[str] = []
    with desk.store.dialect.writer.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
        found = {p: connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in pragmas}
    driver.set_trace_callback(statements.append)
    desk.do(success(desk.run_one()))
    desk.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "wal_autocheckpoint": 1000}
    assert {s for s in statements if s.startswith("BEGIN")} == {"BEGIN IMMEDIATE"}
    assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") == 3


def test_readers_cannot_write_and_do_not_checkpoint(desk: Desk) -> None:
    with desk.store.dialect.readers.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == 0
        with pytest.raises(OperationalError, match="readonly"):
            connection.exec_driver_sql("DELETE FROM executions")


def test_the_writer_closes_last_and_leaves_one_whole_file(desk: Desk) -> None:
    desk.run_one()
    desk.close()
    assert not path_of(desk).with_name("store.db-wal").exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"not a database, but long enough to tell" * 99, "cannot be opened")],
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "strange.db"
    path.write_bytes(content)
    with pytest.raises(UnusableStoreError, match=complaint):
        Desk(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_damaged_file_that_was_left_in_the_middle_is_refused(desk: Desk) -> None:
    path = path_of(desk)
    for _ in range(50):
        desk.run_one()
    desk.close()
    content = bytearray(path.read_bytes())
    content[8192 : len(content) // 2] = b"\x55" * (len(content) // 2 - 8192)
    path.write_bytes(content)
    path.with_name("store.db-wal").write_bytes(b"left behind")
    with pytest.raises(UnusableStoreError, match=r"damaged|cannot be opened"):
        Desk(desk.url)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableStoreError, match="nowhere"):
        Desk(f"sqlite:///{tmp_path / 'nowhere' / 'store.db'}")


@pytest.mark.parametrize("url", ["sqlite://", "mysql://host/db", "nonsense"])
def test_a_url_of_no_known_store_is_refused_with_what_there_is(url: str) -> None:
    with pytest.raises(UnusableStoreError):
        Desk(url)


def test_the_lease_clock_does_not_follow_the_wall(desk: Desk) -> None:
    before = desk.ask(desk.store.reader.lease_now())
    desk.clock.wall = 0
    assert desk.ask(desk.store.reader.lease_now()) >= before
    desk.clock.offset += 100
    assert desk.ask(desk.store.reader.lease_now()) >= before + 100 * 10**9
