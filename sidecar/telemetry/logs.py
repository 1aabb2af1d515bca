"""Logging: one JSON object a line to a stream, written by a thread of its own that nobody waits for."""

import logging
import queue
import sys
import threading
from typing import TextIO

import structlog
from structlog.processors import ExceptionRenderer
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from sidecar.telemetry.correlation import add_correlation

_CAPACITY = 10_000
_NOISY = ("grpc", "alembic", "sqlalchemy", "asyncio")

_SHARED: tuple[Processor, ...] = (
    add_correlation,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    # Local variables may hold payloads and secrets.
    ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
)


class LogWriter(logging.Handler):
    """Formats where the line is made, then queues it; what does not fit is dropped and counted."""

    def __init__(self, stream: TextIO, capacity: int = _CAPACITY) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._write, name="log-writer", daemon=True)
        self.dropped = 0
        """Lines that were lost because the stream did not keep up."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line without waiting."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1
        except Exception:
            self.handleError(record)

    def finish(self, timeout: float = 2.0) -> None:
        """Write what is queued and end, but wait no longer than `timeout` seconds."""
        try:
            self._lines.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(f"{line}\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                self.dropped += 1


def configure_logging(level: str, stream: TextIO | None = None) -> LogWriter:
    """Send structlog and the standard library's loggers through one writer; its `finish` ends it."""
    writer = LogWriter(stream or sys.stderr)
    writer.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [writer]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return writer
