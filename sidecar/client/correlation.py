"""Puts the ids of the running execution on every span that a handler's code begins."""

from typing import TYPE_CHECKING

from opentelemetry.context import Context

from sidecar.client.current import correlation_in
from sidecar.conventions import names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
else:
    SpanProcessor = object


class CorrelationSpanProcessor(SpanProcessor):
    """For a TracerProvider: `provider.add_span_processor(CorrelationSpanProcessor())`."""

    def on_start(self, span: "Span", parent_context: Context | None = None) -> None:
        """Mark a span that begins within a handler."""
        correlation = correlation_in(parent_context) or correlation_in()
        if correlation is not None:
            span.set_attribute(names.EXECUTION_ID, correlation.execution_id)
            span.set_attribute(names.REQUEST_ID, correlation.request_id)
            span.set_attribute(names.WORKFLOW_ID, correlation.workflow_id)

    def _on_ending(self, span: "Span") -> None:
        """Part of the SDK's interface."""

    def on_end(self, span: "ReadableSpan") -> None:
        """Part of the SDK's interface."""

    def shutdown(self) -> None:
        """Part of the SDK's interface."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return at once: nothing is kept."""
        return timeout_millis >= 0
