"""Sends webhooks, repeating each while the sidecar is away, as any sender of webhooks does."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from examples.audit import signing
from examples.audit.deliveries import Delivery
from examples.audit.ways import HOOK_PATH

TRY_SECONDS = 10.0
PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 60.0
COME_AGAIN = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sender heard; empty where the answer does not tell."""

    status: int
    execution_id: str = ""
    existing: bool = False
    reason: str = ""


class Sender:
    """Knows where the webhook is and the secret that it shares with the sidecar."""

    def __init__(self, address: str, secret: str) -> None:
        self._address = address
        self._secret = secret

    def send(self, delivery: Delivery, trace: Mapping[str, str]) -> Answer:
        """Return the answer to a delivery, whose headers are signed anew each time.

        Raises:
            TimeoutError: when the sidecar is away for too long.
        """
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            headers = {**trace, **signing.headers(delivery, self._secret, int(time.time()))}
            answer = self._post(delivery.body, headers)
            if answer is not None and answer.status not in COME_AGAIN:
                return answer
            if time.monotonic() > ends_at:
                raise TimeoutError(f"webhook {delivery.delivery_id} got no answer from {self._address}")
            time.sleep(PAUSE_SECONDS)

    def _post(self, body: bytes, headers: dict[str, str]) -> Answer | None:
        connection = HTTPConnection(self._address, timeout=TRY_SECONDS)
        try:
            connection.request("POST", f"/hooks/{HOOK_PATH}", body, headers)
            response = connection.getresponse()
            return _answer(response.status, json.loads(response.read()))
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()


def _answer(status: int, document: dict[str, Any]) -> Answer:
    return Answer(
        status,
        document.get("execution_id", ""),
        document.get("existing", False),
        document.get("error", {}).get("reason", ""),
    )
