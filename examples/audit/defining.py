"""Defines what the demo uses by the real `sidecar apply`, twice: the second time nothing changes."""

import json
import subprocess
import sys
from collections import Counter

from examples.audit.processes import ROOT, DemoError
from examples.audit.ways import MANIFEST

PATIENCE_SECONDS = 60.0


def apply(target: str) -> Counter[str]:
    """Apply the manifest; return how many definitions were created, updated and unchanged.

    Raises:
        DemoError: if it was refused.
    """
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "--target", target, "apply", "-f", str(MANIFEST), "--json"],
        cwd=ROOT,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
    )
    if done.returncode:
        raise DemoError(f"{command()} failed: {done.stderr.decode('utf-8', 'replace')}")
    return Counter(each["change"] for each in json.loads(done.stdout)["results"])


def command() -> str:
    """Return what is run, as one would type it."""
    return f"sidecar apply -f {MANIFEST.relative_to(ROOT)}"
