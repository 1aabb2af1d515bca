"""What definitions are held against that others know about: timetables, schemas and signatures."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.core.ports import PayloadChecker
from sidecar.core.schedules import Calendar, Timing
from sidecar.core.webhooks import Verification
from sidecar.transport.fields import refuse

_DAILY = "0 0 * * *"


@dataclass(frozen=True, slots=True)
class Checks:
    """Refuses what they object to.

    `signatures` says what is wrong with a verification as it is written, as `field: problem`.
    """

    calendar: Calendar
    schemas: PayloadChecker
    signatures: Callable[[Verification], str | None]

    def json_schema(self, name: str, schema: str) -> str:
        """Return a schema that payloads can be held against; empty is none."""
        problem = self.schemas.schema_problem(schema) if schema else None
        if problem is not None:
            refuse(name, schema, problem)
        return schema

    def zone(self, name: str, zone: str) -> str:
        """Return a time zone that is known."""
        problem = self.calendar.problem(Timing(cron=_DAILY, zone=zone))
        if problem is not None:
            refuse(name, zone, problem)
        return zone

    def timing(self, name: str, timing: Timing) -> Timing:
        """Return a timing that has occurrences."""
        problem = self.calendar.problem(timing)
        if problem is not None:
            refuse(name, timing.cron or str(timing.every or timing.once), problem)
        return timing

    def verification(self, name: str, verification: Verification) -> Verification:
        """Return a verification that deliveries can be held against."""
        problem = self.signatures(verification)
        if problem is not None:
            field, _, words = problem.partition(": ")
            shown = "hidden" if field == "secrets" else str(getattr(verification, field))
            refuse(f"{name}.{field}", shown, words)
        return verification
