"""Status over HTTP: one execution by its id, or the newest ones that an id of another kind leads to."""

from collections.abc import Iterable, Mapping

from sidecar.core.fencing import unknown
from sidecar.core.ports import ListQuery, Reader
from sidecar.core.refusals import Reason, RefusalError, Refused
from sidecar.triggers import documents
from sidecar.triggers.answers import DEFAULT_NAMESPACE, Answer, document
from sidecar.triggers.parameters import flag, identifier, number, parameters, state

MAX_PAGE = 1_000
USUAL_PAGE = 100

_IDS = (
    "request_id",
    "trace_id",
    "external_id",
    "idempotency_key",
    "workflow_id",
    "webhook_id",
    "schedule_id",
)
_PAGE_PARAMETERS = ("namespace", "execution_id", *_IDS, "state", "limit")

Pairs = Iterable[tuple[str, str]]


class Status:
    """Tells records, without payloads; outputs only where `tells_output` says that callers are known."""

    def __init__(self, reader: Reader, *, tells_output: bool) -> None:
        self._reader = reader
        self._tells_output = tells_output

    async def one(self, execution_id: str, query: Pairs) -> Answer:
        """Return one record.

        Raises:
            RefusalError: EXECUTION_NOT_FOUND, CALLER_NOT_ALLOWED for an output, or what is malformed.
            StoreUnavailableError: the store cannot be read.
        """
        given = parameters(query, ("namespace", "output"))
        wants_output = flag("output", given.get("output", ""))
        if wants_output and not self._tells_output:
            raise RefusalError(Refused(Reason.CALLER_NOT_ALLOWED, _NO_OUTPUT, {"field": "output"}))
        key = namespace(given), identifier("execution_id", execution_id)
        found = await self._reader.get(key)
        if found is None:
            raise RefusalError(unknown(key))
        return document(200, documents.execution(found) | (documents.output(found) if wants_output else {}))

    async def page(self, query: Pairs) -> Answer:
        """Return the newest records that all of the given ids lead to; none is an empty list.

        Raises:
            RefusalError: a parameter is malformed.
            StoreUnavailableError: the store cannot be read.
        """
        given = parameters(query, _PAGE_PARAMETERS)
        found = await self._reader.page(_list_query(given))
        return document(200, {"executions": [documents.execution(each) for each in found]})


_NO_OUTPUT = "outputs are told to known callers only: set SIDECAR_HTTP_TOKEN, and send it as a bearer token"


def namespace(given: Mapping[str, str]) -> str:
    """Return the namespace that is asked about."""
    return identifier("namespace", given.get("namespace", DEFAULT_NAMESPACE))


def _list_query(given: Mapping[str, str]) -> ListQuery:
    ids = {name: identifier(name, given[name]) for name in ("execution_id", *_IDS) if name in given}
    return ListQuery(
        namespace=namespace(given),
        states=(state("state", given["state"]),) if "state" in given else (),
        execution_ids=(ids["execution_id"],) if "execution_id" in ids else (),
        limit=number("limit", given.get("limit", str(USUAL_PAGE)), 1, MAX_PAGE),
        workflow_id=ids.get("workflow_id"),
        request_id=ids.get("request_id"),
        trace_id=ids.get("trace_id"),
        idempotency_key=ids.get("idempotency_key"),
        external_id=ids.get("external_id"),
        schedule_id=ids.get("schedule_id"),
        webhook_id=ids.get("webhook_id"),
    )
