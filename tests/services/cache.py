"""The cache folder outside the checkout, where programs built for the tests are kept by version."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def cache_folder() -> Path:
    """The folder named by SIDECAR_CACHE, else the user's own cache."""
    named = os.environ.get("SIDECAR_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "execution-sidecar"


@dataclass(frozen=True)
class Slot:
    """The place of one program at one version; a changed version is another place."""

    tool: str
    version: str

    @property
    def folder(self) -> Path:
        return cache_folder() / self.tool / self.version

    @property
    def program(self) -> Path:
        return self.folder / self.tool

    def filled(self) -> bool:
        return os.access(self.program, os.X_OK)

    def publish(self, built: Path) -> Path:
        """Move a finished build into place in one step, so that no half program is ever seen."""
        os.replace(built, self.program)
        return self.program

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the slot against other builders on this machine."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
