"""Builds the OpenTelemetry Collector and Jaeger from source into the cache, once for each version."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.services.cache import Slot

MANIFEST = Path(__file__).with_name("collector-builder.yaml")
COLLECTOR_VERSION = "v0.155.0"
JAEGER_VERSION = "v1.76.0"
STATIC = ("-trimpath", "-ldflags=-s -w")
NO_GO, FAILED = 3, 1


class NoGoToolchainError(Exception):
    """Go is not installed, so nothing can be built from source."""


class NotBuiltError(Exception):
    """The cache has no such program yet; a test does not wait minutes for one."""


class BuildFailedError(Exception):
    """A step of a build went wrong; the text is the end of what it said."""


def collector_slot() -> Slot:
    """The Collector's place, which also depends on the components in its manifest."""
    digest = hashlib.sha256(MANIFEST.read_bytes()).hexdigest()[:12]
    return Slot("otelcol", f"{COLLECTOR_VERSION}-{digest}")


def jaeger_slot() -> Slot:
    return Slot("jaeger", JAEGER_VERSION)


def built(slot: Slot) -> Path:
    """A program that the cache has, or the reason why it has none."""
    if slot.filled():
        return slot.program
    _require_go(slot)
    raise NotBuiltError(f"{slot.tool} {slot.version} is not built: run python -m tests.services.build")


def build_collector() -> Path:
    """The Collector's program, built now if the cache has none."""
    return _filled(collector_slot(), _build_collector)


def build_jaeger() -> Path:
    """Jaeger's program, built now if the cache has none."""
    return _filled(jaeger_slot(), _build_jaeger)


def _filled(slot: Slot, build: Callable[[Path], Path]) -> Path:
    if slot.filled():
        _say(f"{slot.tool} {slot.version}: in the cache, {slot.program}")
        return slot.program
    _require_go(slot)
    with slot.locked():
        return slot.program if slot.filled() else _fill(slot, build)


def _require_go(slot: Slot) -> None:
    if shutil.which("go") is None:
        raise NoGoToolchainError(f"no Go toolchain: {slot.tool} {slot.version} cannot be built")


def _fill(slot: Slot, build: Callable[[Path], Path]) -> Path:
    _say(f"{slot.tool} {slot.version}: building, once for this machine (some minutes)")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=slot.folder) as work:
        program = slot.publish(build(Path(work)))
    size = program.stat().st_size / 2**20
    _say(f"{slot.tool} {slot.version}: built in {time.monotonic() - started:.0f} s, {size:.0f} MB")
    return program


def _build_collector(work: Path) -> Path:
    install = f"go.opentelemetry.io/collector/cmd/builder@{COLLECTOR_VERSION}"
    _step("install the collector builder", work, ["go", "install", install], {"GOBIN": str(work)})
    # The builder ends with 1 over a test dependency that no proxy has; what it wrote is complete.
    generate = [str(work / "builder"), "--config", str(MANIFEST), "--skip-compilation"]
    _step("generate the collector's sources", work, generate, {}, may_fail=True)
    sources = work / "sources"
    if not (sources / "main.go").exists():
        raise BuildFailedError(f"the collector builder left no sources in {sources}")
    compile_ = ["go", "build", "-mod=mod", *STATIC, "-o", str(work / "otelcol"), "."]
    _step("compile the collector", sources, compile_, {"CGO_ENABLED": "0"})
    return work / "otelcol"


def _build_jaeger(work: Path) -> Path:
    module = f"github.com/jaegertracing/jaeger@{JAEGER_VERSION}"
    found = _step("download jaeger", work, ["go", "mod", "download", "-json", module], {})
    sources = Path(json.loads(found)["Dir"])
    # Installing by version is refused over a replace directive; building inside the module is not.
    environment = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    compile_ = ["go", "build", *STATIC, "-o", str(work / "jaeger"), "./cmd/all-in-one"]
    _step("compile jaeger", sources, compile_, environment)
    return work / "jaeger"


def _step(
    title: str, where: Path, command: list[str], more: Mapping[str, str], *, may_fail: bool = False
) -> str:
    _say(f"  {title} …")
    started = time.monotonic()
    polite = ["nice", "-n", "10", *command] if shutil.which("nice") else command
    done = subprocess.run(
        polite, cwd=where, env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    if done.returncode and not may_fail:
        raise BuildFailedError(f"{title}: exit {done.returncode}\n{(done.stderr or done.stdout)[-4000:]}")
    _say(f"  {title}: {time.monotonic() - started:.0f} s")
    return done.stdout


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Build all; the exit code tells a machine without Go from a build that went wrong."""
    try:
        build_collector()
        build_jaeger()
    except NoGoToolchainError as missing:
        _say(str(missing))
        return NO_GO
    except BuildFailedError as failure:
        _say(f"build failed: {failure}")
        return FAILED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
