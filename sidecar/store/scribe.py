"""The scribe: applies the commands of one commit, in order, within its transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from sidecar.core.commands import Begin, Claim, Command, Delivery
from sidecar.core.fold import accept_in, fold
from sidecar.core.folio import Chance, Folio, Limits
from sidecar.core.model import Execution
from sidecar.core.parcels import ClaimParcels, StampParcels
from sidecar.core.ports import Change, Encoder
from sidecar.failpoints import hit
from sidecar.store.claiming import Allowance, Claimer
from sidecar.store.counting import Counter, lanes_of
from sidecar.store.definitions import DefinitionRows
from sidecar.store.engine import Dialect, Opening
from sidecar.store.lanes import Lanes
from sidecar.store.loading import AsRead, Loader
from sidecar.store.outbox import Parcels
from sidecar.store.posting import Poster
from sidecar.store.standings import StandingRows
from sidecar.store.writing import Writer

Numbered = tuple[int, Command[Any]]


@dataclass(slots=True)
class Applied:
    """What a transaction did: answers by the number of their command, and what to tell afterwards."""

    answers: dict[int, object] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    settled: list[Execution] = field(default_factory=list)
    conflicts: int = 0
    wrote: bool = False
    points: list[str] = field(default_factory=lambda: ["commit"])
    """The prefixes of the failpoints that this commit passes."""


class Scribe:
    """Loads, folds and writes; knows nothing of threads, commits or failures."""

    def __init__(self, dialect: Dialect, encoder: Encoder, limits: Limits, chance: Chance) -> None:
        self._limits = limits
        self._chance = chance
        self._loader = Loader(dialect)
        self._writer = Writer(dialect)
        self._poster = Poster(dialect, encoder, self._loader)
        self._claimer = Claimer(dialect, self._loader)
        self._parcels = Parcels(dialect)
        self._counter = Counter(dialect)
        self._definitions = DefinitionRows(dialect)
        self._standings = StandingRows(dialect)

    def apply(self, connection: Connection, opening: Opening, commands: Sequence[Command[Any]]) -> Applied:
        """Apply the commands: first what executions live through, then claims, then the outbox.

        Claims look last, so that they see what this very commit made ready.
        """
        applied = Applied()
        claims: dict[Lanes, list[tuple[int, Claim]]] = {}
        verbs: list[Numbered] = []
        parcels: list[Numbered] = []
        for number, command in enumerate(commands):
            match command:
                case Claim():
                    claims.setdefault(lanes_of(command), []).append((number, command))
                case ClaimParcels() | StampParcels():
                    parcels.append((number, command))
                case _:
                    verbs.append((number, command))
        self._definitions.take_turn(connection, commands)
        self._counter.take_turns(connection, commands)
        self._fold(connection, opening, verbs, applied)
        allowance = Allowance()
        for lanes, asked in claims.items():
            self._serve(connection, opening, lanes, asked, allowance, applied)
        for number, command in parcels:
            applied.answers[number] = self._forward(connection, opening, command, applied)
        # What was claimed in the commit of its own accept is news as RUNNING only.
        applied.changes = list({change.key: change for change in applied.changes}.values())
        return applied

    def _fold(
        self, connection: Connection, opening: Opening, verbs: Sequence[Numbered], applied: Applied
    ) -> None:
        folio = self._folio(opening)
        as_read = self._loader.open(connection, folio, [command for _, command in verbs])
        self._counter.count(connection, folio, [command for _, command in verbs])
        self._definitions.open(connection, folio, [command for _, command in verbs])
        as_read.standings = self._standings.open(connection, folio, [command for _, command in verbs])
        for number, command in verbs:
            applied.answers[number] = fold(folio, command)
        if any(accept_in(command) for _, command in verbs):
            applied.points.append("accept")
        begun = [c for n, c in verbs if isinstance(c, Begin) and isinstance(applied.answers[n], Delivery)]
        if begun:
            applied.points.append("claim")
            self._writer.declare(connection, [command.resource for command in begun])
        self._write(connection, folio, as_read, applied)

    def _serve(
        self,
        connection: Connection,
        opening: Opening,
        lanes: Lanes,
        asked: Sequence[tuple[int, Claim]],
        allowance: Allowance,
        applied: Applied,
    ) -> None:
        folio = self._folio(opening)
        claims = [claim for _, claim in asked]
        answers, as_read = self._claimer.serve(connection, folio, lanes, claims, allowance)
        applied.answers.update(zip((number for number, _ in asked), answers, strict=True))
        served = [c.resource for c, answer in zip(claims, answers, strict=True) if answer.deliveries]
        if served and "claim" not in applied.points:
            applied.points.append("claim")
        self._writer.declare(connection, served)
        if folio.changed:
            self._write(connection, folio, as_read, applied)

    def _write(self, connection: Connection, folio: Folio, as_read: AsRead, applied: Applied) -> None:
        settled = _settled(folio, as_read)
        if settled and "settle" not in applied.points:
            applied.points.append("settle")
        if settled:
            hit("settle.before_outbox")
        self._poster.post(connection, folio)
        if settled:
            hit("settle.between")
        self._writer.write(connection, folio, as_read)
        self._counter.save(connection, folio)
        defined = self._definitions.save(connection, folio)
        stood = self._standings.save(connection, folio, as_read.standings)
        touched = (*folio.created.values(), *folio.changed.values())
        applied.wrote = applied.wrote or bool(touched or folio.events or defined or stood)
        applied.changes.extend(_change(execution, folio.now) for execution in touched)
        applied.settled.extend(settled)
        applied.conflicts += folio.conflicts

    def _forward(
        self, connection: Connection, opening: Opening, command: Command[Any], applied: Applied
    ) -> object:
        match command:
            case ClaimParcels():
                found = self._parcels.claim(connection, opening.now, command)
                applied.wrote = applied.wrote or bool(found)
                return found
            case StampParcels():
                self._parcels.stamp(connection, opening.now, command)
                applied.wrote = True
                return None
            case _:
                raise TypeError(f"not for the outbox: {command!r}")

    def _folio(self, opening: Opening) -> Folio:
        return Folio(opening.now, self._limits, self._chance, opening.ticks)


def _settled(folio: Folio, as_read: AsRead) -> list[Execution]:
    """Return the executions that this commit ends."""
    ended = [e for e in (*folio.created.values(), *folio.changed.values()) if e.is_terminal]
    return [e for e in ended if e.key not in as_read.guards or as_read.guards[e.key][1] != e.state]


def _change(execution: Execution, now: int) -> Change:
    correlation, terms = execution.correlation, execution.terms
    return Change(
        execution.key,
        execution.version,
        execution.state,
        terms.queue,
        correlation.workflow_id,
        execution.run_at,
        now,
    )
