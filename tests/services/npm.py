"""Packages from npm that tests read, installed by name and version into the cache, once for each version."""

import shutil
import subprocess
from pathlib import Path

from tests.services.cache import Slot


class NoPackageError(Exception):
    """npm is not installed, or could not get the package; the text says which."""


def installed(package: str, version: str) -> Path:
    """The folder of a package, installed now if the cache has none; none of its scripts is run.

    Raises:
        NoPackageError: it cannot be had on this machine.
    """
    slot = Slot(package.replace("@", "").replace("/", "-"), version)
    found = slot.folder / "node_modules" / package
    if found.is_dir():
        return found
    npm = shutil.which("npm")
    if npm is None:
        raise NoPackageError(f"npm is not installed: {package} {version} cannot be had")
    with slot.locked():
        if not found.is_dir():
            _install(npm, slot, f"{package}@{version}")
    return found


def _install(npm: str, slot: Slot, wanted: str) -> None:
    work = slot.folder / "unfinished"
    shutil.rmtree(work, ignore_errors=True)
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--no-save"]
    done = subprocess.run(
        [npm, "install", *quiet, "--prefix", str(work), wanted],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    if done.returncode:
        raise NoPackageError(f"npm cannot install {wanted}: {(done.stderr or done.stdout)[-1_000:]}")
    (work / "node_modules").rename(slot.folder / "node_modules")
