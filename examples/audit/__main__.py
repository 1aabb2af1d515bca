"""Runs the demo: `python -m examples.audit [--limit N] [--out DIR] [--seconds S] [--keep]`."""

import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from examples.audit.demo import Demo
from examples.audit.options import options
from examples.audit.processes import DemoError
from sidecar.client import SidecarError

PIPE_WIDTH = 160


def main() -> int:
    """Run it, and say in one place what went wrong."""
    chosen = options()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    code = 130
    path = Path(tempfile.mkdtemp(prefix="sidecar-demo-"))
    try:
        code = Demo(chosen, path, console).run()
    except (DemoError, SidecarError, TimeoutError) as error:
        console.print(f"the demo failed: {error}", style="red", markup=False)
        code = 1
    except KeyboardInterrupt:
        console.print("interrupted")
    finally:
        if chosen.keep or code == 1:
            console.print(f"store, logs and measures are kept in {path}", soft_wrap=True)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return code


sys.exit(main())
