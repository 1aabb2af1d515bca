"""The house: joins the rooms, starts them in order, and drains them in the reverse one."""

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from sidecar.ambient import RandomIds, SystemClock
from sidecar.config import Settings, environment, is_local
from sidecar.core.admission import AdmissionLimits
from sidecar.core.catalog import Catalog
from sidecar.core.commands import Rebase
from sidecar.core.dispatch import Dispatcher
from sidecar.core.enqueue import Entry
from sidecar.core.folio import Limits
from sidecar.core.model import Resource
from sidecar.core.ports import Change
from sidecar.core.reaper import Reaper
from sidecar.core.refusals import StoreUnavailableError
from sidecar.core.registry import Registry
from sidecar.core.resources import resource
from sidecar.core.watching import Watchers
from sidecar.payloads import JsonSchemas
from sidecar.store.engine import UnusableStoreError
from sidecar.store.open import Store, StoreSettings, open_store
from sidecar.telemetry.encoding import OtlpEncoder
from sidecar.telemetry.notes import note_bug, note_end, note_fault
from sidecar.telemetry.observer import Observer
from sidecar.telemetry.otlp_client import OtlpClient
from sidecar.telemetry.relay import Relay
from sidecar.telemetry.relay_status import Pace
from sidecar.telemetry.resource import sidecar_resource, worker_resource
from sidecar.telemetry.settings import TelemetrySettings
from sidecar.telemetry.stranded import warn_of_stranded
from sidecar.transport.admin_service import AdminService
from sidecar.transport.checks import Checks
from sidecar.transport.execution_service import ExecutionService
from sidecar.transport.interceptor import CallInterceptor
from sidecar.transport.registry_service import RegistryService
from sidecar.transport.schedule_service import ScheduleService
from sidecar.transport.server import Server
from sidecar.transport.worker_service import WorkerService
from sidecar.triggers.defined import defined_problem
from sidecar.triggers.occurrences import Calendar
from sidecar.triggers.scheduler import Scheduler

if TYPE_CHECKING:
    from sidecar.triggers.http_server import HttpServer

_log = structlog.get_logger("sidecar")

_NET = 1.0
"""Seconds between looks at a store that other sidecars write to as well."""
_SLOW_NET = 15
"""Looks between two at a store of our own, which wake-ups should have made needless."""
_GAUGES = 5.0
_FLUSH_SHARE = 0.4
"""How much of the drain's time the relays may use."""


