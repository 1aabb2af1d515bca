"""The demo from start to end: who is started when, what is awaited, and what is left behind."""

import shutil
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from examples.audit import defining, epilogue, modules, plan, report, tracing
from examples.audit.arrivals import Sent
from examples.audit.crew import Crew
from examples.audit.found import Found, look
from examples.audit.modules import Selection
from examples.audit.options import Options
from examples.audit.plan import Request
from examples.audit.processes import DemoError, tail
from examples.audit.screen import Screen
from examples.audit.stage import Stage
from examples.audit.timetable import Timetable, stop_tally
from examples.audit.ways import TALLY, Way
from sidecar.client import SidecarError, State, SyncClient

POLL_SECONDS = 1.0
QUICK = timedelta(seconds=1)
PATIENCE = timedelta(seconds=60)
FLUSH_SECONDS = 15.0
LATE_SECONDS = 60.0
CANCELLERS = 16


class Demo:
    """One run in a temporary folder of its own."""

    def __init__(self, options: Options, folder: Path, console: Console) -> None:
        self._options = options
        self._folder = folder
        self._console = console
        self._crew = Crew(folder)
        self._listening = tracing.collector_listens()
        self._began = time.time()

    def run(self) -> int:
        """Run everything; 0 if all was as it should be."""
        selection, requests = self._plan()
        try:
            found, stage = self._perform(requests)
        finally:
            self._crew.stop()
        path = self._options.out / "audit.html"
        report.write(path, report.gather(found, requests, stage.moments, self._began, selection.left_out))
        epilogue.show(self._console, found, path)
        epilogue.tell_delivery(self._console, found, self._leave_store(found), listening=self._listening)
        return 0 if found.ok else 1

    def _plan(self) -> tuple[Selection, list[Request]]:
        everything = modules.find()
        broken = modules.broken_among(everything)
        if not broken:
            broken = modules.made_to_fail(self._folder / "broken")
            self._console.print(
                "this Python ships no module that is broken: the demo has written two of its own"
            )
        selection = modules.select(everything, broken, self._options.limit)
        requests = plan.requests(selection, everything, self._folder)
        plan.save(requests, self._folder / "plan.json")
        ways = Counter(each.way for each in requests if not each.staged)
        self._console.print(
            f"{len(everything)} modules in the standard library, {len(selection.modules)} to audit"
            f" ({selection.left_out}): {ways[Way.API]} asked for by the API,"
            f" {ways[Way.WEBHOOK]} sent as webhooks, {ways[Way.SCHEDULE]} on a schedule;"
            f" {len(plan.STAGED)} staged executions"
        )
        return selection, requests

    def _perform(self, requests: list[Request]) -> tuple[Found, Stage]:
        crew, target = self._crew, self._crew.sidecar.target
        with (
            SyncClient(target, timeout=PATIENCE) as client,
            Screen(self._console, len({each.name for each in requests})) as screen,
        ):
            crew.start()
            screen.event(
                f"the sidecar serves at {target} and http://{crew.sidecar.http} (process {crew.sidecar.pid}),"
                " two workers, a caller"
            )
            for words in (defining.command(), "the same again"):
                screen.event(f"{words}: {_counts(defining.apply(target))}")
            timetable = Timetable(requests)
            names = {each.staged: each.name for each in requests}
            stage = Stage(crew, client, names, timetable, screen.event)
            crew.call()
            playing = _in_thread(stage)
            self._follow(client, screen, playing)
            playing.result(timeout=LATE_SECONDS)
            sent = Sent(crew.heard, timetable.planned, stop_tally(client))
            if self._listening:
                _await_delivery(client)
            return look(client, requests, sent), stage

    def _follow(self, client: SyncClient, screen: Screen, playing: "Future[None]") -> None:
        """Show the progress until the caller has seen everything end; cancel the rest when time is up."""
        ends_at = time.monotonic() + self._options.seconds
        with SyncClient(self._crew.sidecar.target, timeout=QUICK) as glance:
            while self._crew.caller.exit_code is None:
                with suppress(SidecarError):  # killed, and soon back
                    unasked = sum(each.fired for each in glance.schedules.list(TALLY))
                    screen.count(glance.verify().states, unasked)
                if playing.done() and playing.exception():
                    raise DemoError(f"a staged event went wrong: {playing.exception()}")
                if time.monotonic() > ends_at:
                    screen.event("time is up: cancelling what has not ended")
                    _cancel_the_rest(client, self._crew)
                    ends_at = time.monotonic() + LATE_SECONDS
                time.sleep(POLL_SECONDS)
        if self._crew.caller.exit_code:
            raise DemoError(f"the caller failed; its log ends with:\n{tail(self._crew.caller.log)}")

    def _leave_store(self, found: Found) -> Path | None:
        """Move the store out of the temporary folder if spans wait in it."""
        if self._options.keep or not found.verification.account.pending:
            return self._crew.sidecar.store if self._options.keep else None
        self._options.out.mkdir(parents=True, exist_ok=True)
        for old in self._options.out.glob("sidecar.db*"):
            old.unlink()
        for part in self._folder.glob("sidecar.db*"):
            shutil.move(part, self._options.out / part.name)
        return self._options.out / self._crew.sidecar.store.name


def _counts(changes: Counter[str]) -> str:
    return ", ".join(f"{count} {change}" for change, count in changes.items())


def _in_thread(stage: Stage) -> "Future[None]":
    done: Future[None] = Future()

    def play() -> None:
        try:
            stage.play()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=play, name="stage", daemon=True).start()
    return done


def _cancel_the_rest(client: SyncClient, crew: Crew) -> None:
    """Cancel what still is queued, but for the staged ones; what runs ends by itself."""

    def cancel(execution_id: str) -> None:
        with suppress(SidecarError):  # it ended meanwhile
            client.cancel(execution_id, "the demo's time is up")

    names = crew.heard.names()
    waiting = [each.execution_id for each in client.list(states=[State.QUEUED], page_size=1_000)]
    with ThreadPoolExecutor(CANCELLERS) as pool:
        list(pool.map(cancel, [each for each in waiting if names.get(each, "")[:1] != "["]))


def _await_delivery(client: SyncClient) -> None:
    ends_at = time.monotonic() + FLUSH_SECONDS
    while client.verify().account.pending and time.monotonic() < ends_at:
        time.sleep(0.2)
