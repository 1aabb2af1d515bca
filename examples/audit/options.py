"""The options of `python -m examples.audit`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo is to run."""

    limit: int | None
    out: Path
    seconds: float
    keep: bool


def options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.audit",
        description="Audit the standard library as durable executions, with failures staged on the way.",
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="audit at most N modules (default: all)")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder of the report")
    parser.add_argument(
        "--seconds",
        type=float,
        default=180.0,
        help="when they are up, what has not ended is cancelled (default: 180)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the temporary folder: store, logs, measures"
    )
    return Options(**vars(parser.parse_args(arguments)))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value
