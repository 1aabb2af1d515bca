"""The services are real: the project's configuration is taken, and nothing acknowledged is lost."""

import os
import uuid
from collections.abc import Callable

import psycopg
import pytest

from tests.services import otlp
from tests.services.collector import Collector
from tests.services.fixtures import StartCollector
from tests.services.jaeger import Jaeger, process_of, references_of, spans_of, tags_of
from tests.services.loopback import await_condition
from tests.services.postgres import Postgres

pytestmark = pytest.mark.e2e
CALLS = "traces_span_metrics_calls_total"


def execution_id() -> str:
    return str(uuid.uuid4())


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True)


def test_collector_accepts_the_projects_configuration(collector: Collector) -> None:
    assert collector.validate() == ""


def test_collector_finds_nothing_to_warn_about(collector: Collector) -> None:
    warnings = [line for line in collector.said(50_000).splitlines() if "\twarn\t" in line]
    assert not [line for line in warnings if "deprecated" in line or "config" in line]


def test_a_span_reaches_jaeger_and_is_found_by_its_tag(collector: Collector, jaeger: Jaeger) -> None:
    identity = execution_id()
    caller = otlp.make_span("caller")
    send = otlp.make_span("send audits", {"sidecar.execution.id": identity}, parent=caller)
    process = otlp.make_span("process audits", parent=send, links=[caller])
    otlp.send(collector.otlp_grpc, otlp.request_of([caller, send, process]))

    tags = {"sidecar.execution.id": identity}
    [trace] = jaeger.await_traces(lambda found: len(spans_of(found)) == 3, tags=tags)
    by_name = {span["operationName"]: span for span in trace["spans"]}
    found = by_name["send audits"]
    assert tags_of(found)["sidecar.execution.id"] == identity
    assert process_of(trace, found)["service.name"] == "sidecar"
    assert references_of(found) == [("CHILD_OF", caller.span_id.hex())]
    assert ("FOLLOWS_FROM", caller.span_id.hex()) in references_of(by_name["process audits"])
    assert jaeger.trace(caller.trace_id.hex()) is not None
    assert jaeger.trace(os.urandom(16).hex()) is None


def test_the_exact_file_keeps_what_jaeger_rewrites(collector: Collector) -> None:
    send = otlp.make_span("send exact")
    process = otlp.make_span("process exact", parent=send, links=[send])
    otlp.send(collector.otlp_grpc, otlp.request_of([send, process]))

    def arrived() -> list[dict[str, object]]:
        wanted = process.span_id.hex()
        return [span for span in collector.received_spans() if span["spanId"] == wanted]

    await_condition(lambda: bool(arrived()), "the span is in the exact file", 10)
    [copy] = arrived()
    assert copy["parentSpanId"] == send.span_id.hex()
    assert copy["links"] == [{"traceId": send.trace_id.hex(), "spanId": send.span_id.hex()}]


def test_span_metrics_count_terminal_spans_only(collector: Collector) -> None:
    workflow = f"workflow-{execution_id()}"
    same: dict[str, otlp.Value] = {"sidecar.workflow.id": workflow}
    ended: dict[str, otlp.Value] = {
        **same,
        "sidecar.terminal": True,
        "sidecar.execution.outcome": "succeeded",
    }
    spans = [otlp.make_span(f"execution {workflow}", ended) for _ in range(3)]
    spans += [otlp.make_span("process audits", same) for _ in range(5)]
    spans += [otlp.make_span("odd", {**same, "sidecar.terminal": False})]
    otlp.send(collector.otlp_grpc, otlp.request_of(spans))

    def counted() -> list[tuple[str, str, float]]:
        return [
            (labels["span_name"], labels["sidecar_execution_outcome"], value)
            for labels, value in collector.samples(CALLS)
            if labels.get("sidecar_workflow_id") == workflow
        ]

    expected = [(f"execution {workflow}", "succeeded", 3.0)]
    await_condition(lambda: counted() == expected, "three terminal spans are counted", 10)


def test_logs_are_kept_on_disk(collector: Collector) -> None:
    body = f"settled {execution_id()}"
    request = otlp.log_request_of("sidecar.execution.settled", body)
    otlp.send(collector.otlp_grpc, request, otlp.LOGS)
    await_condition(lambda: body in collector.logs(), "the log record is in the file", 10)


def test_metrics_are_there_to_be_scraped(collector: Collector) -> None:
    request = otlp.gauge_request_of("sidecar.queue.oldest.age", 12.5)
    otlp.send(collector.otlp_grpc, request, otlp.METRICS)

    def scraped() -> bool:
        return any(value == 12.5 for _, value in collector.samples("sidecar_queue_oldest_age"))

    await_condition(scraped, "the gauge is on the page for Prometheus", 10)


def test_queue_on_disk_delivers_after_jaeger_was_down_and_the_collector_killed(
    start_collector: StartCollector, own_jaeger: Jaeger
) -> None:
    collector = start_collector(traces_to=own_jaeger.otlp_grpc, exact=False)
    spans = [otlp.make_span(f"kept {number}") for number in range(40)]
    for span in spans[:20]:
        otlp.send(collector.otlp_grpc, otlp.request_of([span]))
    collector.kill()
    collector.start()
    for span in spans[20:]:
        otlp.send(collector.otlp_grpc, otlp.request_of([span]))
    collector.kill()
    own_jaeger.start()
    collector.start()

    found = own_jaeger.await_traces(lambda found: len(found) == 40, timeout=30)
    assert {trace["traceID"] for trace in found} == {span.trace_id.hex() for span in spans}


def test_each_database_is_fresh(postgres: Postgres, postgres_database: str) -> None:
    with connect(postgres_database) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    another = postgres.create_database()
    with connect(another) as connection:
        [found] = connection.execute("SELECT to_regclass('mine')").fetchall()
    postgres.drop_database(another)
    assert found == (None,)


def test_a_commit_is_durable_where_it_is_tested(postgres_database: str) -> None:
    with connect(postgres_database) as connection:
        [settings] = connection.execute(
            "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
        ).fetchall()
    assert settings == ("on", "on")


def kill_and_start(postgres: Postgres) -> None:
    postgres.kill()
    postgres.start()


@pytest.mark.parametrize("interrupt", [Postgres.bounce, kill_and_start])
def test_postgres_keeps_what_was_committed(
    postgres: Postgres, postgres_database: str, interrupt: Callable[[Postgres], object]
) -> None:
    with connect(postgres_database) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS id")
    interrupt(postgres)
    with connect(postgres_database) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(7,)]
