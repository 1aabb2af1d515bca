"""The staged events, one after the other while the audit runs: what is done, awaited, and said of it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from examples.audit import plan
from examples.audit.crew import Crew
from examples.audit.deliveries import FORGERIES, Kind
from examples.audit.timetable import Timetable
from examples.audit.waiting import PATIENCE_SECONDS, until
from sidecar.client import Execution, State, SyncClient

Say = Callable[[str], None]
UNAUTHORIZED = 401


class Stage:
    """Directs the events; `play` runs on a thread of its own."""

    def __init__(
        self, crew: Crew, client: SyncClient, names: dict[str, str], timetable: Timetable, say: Say
    ) -> None:
        self._crew = crew
        self._heard = crew.heard
        self._timetable = timetable
        self._client = client
        self._names = names
        self._say = say
        self.moments: list[tuple[float, str]] = []

    def play(self) -> None:
        """Let everything happen in order: each event leaves the next one undisturbed."""
        until(self._heard.all_accepted.is_set, "everything was accepted")
        self._webhooks()
        self._twice()
        self._cancel()
        self._deadline()
        self._kill_the_sidecar()
        self._webhooks_again()
        self._kill_a_worker()
        self._timetable.await_ends(self._client)
        self._say(
            f"each of the {len(self._timetable.planned)} one-time schedules has fired, and its work ended"
        )

    def _webhooks(self) -> None:
        genuine, forged = self._heard.of(Kind.GENUINE), self._heard.of(*FORGERIES)
        taken = sum(bool(each.execution_id) for each in genuine)
        away = sum(each.status == UNAUTHORIZED for each in forged)
        self._say(
            f"{taken} of {len(genuine)} signed webhooks accepted over HTTP;"
            f" {away} of {len(forged)} forged ones turned away with {UNAUTHORIZED}"
        )
        for each in self._heard.of(Kind.MISFIT):
            self._say(
                f"a webhook that does not fit the schema: {each.status} {each.reason}, on record as failed"
            )

    def _webhooks_again(self) -> None:
        until(self._heard.all_sent_again.is_set, "webhooks were sent again")
        again = self._heard.of(Kind.AGAIN)
        existing = sum(each.existing for each in again)
        self._say(
            f"{len(again)} webhooks sent again after that, {existing} answered with the former execution"
        )

    def _twice(self) -> None:
        answers = self._heard.accepted[self._names[plan.TWICE]]
        ids = {execution_id for execution_id, _ in answers}
        self._say(f"one idempotency key, asked for {len(answers)} times: {len(ids)} execution {min(ids)}")

    def _cancel(self) -> None:
        self._await_linger(plan.CANCELLED)
        self._say("cancelling an execution in the middle of a step")
        self._client.cancel(self._id(plan.CANCELLED), "the demo changed its mind")
        self._tell_end(plan.CANCELLED)

    def _deadline(self) -> None:
        self._tell_end(plan.DEADLINE)

    def _kill_the_sidecar(self) -> None:
        self._await_linger(plan.SURVIVOR)
        pid = self._crew.sidecar.pid
        self._timetable.define(self._client)
        killed_at = datetime.now(UTC)
        self._crew.sidecar.kill()
        self._moment("sidecar killed")
        self._say(f"SIGKILL to the sidecar (process {pid}) with work in flight; starting it again")
        self._crew.sidecar.serve()
        self._moment("sidecar back")
        missed = self._timetable.due_between(killed_at, datetime.now(UTC))
        self._say(
            f"the sidecar is back (process {self._crew.sidecar.pid}) on the same store; meanwhile {missed} of"
            f" {len(self._timetable.planned)} one-time schedules came due"
        )
        self._release(plan.SURVIVOR)
        self._tell_end(plan.SURVIVOR)

    def _kill_a_worker(self) -> None:
        self._await_linger(plan.KILLED)
        worker = self._crew.worker_with(int(self._mark(plan.KILLED).read_text("utf-8")))
        pid = worker.pid
        worker.kill()
        self._moment("worker killed")
        self._say(f"SIGKILL to {worker.name} (process {pid}) in the middle of a step; starting it again")
        worker.start()
        self._tell_end(plan.KILLED)
        self._moment("retried")

    def _await_linger(self, staged: str) -> None:
        until(self._mark(staged).exists, f"a worker was within the staged step ({staged})")
        until(lambda: self._measuring(staged), f"the sidecar knew of that step ({staged})")

    def _measuring(self, staged: str) -> bool:
        found = self._client.get(self._id(staged))
        return found.state is State.RUNNING and found.steps.last_started == "measure"

    def _tell_end(self, staged: str) -> None:
        found = self._client.wait(self._id(staged), PATIENCE_SECONDS)
        self._say(f"{self._names[staged]}: {ending(found)}")

    def _release(self, staged: str) -> None:
        plan.release_of(staged, self._crew.folder).touch()

    def _mark(self, staged: str) -> Path:
        return plan.mark_of(staged, self._crew.folder)

    def _id(self, staged: str) -> str:
        return self._crew.execution_id(self._names[staged])

    def _moment(self, what: str) -> None:
        self.moments.append((time.time(), what))


def ending(found: Execution) -> str:
    """Return how an execution ended, in a few words."""
    attempts = f"{found.attempts} attempt{'s' if found.attempts != 1 else ''}"
    error = f" {found.error.type}" if found.error else ""
    return f"{found.state}{error} after {attempts}"
