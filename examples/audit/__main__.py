"""Runs the demo: `python -m examples.audit [--limit N] [--out DIR] [--seconds S] [--keep]`."""

import signal
import sys

from rich.console import Console

from examples.audit.demo import Demo, folder
from examples.audit.options import options
from examples.audit.processes import DemoError

PIPE_WIDTH = 160


def main() -> int:
    """Run it, and say in one place what went wrong."""
    chosen = options()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with folder(keep=chosen.keep) as path:
        if chosen.keep:
            console.print(f"everything is kept in {path}", soft_wrap=True)
        try:
            return Demo(chosen, path, console).run()
        except (DemoError, TimeoutError) as error:
            console.print(f"the demo failed: {error}", style="red", markup=False)
            return 1
        except KeyboardInterrupt:
            console.print("interrupted")
            return 130


sys.exit(main())
