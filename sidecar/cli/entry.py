"""Starts the command, or says kindly what has to be installed for it."""

import sys
from importlib.util import find_spec

NEEDED = ("typer", "rich", "pydantic")
ADVICE = "the sidecar command needs the server's dependencies: pip install 'execution-sidecar[server]'"


def main() -> None:
    """Run the command line of this process and exit with its code."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f"{ADVICE} (missing: {', '.join(missing)})")
    from sidecar.cli.program import run

    sys.exit(run(sys.argv[1:]))
