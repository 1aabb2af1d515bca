"""ExecutionService: callers enqueue, look, wait and cancel."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from sidecar.conventions.carrier import Carrier
from sidecar.core.commands import Accepted, Cancel
from sidecar.core.dispatch import Dispatcher
from sidecar.core.enqueue import Entry, Request
from sidecar.core.fencing import unknown
from sidecar.core.ports import Ledger, Reader
from sidecar.core.refusals import RefusalError, Refused
from sidecar.core.watching import Watchers
from sidecar.transport import requests, responses
from sidecar.transport.context import Context, caller_of
from sidecar.transport.errors import refusal
from sidecar.transport.fields import duration, refuse, text
from sidecar.v1 import execution_service_pb2 as api
from sidecar.v1 import execution_service_pb2_grpc as stubs

MAX_ITEMS = 1_000
_DEFAULT_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(minutes=5)
_DEFAULT_GRACE = timedelta(seconds=30)


class ExecutionService(stubs.ExecutionServiceServicer):
    """Translates, validates, calls the core."""

    def __init__(
        self, entry: Entry, ledger: Ledger, reader: Reader, watchers: Watchers, dispatcher: Dispatcher
    ) -> None:
        self._entry = entry
        self._ledger = ledger
        self._reader = reader
        self._watchers = watchers
        self._dispatcher = dispatcher

    async def EnqueueExecution(
        self, request: api.EnqueueExecutionRequest, context: Context
    ) -> api.EnqueueExecutionResponse:
        """Accept one execution; the answer leaves after the commit."""
        item = requests.enqueue_item(request.namespace, request.item, caller_of(context))
        answer = (await self._entry.enqueue([item]))[0]
        return responses.accepted(_granted(answer))

    async def EnqueueExecutions(
        self, request: api.EnqueueExecutionsRequest, context: Context
    ) -> api.EnqueueExecutionsResponse:
        """Accept many; what is malformed or refused fails alone."""
        if not 1 <= len(request.items) <= MAX_ITEMS:
            refuse("items", len(request.items), f"must be 1 to {MAX_ITEMS}")
        requests.namespace(request.namespace)
        caller = caller_of(context)
        parsed = [_parse(request.namespace, item, caller) for item in request.items]
        good = [p for p in parsed if isinstance(p, Request)]
        answers = iter(await self._entry.enqueue(good)) if good else iter(())
        results = [p if isinstance(p, Refused) else next(answers) for p in parsed]
        return api.EnqueueExecutionsResponse(results=_results(results))

    async def GetExecution(
        self, request: api.GetExecutionRequest, context: Context
    ) -> api.GetExecutionResponse:
        """Return one record."""
        key = requests.key(request.namespace, request.execution_id)
        execution = await self._reader.get(key)
        if execution is None:
            raise RefusalError(unknown(key))
        return api.GetExecutionResponse(execution=responses.execution(execution))

    async def ListExecutions(
        self, request: api.ListExecutionsRequest, context: Context
    ) -> api.ListExecutionsResponse:
        """Return a page, newest first."""
        query = requests.list_query(request)
        found = await self._reader.page(query)
        last = found[-1] if len(found) == query.limit else None
        token = requests.page_token(last.accepted_at, last.correlation.execution_id) if last else ""
        return api.ListExecutionsResponse(
            executions=[responses.brief(e) for e in found], next_page_token=token
        )

    async def WatchExecution(
        self, request: api.WatchExecutionRequest, context: Context
    ) -> AsyncIterator[api.WatchExecutionResponse]:
        """Yield the record, then each change, ending after the end."""
        key = requests.key(request.namespace, request.execution_id)
        async for execution in self._watchers.watch(key):
            yield api.WatchExecutionResponse(execution=responses.execution(execution))

    async def WaitExecution(
        self, request: api.WaitExecutionRequest, context: Context
    ) -> api.WaitExecutionResponse:
        """Answer at the end, or when the time is up."""
        key = requests.key(request.namespace, request.execution_id)
        timeout = duration(request, "timeout", "timeout", positive=False)
        timeout = _DEFAULT_WAIT if timeout is None else timeout
        if timeout > _LONGEST_WAIT:
            refuse("timeout", timeout, f"is longer than {_LONGEST_WAIT}")
        execution = await self._watchers.wait(key, timeout.total_seconds())
        return api.WaitExecutionResponse(
            execution=responses.execution(execution), finalized=execution.is_terminal
        )

    async def CancelExecution(
        self, request: api.CancelExecutionRequest, context: Context
    ) -> api.CancelExecutionResponse:
        """Settle what waits, ask the worker of what runs."""
        key = requests.key(request.namespace, request.execution_id)
        grace = duration(request, "grace", "grace", positive=False)
        reason = text("reason", request.reason)
        command = Cancel(key, reason, _DEFAULT_GRACE if grace is None else grace)
        answer = await self._ledger.submit(command)
        if isinstance(answer, Refused):
            raise RefusalError(answer)
        return api.CancelExecutionResponse(
            execution=responses.execution(answer.execution),
            settled=answer.settled,
            worker_told=self._dispatcher.tell_cancel(answer.execution, answer.grace_left),
        )


def _granted(answer: Accepted | Refused) -> Accepted:
    if isinstance(answer, Refused):
        raise RefusalError(answer)
    return answer


def _parse(namespace: str, item: api.EnqueueItem, caller: Carrier) -> Request | Refused:
    try:
        return requests.enqueue_item(namespace, item, caller)
    except RefusalError as error:
        return error.refused


def _results(answers: Sequence[Accepted | Refused]) -> list[api.EnqueueResult]:
    return [
        api.EnqueueResult(refused=refusal(answer))
        if isinstance(answer, Refused)
        else api.EnqueueResult(accepted=responses.accepted(answer))
        for answer in answers
    ]
