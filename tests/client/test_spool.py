"""The spool: nothing half-written, nothing told twice at once, nothing beyond its bounds; EXT-6."""

import json
import os
import stat
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.client.keeping import Keeping
from sidecar.client.kept import DRAFT, SET_ASIDE, hold
from sidecar.client.spool import Bounds, Spool, SpoolError, default_folder
from sidecar.client.spooled import NewerVersionError, Spooled, UnreadableError, decoded, now
from sidecar.v1 import definitions_pb2 as definitions
from sidecar.v1 import worker_service_pb2 as work
from tests.client.spooling import SUCCESS, spooled
from tests.processes import ROOT


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "state" / "spool")


def leave(spool: Spool, told: Spooled) -> Path:
    """Keep something, as a process that has ended."""
    kept = spool.add(told)
    kept.release()
    return kept.path


def test_what_is_kept_comes_back_whole(spool: Spool) -> None:
    schedule = definitions.Schedule(schedule_id="run:nightly", cron="0 2 * * *", zone="Europe/Berlin")
    lease = work.LeaseRef(namespace="default", execution_id="e1", token=b"\x00" * 16, fence=2)
    settled = work.Settlement(failed=work.Failed(final=True), lease=lease)
    settled.failed.error.message = "command exited with 3\nö \x07 tail"
    told = replace(spooled(settlement=settled), expected=schedule)
    assert decoded(told.encoded()) == told
    kept = hold(leave(spool, told))
    assert kept is not None
    assert kept.read() == told
    assert kept.read().settlement == settled, "in the same bytes, so that a repeat is a repeat"
    kept.release()


