"""The `sidecar` command; talks to the API like any other client."""

from sidecar.cli.entry import main

__all__ = ["main"]
