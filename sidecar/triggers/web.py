"""The web: joins what is served over HTTP; whoever turns it off imports neither starlette nor uvicorn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sidecar.core.catalog import Catalog
from sidecar.core.enqueue import Entry
from sidecar.core.ports import Clock, Reader
from sidecar.core.watching import Watchers
from sidecar.triggers.answers import Links
from sidecar.triggers.due import DueSchedules
from sidecar.triggers.guard import Guard, own_hosts
from sidecar.triggers.hooks import Hooks
from sidecar.triggers.http_app import Site
from sidecar.triggers.http_server import HttpServer
from sidecar.triggers.secrets import Secrets
from sidecar.triggers.status import Status


class WebSettings(Protocol):
    """How it is served."""

    @property
    def max_body_bytes(self) -> int:
        """Largest body of a delivery that is read."""

    @property
    def http_token(self) -> str:
        """The bearer token, or a reference to it; empty asks for none."""

    @property
    def public_url(self) -> str:
        """What status addresses begin with; empty where that is not known."""

    @property
    def http_timeout(self) -> timedelta:
        """How long a whole request may take its sender."""

    @property
    def http_connections(self) -> int:
        """Connections at once."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What is served: the parts of a sidecar that requests lead to."""

    entry: Entry
    reader: Reader
    watchers: Watchers
    schedules: DueSchedules
    clock: Clock
    catalog: Callable[[], Catalog]
    unready: Callable[[], str | None]


def open_web(
    rooms: Rooms, settings: WebSettings, environment: Mapping[str, str], *, is_local: bool
) -> HttpServer:
    """Return the server of a sidecar's webhooks and status pages; it does not listen yet.

    `is_local` says that only this machine can come here.
    """
    secrets = Secrets(environment, rooms.clock)
    hooks = Hooks(
        rooms.entry,
        rooms.watchers,
        rooms.catalog,
        secrets,
        rooms.clock,
        Links(settings.public_url),
        settings.max_body_bytes,
    )
    site = Site(
        hooks,
        Status(rooms.reader, tells_output=bool(settings.http_token)),
        rooms.schedules,
        Guard(settings.http_token, secrets, own_hosts(settings.public_url) if is_local else None),
        rooms.clock,
        rooms.unready,
    )
    return HttpServer(site.app(), settings.http_timeout, settings.http_connections)
