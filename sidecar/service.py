"""The process: reads settings, runs a sidecar until it is told to stop, and says how it ended."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable

import structlog

from sidecar import failpoints
from sidecar.app import Sidecar
from sidecar.config import Settings, environment
from sidecar.store.engine import UnusableStoreError
from sidecar.telemetry.environment import TelemetrySettingError
from sidecar.telemetry.logs import configure_logging
from sidecar.telemetry.settings import TelemetrySettings, read_settings

EXIT_OK = 0
EXIT_FAULT = 1
EXIT_CONFIGURATION = 2
EXIT_FORCED = 8

_log = structlog.get_logger("sidecar")


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code: 0 drained, 1 fault, 2 configuration, 8 forced."""
    log = configure_logging(settings.log_level)
    try:
        return _serve(settings)
    finally:
        log.finish()


def _serve(settings: Settings) -> int:
    try:
        if settings.unsafe_failpoints:
            failpoints.arm(settings.failpoints)
        telemetry = read_settings(environment())
        for warning in telemetry.warnings:
            _log.warning("telemetry.setting", warning=warning)
        return asyncio.run(_run(settings, telemetry))
    except (TelemetrySettingError, failpoints.UnknownFailpointError) as error:
        _log.error("sidecar.unusable_setting", problem=str(error))
        return EXIT_CONFIGURATION
    except (UnusableStoreError, OSError) as error:
        _log.error("sidecar.cannot_start", problem=str(error))
        return EXIT_FAULT


async def _run(settings: Settings, telemetry: TelemetrySettings) -> int:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stopper(asked))
    sidecar = Sidecar(settings, telemetry)
    await sidecar.start()
    _settle_memory()
    await asked.wait()
    _log.info("sidecar.draining", grace_seconds=settings.drain_grace.total_seconds())
    try:
        async with asyncio.timeout(settings.drain_grace.total_seconds() + 1):
            await sidecar.stop()
    except TimeoutError:
        _log.error("sidecar.drain_overran")
        os._exit(EXIT_FORCED)
    return EXIT_OK


def _settle_memory() -> None:
    """Keep what lives as long as the process out of the garbage collector's rounds, and make them rare."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _stopper(asked: asyncio.Event) -> Callable[[], None]:
    """Return what a signal does: the first drains, the second ends at once; what is committed stays."""

    def stop() -> None:
        if asked.is_set():
            os._exit(EXIT_FORCED)
        asked.set()

    return stop