def test_a_file_is_private_and_has_no_half_written_beside_it(spool: Spool) -> None:
    path = leave(spool, spooled(execution_id="a/b c:é"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert [p.name for p in spool.folder.iterdir()] == [path.name]
    assert path.name.startswith("a_b_c__")


def test_two_runs_of_one_id_do_not_overwrite_each_other(spool: Spool) -> None:
    paths = {leave(spool, spooled(execution_id="same")) for _ in range(2)}
    assert set(spool.waiting()) == paths
    assert len(paths) == 2


def test_a_file_belongs_to_one_holder_and_the_lock_goes_with_what_is_written(spool: Spool) -> None:
    kept = spool.add(spooled(settlement=None))
    assert hold(kept.path) is None
    kept.write(spooled())
    assert hold(kept.path) is None, "a rewritten file is held too"
    kept.release()
    second = hold(kept.path)
    assert second is not None
    second.remove()
    assert hold(kept.path) is None
    assert spool.waiting() == []


def test_who_opened_a_file_before_it_was_replaced_does_not_hold_the_new_one(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rival that opens the former file and locks it once it is let go holds nothing."""
    kept = spool.add(spooled(settlement=None))
    opened = os.open

    def slowly(path: Any, flags: int, mode: int = 0o777) -> int:
        handle = opened(path, flags, mode)
        if Path(path) == kept.path:
            kept.write(spooled())
        return handle

    with monkeypatch.context() as patched:
        patched.setattr("os.open", slowly)
        assert hold(kept.path) is None
    kept.release()


HOLDER = """
import sys
from pathlib import Path
from sidecar.client.spool import Spool
from tests.client.spooling import spooled
kept = Spool(Path(sys.argv[1])).add(spooled(settlement=None))
print(kept.path, flush=True)
sys.stdin.read()
"""


def test_a_file_of_a_killed_process_is_free(spool: Spool) -> None:
    line = [sys.executable, "-c", HOLDER, str(spool.folder)]
    with subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        path = Path(holder.stdout.readline().strip())
        assert hold(path) is None
        (seen,) = spool.look()
        assert (seen.held, seen.path) == (True, path)
        holder.kill()
    kept = hold(path)
    assert kept is not None
    kept.release()


def test_a_full_spool_says_so_and_what_to_do(tmp_path: Path) -> None:
    """Invariant 7."""
    few = Spool(tmp_path / "few", Bounds(files=2))
    paths = [leave(few, spooled()) for _ in range(2)]
    with pytest.raises(SpoolError, match=r"is full: 2 files .*bounds are 2 files.*sidecar spool flush"):
        few.add(spooled())
    small = Spool(tmp_path / "small", Bounds(bytes=1_500))
    leave(small, spooled())
    with pytest.raises(SpoolError, match="1500 bytes"):
        small.add(spooled())
    held = hold(paths[0])
    assert held is not None
    held.set_aside()
    with pytest.raises(SpoolError, match="is full"):
        few.add(spooled())


def test_a_spool_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    spool = Spool(tmp_path / "file" / "spool")
    with pytest.raises(SpoolError, match=r"file/spool cannot be written: Not a directory"):
        spool.add(spooled())
    assert (spool.waiting(), spool.look()) == ([], [])


def test_drafts_of_the_dead_are_swept_up(spool: Spool) -> None:
    path = leave(spool, spooled())
    old, young = (spool.folder / f".{name}{DRAFT}" for name in ("old", "young"))
    old.write_text("half")
    young.write_text("half")
    os.utime(old, (0, 0))
    assert spool.waiting() == [path]
    spool.sweep()
    assert (old.exists(), young.exists(), path.exists()) == (False, True, True)


def test_the_oldest_are_first(spool: Spool) -> None:
    paths = [leave(spool, spooled()) for _ in range(3)]
    for path, at in zip(paths, (300, 100, 200), strict=True):
        os.utime(path, (at, at))
    assert spool.waiting() == [paths[1], paths[2], paths[0]]
    assert [found.path for found in spool.look()] == [paths[1], paths[2], paths[0]]


def test_what_is_no_file_of_ours_is_seen_with_why(spool: Spool) -> None:
    leave(spool, spooled())
    (spool.folder / "torn.json").write_bytes(spooled().encoded()[:200])
    (spool.folder / "notes.txt").write_text("not ours")
    torn = next(found for found in spool.look() if found.path.name == "torn.json")
    assert torn.told is None
    assert "not a spooled execution" in torn.problem
    assert len(spool.look()) == 2


def altered(change: str) -> bytes:
    document = json.loads(spooled().encoded())
    register, begin = document["commands"][:2]
    match change:
        case "no-target":
            document["target"] = None
        case "no-id":
            del begin["begin"]["executionId"]
        case "no-begin":
            document["commands"].pop(1)
        case "unknown-field":
            register["register"]["item"]["colour"] = "red"
        case "bad-time":
            register["at"] = "yesterday"
        case "no-zone":
            register["at"] = "2026-01-01T00:00:00"
        case _:
            document["version"] = "1"
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "change", ["no-target", "no-id", "no-begin", "unknown-field", "bad-time", "no-zone", "odd-version"]
)
def test_a_file_that_is_not_whole_is_unreadable(change: str) -> None:
    with pytest.raises(UnreadableError, match="not a spooled execution"):
        decoded(altered(change))


def test_a_later_version_is_told_apart() -> None:
    document = {**json.loads(spooled().encoded()), "version": 2}
    with pytest.raises(NewerVersionError, match="version 2 is later than 1"):
        decoded(json.dumps(document).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["version", "at"]), inner),
)
COMMANDS = st.lists(
    st.dictionaries(st.sampled_from(["register", "begin", "settle", "expect", "at", "x"]), JSON)
)


@given(st.fixed_dictionaries({"version": st.just(1), "target": JSON, "commands": COMMANDS | JSON}) | JSON)
def test_whatever_a_file_holds_it_is_read_or_unreadable(document: object) -> None:
    with suppress(UnreadableError):
        assert decoded(json.dumps(document).encode()).execution_id


@given(st.binary())
def test_any_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        decoded(data)


@given(st.integers(0, 2_000), st.binary(max_size=8))
def test_a_torn_file_is_never_taken_for_a_whole_one(length: int, rest: bytes) -> None:
    whole = spooled(execution_id="e1").encoded()
    torn = whole[:length] + rest
    if length < len(whole) - 2:
        with pytest.raises(UnreadableError):
            decoded(torn)


def test_how_long_ago_is_within_what_a_sidecar_believes() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    told = replace(spooled(), registered_at=at, begun_at=at + timedelta(seconds=5))
    later = at + timedelta(hours=1)
    assert told.registration(later).item.accepted_ago.ToTimedelta() == timedelta(hours=1)
    assert told.beginning_now(later).begun_ago.ToTimedelta() == timedelta(minutes=59, seconds=55)
    assert told.registration(at - timedelta(days=1)).item.accepted_ago.ToTimedelta() == timedelta()
    assert told.registration(at + timedelta(days=90)).item.accepted_ago.ToTimedelta() < timedelta(days=30)
    assert not told.registration(None).item.HasField("accepted_ago"), "told at once, it needs none"


def test_where_a_spool_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    own = "execution-sidecar/spool"
    assert default_folder({"SIDECAR_SPOOL": "/var/spool/x"}) == Path("/var/spool/x")
    assert default_folder({"XDG_STATE_HOME": "/state"}) == Path("/state") / own
    assert default_folder({"XDG_STATE_HOME": "relative"}) == Path("/home/someone/.local/state") / own
    assert default_folder({}) == Path("/home/someone/.local/state") / own


def test_an_earlier_state_never_replaces_the_end(spool: Spool) -> None:
    began = spooled(settlement=None)
    keeping = Keeping(spool)
    keeping.update(began)
    assert not keeping.is_kept, "what was never kept needs no update"
    keeping.keep(began)
    keeping.keep(began.ended(SUCCESS, now()))
    keeping.update(began)
    keeping.release()
    (found,) = spool.look()
    assert found.told is not None
    assert found.told.settlement == SUCCESS
    assert not found.held


def test_what_is_set_aside_stays_for_people_to_look_at(spool: Spool) -> None:
    keeping = Keeping(spool)
    keeping.keep(spooled())
    keeping.set_aside()
    assert spool.waiting() == []
    (found,) = spool.look()
    assert found.path.name.endswith(SET_ASIDE)
    assert not found.held
