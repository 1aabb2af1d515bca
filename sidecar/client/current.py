"""The run that the current code belongs to, by a key in the local OpenTelemetry context."""

from typing import Final, Protocol

from opentelemetry import context

from sidecar.client.records import Correlation

_KEY: Final = context.create_key("sidecar-run")


class Correlated(Protocol):
    """Anything that runs under a correlation."""

    @property
    def correlation(self) -> Correlation:
        """The identity of the execution."""


def place(run: Correlated, ctx: context.Context) -> context.Context:
    """Return the context with the run in it."""
    return context.set_value(_KEY, run, ctx)


def held_in(ctx: context.Context | None) -> object:
    """Return what the context, or the current one, holds as its run."""
    return context.get_value(_KEY, ctx)


def correlation_in(ctx: context.Context | None = None) -> Correlation | None:
    """Return the correlation that code in this context runs under, None outside a handler."""
    found = getattr(held_in(ctx), "correlation", None)
    return found if isinstance(found, Correlation) else None
