"""The guard: who may use what is served beside webhooks, by a bearer token or by being on this machine."""

import ipaddress
from urllib.parse import urlsplit

from sidecar.core.refusals import Reason, RefusalError, Refused
from sidecar.core.webhooks import Scheme, Verification
from sidecar.triggers.answers import Mistake, MistakeError, mistake
from sidecar.triggers.headers import Headers
from sidecar.triggers.secrets import Secrets
from sidecar.triggers.verification import verify

_CHALLENGE = (("www-authenticate", 'Bearer realm="sidecar"'),)


class Guard:
    """Lets through who has the token. Without one, whoever addresses this machine by a name of its own.

    `token` may be a reference. A page of another site can have a browser ask here under that site's name
    (DNS rebinding), so with `hosts` a request must be addressed to an IP address, localhost or one of them;
    None asks for nothing.
    """

    def __init__(self, token: str, secrets: Secrets, hosts: frozenset[str] | None) -> None:
        self._token = token
        self._secrets = secrets
        self._hosts = hosts

    async def check(self, headers: Headers) -> None:
        """Let a request through or not.

        Raises:
            MistakeError: it has no or another token, or came under another name.
            RefusalError: the token cannot be read, so nobody can be let through.
        """
        if self._token:
            await self._check_token(headers)
        elif self._hosts is not None and not _is_own(headers, self._hosts):
            message = (
                "this address is not known by that Host; use an IP address or localhost, "
                "or set SIDECAR_PUBLIC_URL or SIDECAR_HTTP_TOKEN"
            )
            raise MistakeError(mistake(Mistake.MISDIRECTED, message))

    async def _check_token(self, headers: Headers) -> None:
        resolved = await self._secrets.resolve([self._token])
        if not resolved.texts:
            message = "the token of this address cannot be read; see the sidecar's log"
            raise RefusalError(Refused(Reason.CHECK_FAILED, message))
        if verify(Verification(Scheme.BEARER, resolved.texts), headers, b"", 0) is not None:
            message = "send the token of this address as `Authorization: Bearer <token>`"
            raise MistakeError(mistake(Mistake.UNAUTHENTICATED, message, headers=_CHALLENGE))


def own_hosts(public_url: str) -> frozenset[str]:
    """Return the names that an address is known by beside IP addresses."""
    named = urlsplit(public_url).hostname if public_url else None
    return frozenset(filter(None, ("localhost", named)))


def _is_own(headers: Headers, hosts: frozenset[str]) -> bool:
    """Say whether a request is addressed to one of some names, or to an IP address."""
    host = _name(headers.only("host") or "")
    try:
        return host in hosts or bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return the name of a `Host` without its port, in lower case; empty if it has none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
