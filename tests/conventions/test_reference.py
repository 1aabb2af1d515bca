"""Everything that is emitted is documented, and the reference says what the tables say."""

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.conventions import names
from sidecar.conventions.carrier import Carrier
from sidecar.conventions.metrics import METRICS, Instrument
from sidecar.conventions.reference import render
from sidecar.conventions.spans import LINK_ATTRIBUTES, LOGS, SPANS, Emitted
from sidecar.core import spans as core_spans
from sidecar.core.correlation import Correlation, Source
from sidecar.core.facts import LogFacts, SpanFacts
from sidecar.core.lifecycle import State
from sidecar.core.model import (
    Anchor,
    Attempt,
    CancelRequest,
    Execution,
    Failure,
    Marker,
    Recording,
    Step,
    TerminalRecord,
    Terms,
)
from sidecar.core.model import (
    Path as FinalizationPath,
)

T0 = 1_790_000_000_000_000_000
ROOT = Path(__file__).parents[2]
ATTEMPT = Attempt(
    2, 0, 2, b"t", "a" * 16, "w", "r", T0, None, "b" * 16, "d" * 16, ended_at=T0, failure=Failure("boom")
)
CALLER = Carrier(f"00-{'e' * 32}-{'f' * 16}-01", "")
STEP = Step(2, 1, "fetch", "c" * 16, "", T0, T0, "boom")


def whole() -> Execution:
    """An execution with every optional field set, so that every attribute is there."""
    return Execution(
        correlation=Correlation(
            *("default", "e", "q", "wf", "root", "parent", Source.WEBHOOK, "webhook"),
            *("h", "/p", "github", "s", T0, "x", True),
        ),
        anchor=Anchor("1" * 32, "2" * 16, "3" * 16, None, 1, "", "", Recording.SAMPLED, (), CALLER),
        terms=Terms("mail", b"", "", "f"),
        accepted_at=T0,
        run_at=T0,
        state=State.FAILED,
        cancel=CancelRequest(T0, T0, "why"),
        last_started=Marker("fetch", T0),
        last_completed=Marker("fetch", T0),
        terminal=TerminalRecord(T0, FinalizationPath.REAPED, failure=Failure("boom"), minimal="cut"),
    )


def emitted() -> dict[str, SpanFacts | LogFacts]:
    execution = whole()
    return {
        "send": core_spans.send_span(execution),
        "start": core_spans.start_span(execution, ATTEMPT),
        "attempt": core_spans.attempt_span(execution, ATTEMPT, T0, Failure("boom")),
        "step": core_spans.step_span(execution, ATTEMPT, STEP),
        "terminal": core_spans.terminal_span(execution),
        "settlement_log": core_spans.settlement_log(execution),
    }


@pytest.mark.parametrize("documented", [*SPANS, *LOGS], ids=lambda d: d.role)
def test_what_the_core_emits_is_what_is_documented(documented: Emitted) -> None:
    facts = emitted()[documented.role]
    assert {key for key, _ in facts.attributes} == set(documented.attributes)
    if isinstance(facts, LogFacts):
        assert facts.event_name == documented.name
        return
    pattern = documented.name.format(**{"queue": "mail", "workflow": "wf", "step name": "fetch"})
    assert (facts.name, facts.kind.value) == (pattern, documented.kind)
    assert (facts.resource_id is None) == (documented.resource == "sidecar")
    assert {key for link in facts.links for key, _ in link.attributes} <= set(LINK_ATTRIBUTES)


def test_nothing_is_emitted_that_is_not_documented() -> None:
    assert set(emitted()) == {each.role for each in (*SPANS, *LOGS)}


def test_every_metric_says_what_it_is() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.unit
        assert metric.description.endswith(".")
        assert bool(metric.buckets) == (metric.instrument is Instrument.HISTOGRAM)
        assert list(metric.buckets) == sorted(metric.buckets)
        assert names.EXECUTION_ID not in metric.attributes
        assert names.REQUEST_ID not in metric.attributes


def test_the_page_names_every_attribute_and_metric_and_is_printed() -> None:
    page = render()
    for each in (*SPANS, *LOGS):
        assert all(f"`{name}`" in page for name in (each.name, *each.attributes))
    assert all(f"`{metric.name}`" in page for metric in METRICS)
    command = [sys.executable, "-m", "sidecar.conventions.reference"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == page
