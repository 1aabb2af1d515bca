"""The demo end to end with few modules: what it says, what it leaves, where the spans are."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sidecar.client import SyncClient
from tests.processes import ROOT, SidecarProcess
from tests.services.loopback import await_condition
from tests.services.sink import Sink

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LIMIT = 12
STAGED = 5
REFUSED = 1
WEBHOOKS, SCHEDULED = 4, 2
NO_COLLECTOR = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Run:
    """One run of the demo."""

    code: int
    text: str
    out: Path

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def tallies(self) -> int:
        """How many seconds of the run had one."""
        found = re.search(r"(\d+) seconds, 0 gaps, 0 twice", self.words)
        assert found is not None, self.text
        return int(found[1])

    @property
    def total(self) -> int:
        return LIMIT + STAGED + REFUSED + self.tallies

    @property
    def report(self) -> str:
        return (self.out / "audit.html").read_text("utf-8")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run without a collector, for all tests here."""
    out = tmp_path_factory.mktemp("demo-out")
    done = subprocess.run(
        [sys.executable, "-m", "examples.audit", "--limit", str(LIMIT), "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": NO_COLLECTOR},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=240,
    )
    return Run(done.returncode, done.stdout.decode(), out)


def test_everything_ended_as_it_should(demo: Run) -> None:
    assert demo.code == 0, demo.text
    assert "NO " not in demo.text


@pytest.mark.parametrize(
    "said",
    [
        "1 execution ",
        "[cancelled] antigravity: cancelled after 1 attempt",
        "[deadline] this: failed timeout after 1 attempt",
        "SIGKILL to the sidecar",
        "[killed sidecar] typing: succeeded after 1 attempt",
        "SIGKILL to worker",
        "[killed worker] dis: succeeded after 2 attempts",
        "1 failed: timeout",
        "process default (attempt 2) CONSUMER audit-worker",
        "lease_expired: the worker was not heard of",
        "sidecar apply -f examples/audit/manifest.yaml: 5 created",
        "the same again: 5 unchanged",
        f"{WEBHOOKS} of {WEBHOOKS} signed webhooks accepted over HTTP; 3 of 3 forged ones turned away with",
        "a webhook that does not fit the schema: 400 PAYLOAD_INVALID",
        f"{WEBHOOKS} webhooks sent again after that, {WEBHOOKS} answered with the former execution",
        f"each of the {SCHEDULED} one-time schedules has fired",
        "preprocessing.payload_invalid: payload: $: 'path' is a required property",
        f"{WEBHOOKS + REFUSED} signed and sent, {WEBHOOKS + REFUSED} executions, 0 others",
        f"{SCHEDULED} schedules, {SCHEDULED} with one execution for the planned time",
        "no invariant is broken: 0 violations",
        "the spans wait in the outbox for one",
    ],
)
def test_what_is_on_the_screen(demo: Run, said: str) -> None:
    assert said in re.sub(r"[│├└─]", "", demo.words)


def test_the_account_adds_up_on_the_screen(demo: Run) -> None:
    found = re.search(r"^ *(\d+) = ([\d +]+)$", demo.text, re.MULTILINE)
    assert found is not None
    assert int(found[1]) == sum(map(int, found[2].split("+"))) == demo.total
    assert f"every execution is terminal: {demo.total} executions, 0 open" in demo.words


class _Tables(HTMLParser):
    """Collects the rows of the tables that have an id, and checks that what opens also closes."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.open: list[str] = []
        self._table = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in {"meta", "input"} else [tag]
        if tag == "table":
            self._table = dict(attrs).get("id") or ""
        rows = self.rows.setdefault(self._table, [])
        if tag == "tr":
            rows.append([])
        elif tag in {"td", "th"}:
            rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[self._table][-1][-1] += data


@pytest.fixture(scope="module")
def tables(demo: Run) -> _Tables:
    """The tables of the report."""
    parser = _Tables()
    parser.feed(demo.report)
    assert parser.open == []
    return parser


def test_the_report_has_every_module_and_every_failure(tables: _Tables) -> None:
    modules, failures = tables.rows["modules"][1:], tables.rows["failures"][1:]
    assert len(modules) + len(failures) == LIMIT
    assert {why.partition(": ")[2] for _, why, _ in failures} <= {"does_not_decode", "does_not_parse"}
    assert all(message for _, _, message in failures)
    assert sorted((int(row[2].replace(",", "")) for row in modules), reverse=True) == [
        int(row[2].replace(",", "")) for row in modules
    ]


def test_the_report_has_the_staged_executions(tables: _Tables) -> None:
    staged = {row[0]: row[1:3] for row in tables.rows["staged"][1:]}
    assert staged == {
        "deadline": ["failed: timeout", "1"],
        "cancelled": ["cancelled", "1"],
        "killed worker": ["succeeded", "2"],
        "killed sidecar": ["succeeded", "1"],
        "twice": ["succeeded", "1"],
    }


def test_the_report_counts_what_came_in_by_each_way(tables: _Tables, demo: Run) -> None:
    """ADM-2, SCH-1, WEB-2: a refusal is a record, a second is an execution, a repeat is none."""
    counts = {row[0]: int(row[1]) for row in tables.rows["ways"][1:]}
    assert counts == {
        "api": LIMIT + STAGED - WEBHOOKS - SCHEDULED,
        "webhook": WEBHOOKS,
        "schedule": SCHEDULED + demo.tallies,
        "refused": REFUSED,
    }
    assert all(int(row[1]) == sum(map(int, row[2:5])) for row in tables.rows["ways"][1:])
    besides = {row[0]: row[5] for row in tables.rows["ways"][1:]}
    assert besides["webhook"] == f"{WEBHOOKS} sent again: existing; 3 forged: 401, nothing kept"
    assert besides["api"] == "1 asked for again: existing"


def test_the_report_draws_the_tally(demo: Run) -> None:
    drawn = re.search(r'<polyline class="tally" points="([^"]+)"/>', demo.report)
    assert drawn is not None
    heights = [float(point.partition(",")[2]) for point in drawn[1].split()]
    assert len(heights) == demo.tallies
    assert heights == sorted(heights, reverse=True)


def test_the_report_needs_nothing_else(demo: Run) -> None:
    assert not re.findall(r"(?:src|href)=|url\(|@import", demo.report)


def test_the_spans_wait_for_a_collector(demo: Run, tmp_path: Path) -> None:
    with Sink() as sink:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}
        store = f"sqlite:///{demo.out / 'sidecar.db'}"
        with SidecarProcess(tmp_path, store, **settings) as late, SyncClient(late.target) as client:
            await_condition(lambda: not client.verify().account.pending, "everything was delivered", 30)
            account = client.verify().account
            trees = [client.trace(each.execution_id) for each in client.list()]
        assert account.delivered == account.terminal == demo.total
        assert set(sink.by_span_id()) == {span.span_id for tree in trees for span in tree.spans}
