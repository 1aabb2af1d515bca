"""`sidecar serve`: run a sidecar; every setting that has no option here is `SIDECAR_*` in the environment."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.cli.exit_codes import ExitCode
from sidecar.cli.options import shared
from sidecar.cli.problems import Problem

if TYPE_CHECKING:
    from pydantic import ValidationError


def serve(
    context: typer.Context,
    listen: Annotated[
        str | None, typer.Option(help="Address of the API.", show_default="127.0.0.1:50551")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Where executions are kept.", show_default="sqlite:///sidecar.db")
    ] = None,
    failpoints: Annotated[str | None, typer.Option(hidden=True)] = None,
    unsafe_failpoints: Annotated[bool | None, typer.Option("--unsafe-failpoints", hidden=True)] = None,
) -> int:
    """Run a sidecar until SIGTERM or SIGINT.

    What has no option here comes from the environment: SIDECAR_* and OTEL_*.
    Exits with 0 when it has drained, 1 after a fault, 2 for a bad setting, 8 when it had to be forced.
    """
    from pydantic import ValidationError

    from sidecar.config import Settings
    from sidecar.service import serve as run

    given: dict[str, Any] = {
        "listen": listen,
        "store": store,
        "failpoints": failpoints,
        "unsafe_failpoints": unsafe_failpoints,
    }
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        shared(context).output.problem(_problem(error))
        return ExitCode.USAGE
    return run(settings)


def _problem(error: "ValidationError") -> Problem:
    advice = "settings come from the options of `sidecar serve` and from SIDECAR_* in the environment"
    return Problem(ExitCode.USAGE, "SETTINGS", "; ".join(_lines(error)), advice)


def _lines(error: "ValidationError") -> Iterator[str]:
    for each in error.errors(include_url=False, include_context=False):
        message = each["msg"].removeprefix("Value error, ")
        if not each["loc"]:
            yield message
            continue
        name = "_".join(map(str, each["loc"]))
        yield f"SIDECAR_{name.upper()} {message} (got {each['input']!r})"
