"""The application over HTTP: which path leads where, and who may go there."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import Route, Router

from sidecar.core.ports import Clock
from sidecar.triggers import due
from sidecar.triggers.answers import Answer, Mistake, document, mistake
from sidecar.triggers.due import DueSchedules
from sidecar.triggers.guard import Guard
from sidecar.triggers.hooks import Hooks, Incoming
from sidecar.triggers.http_page import Handler, Page, body_of, headers_of
from sidecar.triggers.status import Status

_ENCODED_SLASH = b"%2f"


@dataclass(frozen=True, slots=True)
class Site:
    """What is served. `unready` says why no work is welcome now, None if it is."""

    hooks: Hooks
    status: Status
    schedules: DueSchedules
    guard: Guard
    clock: Clock
    unready: Callable[[], str | None]

    def app(self) -> Router:
        """Return the ASGI application; webhooks guard themselves, and the probes are for everybody."""
        routes = [
            Route("/hooks/{path:path}", Page(self._deliver, self.clock)),
            Route("/livez", Page(_live, self.clock, methods=["GET"])),
            Route("/readyz", Page(self._ready, self.clock, methods=["GET"])),
            Route("/executions", self._guarded(self._list, "GET")),
            Route("/executions/{execution_id:path}", self._guarded(self._find, "GET")),
            Route("/schedules/run-due", self._guarded(self._run_due, "POST")),
        ]
        return Router(routes, redirect_slashes=False, default=self._guarded(_nothing))

    def _guarded(self, handler: Handler, *methods: str) -> Page:
        return Page(handler, self.clock, methods=methods, guard=self.guard)

    async def _deliver(self, request: Request) -> Answer:
        async def read(limit: int) -> bytes:
            return await body_of(request, limit)

        query = tuple(request.query_params.multi_items())
        incoming = Incoming(request.method, _hook_path(request), query, headers_of(request), read)
        return await self.hooks.deliver(incoming)

    async def _find(self, request: Request) -> Answer:
        return await self.status.one(request.path_params["execution_id"], request.query_params.multi_items())

    async def _list(self, request: Request) -> Answer:
        return await self.status.page(request.query_params.multi_items())

    async def _run_due(self, request: Request) -> Answer:
        body = await body_of(request, due.MAX_BODY)
        return await due.run_due(self.schedules, headers_of(request), body)

    async def _ready(self, _request: Request) -> Answer:
        problem = self.unready()
        return document(200 if problem is None else 503, {"status": problem or "ready"})


async def _live(_request: Request) -> Answer:
    return document(200, {"status": "live"})


async def _nothing(_request: Request) -> Answer:
    return mistake(Mistake.PAGE_NOT_FOUND, "nothing is served at this path")


def _hook_path(request: Request) -> str:
    """Return what follows `/hooks/`; with an encoded slash nothing that a webhook could have."""
    path: str = request.path_params["path"]
    return "" if _ENCODED_SLASH in request.scope["raw_path"].lower() else path
