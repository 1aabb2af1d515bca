"""The delivery of one claim: sends it, splits what is refused, and decides what becomes of each row."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from sidecar import failpoints
from sidecar.core.parcels import Parcel, Stamp
from sidecar.telemetry.answers import Answer, Blocked, Later, Refused, Taken
from sidecar.telemetry.suspects import Suspects, cut

DELIVERED = "delivered"
REJECTED = "rejected"
DEAD_LETTERED = "dead_lettered"
PENDING = "pending"

SINGLES_IN_A_ROW = 3

_SUSPECTS_AT_ONCE = SINGLES_IN_A_ROW - 1

_MAX_MESSAGES = 64
_MAX_DETAIL = 500

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Trust:
    """Whether the collector has shown that it takes requests, so that a refusal is the row's fault."""

    proven: bool = False
    singles: int = 0
    told: set[str] = field(default_factory=set)
    suspects: Suspects = field(default_factory=Suspects)

    def succeeded(self) -> None:
        """Note that a request was taken."""
        self.proven, self.singles = True, 0

    def lost_one(self) -> bool:
        """Note a dead-lettered row; True when there were too many in a row to go on trusting."""
        self.singles += 1
        if self.singles >= SINGLES_IN_A_ROW:
            self.proven, self.singles = False, 0
        return not self.proven

    def is_news(self, message: str) -> bool:
        """Return whether this text was not yet seen; only so many are remembered."""
        if message in self.told or len(self.told) >= _MAX_MESSAGES:
            return False
        self.told.add(message)
        return True


class Delivery:
    """Rows on their way. After `run`, or wherever it was interrupted, `stamps` says what to record.

    Rows that were refused while nothing else was taken go last, a few after each request that is taken.
    """

    def __init__(
        self, parcels: Sequence[Parcel], send: Callable[[bytes], Awaitable[Answer]], trust: Trust
    ) -> None:
        self._send = send
        self._trust = trust
        self._undecided = {parcel.outbox_id: parcel for parcel in parcels}
        clean, suspects = trust.suspects.part(parcels)
        self._waiting = deque(suspects)
        self._stack = cut(clean, 1 + len(suspects) // _SUSPECTS_AT_ONCE)[::-1]
        self._doubtful: list[tuple[Parcel, str]] = []
        self._decided: list[Stamp] = []
        self.tally: Counter[str] = Counter()

    @property
    def stamps(self) -> list[Stamp]:
        """What is decided, and that the rest is pending again."""
        return [*self._decided, *(Stamp(each, PENDING) for each in self._undecided)]

    async def run(self) -> Later | Blocked | None:
        """Deliver all rows; return why not, if something stood in the way."""
        while batch := self._next():
            failpoints.hit("outbox.before_send")
            halt = self._settle(batch, await self._send(b"".join(parcel.body for parcel in batch)))
            if halt is not None:
                return halt
        return self._nothing_taken() if self._doubtful else None

    def _next(self) -> list[Parcel] | None:
        if self._stack:
            return self._stack.pop()
        return [self._waiting.popleft()] if self._waiting else None

    def _settle(self, batch: list[Parcel], answer: Answer) -> Later | Blocked | None:
        match answer:
            case Taken():
                failpoints.hit("outbox.after_ok")
                self._taken(batch, answer)
                return None
            case Refused():
                return self._refused(batch, answer)
        return answer

    def _taken(self, batch: Sequence[Parcel], answer: Taken) -> None:
        self._trust.succeeded()
        self._retry_a_few()
        spans = sum(parcel.spans for parcel in batch)
        rejected = min(answer.rejected, spans)
        if answer.message and self._trust.is_news(answer.message):
            _log.warning("relay.collector_says", message=answer.message[:_MAX_DETAIL], rejected=rejected)
        self.tally += Counter({DELIVERED: spans - rejected, REJECTED: rejected})
        for parcel in batch:
            self._decide(parcel, REJECTED if rejected else DELIVERED, answer.message, rejected)

    def _refused(self, batch: list[Parcel], answer: Refused) -> Blocked | None:
        if len(batch) > 1:
            middle = len(batch) // 2
            self._stack += (batch[middle:], batch[:middle])
            return None
        if self._trust.proven:
            return self._dead_letter(batch[0], answer.reason)
        self._doubtful.append((batch[0], answer.reason))
        self._trust.suspects.add(batch[0])
        return self._nothing_taken() if len(self._doubtful) >= SINGLES_IN_A_ROW else None

    def _dead_letter(self, parcel: Parcel, reason: str) -> Blocked | None:
        self._decide(parcel, DEAD_LETTERED, reason)
        self.tally[DEAD_LETTERED] += parcel.spans
        _log.error("relay.dead_lettered", outbox_id=parcel.outbox_id, spans=parcel.spans, reason=reason)
        if self._trust.lost_one():
            return Blocked(f"{SINGLES_IN_A_ROW} rows in a row were refused: {reason}")
        return None

    def _retry_a_few(self) -> None:
        """Try suspects again, fewer than would cost the trust that a success has just given."""
        self._waiting.extend(parcel for parcel, _ in self._doubtful)
        self._doubtful.clear()
        for _ in range(min(_SUSPECTS_AT_ONCE, len(self._waiting))):
            self._stack.append([self._waiting.popleft()])

    def _nothing_taken(self) -> Blocked:
        return Blocked(f"nothing was taken yet, and this was refused: {self._doubtful[-1][1]}")

    def _decide(self, parcel: Parcel, state: str, detail: str = "", rejected: int = 0) -> None:
        # The collector does not say which spans it rejected, so a row's count is an upper bound.
        del self._undecided[parcel.outbox_id]
        self._trust.suspects.clear_of(parcel)
        count = min(rejected, parcel.spans)
        self._decided.append(Stamp(parcel.outbox_id, state, count, detail[:_MAX_DETAIL]))