class Sidecar:
    """One sidecar: made from settings, started, drained. Two share nothing but their store."""

    def __init__(self, settings: Settings, telemetry: TelemetrySettings) -> None:
        """Open the store and join the rooms; nothing runs yet.

        Raises:
            UnusableStoreError: if the store cannot be used as it is.
            TelemetrySettingError: for a certificate or key that cannot be read.
        """
        self._settings = settings
        self._clock, self._ids = SystemClock(), RandomIds()
        self._limits = Limits(
            lease_ttl=settings.lease_ttl,
            max_output_bytes=settings.max_output_bytes,
            max_steps=settings.max_steps,
            settlement_logs=telemetry.logs is not None,
        )
        own = sidecar_resource(telemetry.resource, self._ids.execution_id())
        self._meter = Observer(telemetry, own, self._clock)
        self._store = self._open_store(OtlpEncoder(own, telemetry.span_limits, telemetry.log_limits))
        self._destinations = {"traces": telemetry.traces, "logs": telemetry.logs}
        self._relays = self._make_relays()
        ledger, reader = self._store.ledger, self._store.reader
        poll = _NET if self._store.shared else None
        self._watchers = Watchers(reader, poll)
        self._registry = Registry(reader, settings.strict_namespaces)
        self._registry.on_change(lambda _: self._dispatcher.wake_all())
        self._dispatcher = Dispatcher(ledger, reader, on_error=note_fault, catalog=self._catalog)
        self._schemas = JsonSchemas()
        self._reaper = self._make_reaper()
        self._server = self._make_server(telemetry, str(dict(own)["service.name"]))
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_away = False
        self._draining = False

    def _open_store(self, encoder: OtlpEncoder) -> Store:
        settings = self._settings
        return open_store(
            settings.store,
            clock=self._clock,
            limits=self._limits,
            chance=self._ids,
            encoder=encoder,
            meter=self._meter,
            settings=StoreSettings(
                max_waiting=settings.max_queued_commands,
                patience_seconds=settings.store_patience.total_seconds(),
            ),
            on_error=note_fault,
        )

    def _make_relays(self) -> list[Relay]:
        relay_id, lease = self._ids.execution_id(), self._settings.relay_lease
        pace = Pace(lease=lease, sweep=lease)
        return [
            Relay(self._store.ledger, OtlpClient(signal, to), self._meter, relay_id, self._ids.fraction, pace)
            for signal, to in self._destinations.items()
            if to is not None
        ]

    def _make_reaper(self) -> Reaper:
        return Reaper(
            self._store.ledger,
            self._store.reader,
            self._clock,
            self._store.ledger,
            self._limits,
            period=self._settings.reap_period.total_seconds(),
            on_error=note_fault,
        )

    def _make_server(self, telemetry: TelemetrySettings, service_name: str) -> Server:
        ledger, reader = self._store.ledger, self._store.reader
        settings = self._settings
        admission = AdmissionLimits(settings.max_payload_bytes, settings.idempotency_window)
        entry = Entry(
            ledger,
            self._ids,
            self._clock,
            telemetry.sampler(),
            admission,
            self._dispatcher.wake,
            self._catalog,
            self._schemas,
        )
        calendar, registry = Calendar(), self._registry
        checks = Checks(calendar, self._schemas, defined_problem)
        self._scheduler = Scheduler(
            ledger, reader, entry, registry, calendar, self._clock, self._ids, on_error=note_fault
        )
        self._web = self._make_web(entry)
        return Server(
            ExecutionService(entry, ledger, reader, self._watchers, self._dispatcher),
            WorkerService(ledger, self._dispatcher, self._limits, _declare, note_bug),
            AdminService(reader, service_name),
            RegistryService(ledger, registry, checks, self._clock),
            ScheduleService(ledger, reader, registry, self._scheduler, calendar, self._clock),
            CallInterceptor(self._meter.called, note_bug),
        )

    def _make_web(self, entry: Entry) -> "HttpServer | None":
        if not self._settings.http_listen:
            return None
        from sidecar.triggers.web import Rooms, open_web

        settings, reader = self._settings, self._store.reader
        rooms = Rooms(
            entry, reader, self._watchers, self._scheduler, self._clock, self._catalog, self._unready
        )
        return open_web(rooms, settings, environment(), is_local=is_local(settings.http_listen))

    def _unready(self) -> str | None:
        if self._draining:
            return "draining"
        return "store_away" if self._store.ledger.is_away else None

    def _catalog(self) -> Catalog:
        return self._registry.catalog

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        return self._server.port

    @property
    def http_port(self) -> int | None:
        """The port of the HTTP pages, once started; None where they are turned off."""
        return self._web.port if self._web else None

    async def start(self) -> None:
        """Begin to commit, then to reap and to send, and only then to serve.

        Raises:
            OSError: if the address cannot be listened on.
            UnusableStoreError: if what is defined cannot be read: nothing is let in that it may forbid.
        """
        for notice in self._store.notices:
            _log.warning("store.notice", notice=notice)
        ledger = self._store.ledger
        self._store.start(asyncio.get_running_loop(), self)
        if not self._store.shared:
            await self._rebase_leases()
        await self._read_definitions()
        with contextlib.suppress(StoreUnavailableError):
            await warn_of_stranded(ledger, [s for s, to in self._destinations.items() if to is None])
        for relay in self._relays:
            relay.start()
        self._spawn(self._reaper.run())
        if self._settings.scheduler:
            self._spawn(self._scheduler.run())
        self._spawn(self._look_around())
        await self._server.start(self._settings.listen)
        if self._web:
            await self._web.start(self._settings.http_listen)
        _log.info("sidecar.ready", listen=self._settings.listen, port=self.port, http_port=self.http_port)

    def changed(self, changes: Sequence[Change]) -> None:
        """Tell whoever waits for a commit: workers, watchers, schedules, relays."""
        self._dispatcher.changed(changes)
        self._watchers.changed(changes)
        self._scheduler.changed(changes)
        for relay in self._relays:
            relay.wake()

    async def stop(self) -> None:
        """Drain: no more claims, calls end, spans go out, the store closes."""
        grace = self._settings.drain_grace
        self._draining = True
        self._dispatcher.drain()
        self._scheduler.drain()
        self._watchers.drain()
        calls = grace.total_seconds() * (1 - _FLUSH_SHARE)
        pages = self._web.stop(calls) if self._web else asyncio.sleep(0)
        await asyncio.gather(pages, self._server.stop(calls))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        flushes = [relay.close(grace * _FLUSH_SHARE) for relay in self._relays]
        await asyncio.gather(*flushes, asyncio.to_thread(self._meter.close))
        await asyncio.to_thread(self._store.close)
        _log.info("sidecar.stopped")

    async def _read_definitions(self) -> None:
        try:
            await self._registry.refresh()
        except StoreUnavailableError as error:
            raise UnusableStoreError(f"what is defined cannot be read: {error}") from error

    async def _rebase_leases(self) -> None:
        """Give live leases a whole time-to-live: the clock they were measured by ended with its process."""
        running = await self._store.reader.running()
        await self._store.ledger.submit_many([Rebase(e.key, e.fence) for e in running])

    async def _look_around(self) -> None:
        """Feed the gauges; on a shared store, look for what other sidecars left for our workers."""
        for ticks in itertools.count():
            try:
                await self._look(ticks)
            except Exception as error:  # an agent must outlive what nobody thought of
                note_fault(error)
            await asyncio.sleep(_NET)

    async def _look(self, ticks: int) -> None:
        await self._tell_health()
        if self._store.shared or ticks % _SLOW_NET == 0:
            self._dispatcher.wake_all()
            await self._registry.refresh()
        if ticks % int(_GAUGES / _NET) == 0:
            self._meter.observe(await self._store.reader.gauges())

    async def _tell_health(self) -> None:
        """Be ready only while the store takes commits; while it does not, try it, as nobody else may."""
        away = self._store.ledger.is_away
        if away != self._told_away:
            self._told_away = away
            await self._server.report(serving=not away)
        if away:
            with contextlib.suppress(StoreUnavailableError):
                await self._store.ledger.submit(Rebase(("", ""), 0))

    def _spawn(self, agent: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(agent)
        self._tasks.add(task)
        task.add_done_callback(note_end)


def _declare(attributes: dict[str, str], sdk: str) -> Resource:
    return resource(worker_resource(tuple(attributes.items())), sdk)
