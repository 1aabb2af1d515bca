"""Logging: JSON lines with their correlation, nothing that breaks a line, and nobody waits."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from sidecar.telemetry.correlation import LogCorrelation, bound
from sidecar.telemetry.logs import LogWriter, configure_logging


class Stuck(io.StringIO):
    """A stream that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.let_go = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.let_go.wait(10)
        return super().write(text)


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(writer: LogWriter, stream: io.StringIO) -> list[dict[str, object]]:
    writer.finish()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_both_kinds_of_loggers_write_json_with_the_bound_ids() -> None:
    stream = io.StringIO()
    writer = configure_logging("info", stream)
    with bound(LogCorrelation(execution_id="e-1", trace_id="ab", span_id="cd")):
        structlog.get_logger("sidecar.x").info("settled", outcome="failed")
        logging.getLogger("foreign").warning("odd %s", "thing")
    structlog.get_logger("sidecar.x").warning("alone", execution_id="own")
    first, second, third = lines(writer, stream)
    ids = {"execution_id": "e-1", "trace_id": "ab", "span_id": "cd"}
    assert first.items() >= {**ids, "event": "settled", "outcome": "failed", "level": "info"}.items()
    assert second.items() >= {**ids, "event": "odd thing", "level": "warning", "logger": "foreign"}.items()
    assert third["execution_id"] == "own"
    assert "trace_id" not in third
    assert str(first["timestamp"]).endswith("Z")
    assert "request_id" not in first


def test_levels_are_kept() -> None:
    stream = io.StringIO()
    writer = configure_logging("warning", stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("loud")
    logging.getLogger("grpc").info("chatter")
    assert [line["event"] for line in lines(writer, stream)] == ["loud"]


def test_no_text_can_forge_a_line_and_any_value_is_written() -> None:
    stream = io.StringIO()
    writer = configure_logging("info", stream)
    structlog.get_logger().info("a\r\nb\x1b[2J\u2028", value=object(), lone="\ud800", percent="%s %d")
    (line,) = lines(writer, stream)
    assert line["event"] == "a\r\nb\x1b[2J\u2028"
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_an_exception_is_one_line_without_local_variables() -> None:
    stream = io.StringIO()
    writer = configure_logging("info", stream)
    try:
        password = "hunter2"
        raise ValueError(len(password))
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(writer, stream)
    assert "ValueError" in json.dumps(line)
    assert "hunter2" not in stream.getvalue()


def test_a_stuck_stream_blocks_nobody_and_drops_are_counted() -> None:
    stream = Stuck()
    writer = LogWriter(stream, capacity=3)
    writer.setFormatter(logging.Formatter("%(message)s"))
    writer.emit(logging.makeLogRecord({"msg": "first"}))
    assert stream.entered.wait(10)
    for number in range(10):
        writer.emit(logging.makeLogRecord({"msg": f"line {number}"}))
    assert writer.dropped == 7
    stream.let_go.set()
    writer.finish()
    assert stream.getvalue().splitlines() == ["first", "line 0", "line 1", "line 2"]


def test_a_closed_stream_is_counted_and_harms_nobody() -> None:
    stream = io.StringIO()
    stream.close()
    writer = LogWriter(stream)
    writer.emit(logging.makeLogRecord({"msg": "lost"}))
    writer.finish()
    assert writer.dropped == 1
