"""The way of one delivery: found, read within its limit, held against its webhook, handed to the entry."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from sidecar.core.catalog import Catalog
from sidecar.core.commands import Accepted
from sidecar.core.definitions import Webhook
from sidecar.core.enqueue import Entry
from sidecar.core.ports import Clock
from sidecar.core.refusals import Reason, RefusalError, Refused, StoreUnavailableError
from sidecar.core.watching import Watchers
from sidecar.core.webhooks import Scheme
from sidecar.triggers import outcomes, requests
from sidecar.triggers.answers import Answer, Links, Mistake, mistake, not_allowed, refusal
from sidecar.triggers.challenges import Received
from sidecar.triggers.handshakes import handshake, methods
from sidecar.triggers.headers import Headers
from sidecar.triggers.secrets import Secrets
from sidecar.triggers.signatures import Fault
from sidecar.triggers.verification import verify

_log = structlog.get_logger("sidecar")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request to a webhook's address, its body not read yet.

    `path` is what follows `/hooks/`, decoded; `read` returns the body, or raises RefusalError with
    PAYLOAD_TOO_LARGE as soon as it is longer than the bytes that it is given.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Headers
    read: Callable[[int], Awaitable[bytes]]


class Hooks:
    """Takes deliveries. Nothing is queued, and no record left, until the sender is known to be genuine."""

    def __init__(
        self,
        entry: Entry,
        watchers: Watchers,
        catalog: Callable[[], Catalog],
        secrets: Secrets,
        clock: Clock,
        links: Links,
        max_body_bytes: int,
    ) -> None:
        self._entry = entry
        self._watchers = watchers
        self._catalog = catalog
        self._secrets = secrets
        self._clock = clock
        self._links = links
        self._max_body_bytes = max_body_bytes

    async def deliver(self, incoming: Incoming) -> Answer:
        """Return the answer to a delivery; one that says 2xx was durable before.

        Raises:
            RefusalError: the delivery is malformed or too large; nothing was queued.
            MistakeError: the same, of what is a matter of HTTP alone.
            StoreUnavailableError: nothing is known to be durable; the delivery may be repeated.
        """
        requests.within(incoming.headers, self._max_body_bytes)
        found = self._catalog().webhook(incoming.path)
        if found is None or found[1].disabled:
            return mistake(Mistake.WEBHOOK_NOT_FOUND, "no webhook has this path")
        namespace, hook = found
        allowed = methods(hook.provider)
        if incoming.method not in allowed:
            return not_allowed(incoming.method, allowed)
        body = b"" if incoming.method == "GET" else await self._body(incoming, hook)
        return await self._held_against(namespace, hook, incoming, body)

    async def _body(self, incoming: Incoming, hook: Webhook) -> bytes:
        limit = min(hook.max_body_bytes or self._max_body_bytes, self._max_body_bytes)
        requests.within(incoming.headers, limit)
        return await incoming.read(limit)

    async def _held_against(self, namespace: str, hook: Webhook, incoming: Incoming, body: bytes) -> Answer:
        """Answer a challenge, refuse what is not genuine, and have the rest accepted.

        Challenges come before the media type, since some come as another one than deliveries do.
        """
        secrets = await self._secrets.resolve(hook.verification.secrets)
        verification = replace(hook.verification, secrets=secrets.texts)
        fault = verify(verification, incoming.headers, body, self._clock.now())
        received = Received(
            incoming.method, incoming.query, incoming.headers, body, secrets.texts, verified=fault is None
        )
        answer = handshake(hook.provider, received)
        if answer is not None:
            return Answer(answer.status, answer.body, answer.content_type, answer.headers)
        content_type = requests.content_type(incoming.headers, hook.content_types)
        if fault is not None:
            return self._not_genuine(hook, fault, bool(secrets.missing))
        request = requests.request(namespace, hook, incoming.headers, body, content_type)
        return await self._answer(hook, (await self._entry.enqueue([request]))[0])

    def _not_genuine(self, hook: Webhook, fault: Fault, secrets_missing: bool) -> Answer:
        """Refuse a delivery; where it may be the sidecar that lacks a secret, have it come again."""
        _log.info("webhook.refused", webhook_id=hook.webhook_id, fault=fault.value)
        if fault is Fault.UNCONFIGURED or (fault is Fault.MISMATCH and secrets_missing):
            message = "a secret of this webhook cannot be read here; repeat the delivery later"
            return refusal(Refused(Reason.CHECK_FAILED, message), self._links)
        bearer = hook.verification.scheme is Scheme.BEARER
        headers = (("www-authenticate", 'Bearer realm="sidecar"'),) if bearer else ()
        message = f"the delivery is not known to be genuine: {_FAULTS[fault]}"
        return mistake(Mistake.UNAUTHENTICATED, message, {"fault": fault.value}, headers)

    async def _answer(self, hook: Webhook, answer: Accepted | Refused) -> Answer:
        if isinstance(answer, Refused):
            return refusal(answer, self._links)
        if hook.wait is None:
            return outcomes.accepted(answer, self._links)
        try:
            execution = await self._watchers.wait(answer.execution.key, hook.wait.total_seconds())
        except (RefusalError, StoreUnavailableError):
            # It is durable all the same, so that is what its sender hears.
            return outcomes.accepted(answer, self._links)
        if execution.is_terminal:
            return outcomes.ended(execution, self._links)
        return outcomes.accepted(replace(answer, execution=execution), self._links)


_FAULTS = {
    Fault.MISSING: "a header that it needs is not there",
    Fault.MALFORMED: "a header that it needs is repeated or malformed",
    Fault.MISMATCH: "no secret fits",
    Fault.STALE: "it was signed too long ago, or too far ahead",
}
