"""Definitions, from the wire to the core's own words; refusals name `definitions[3].workflow.rate.limit`."""

from sidecar.core.correlation import Source
from sidecar.core.definitions import (
    Definition,
    Kind,
    Misfire,
    Overlap,
    Queue,
    Schedule,
    Workflow,
    kind_of,
    name_of,
)
from sidecar.core.refusals import RefusalError, invalid
from sidecar.core.schedules import Timing
from sidecar.transport import policies
from sidecar.transport.checks import Checks
from sidecar.transport.fields import bounded_int, duration, identifier, instant, prose, refuse, text
from sidecar.transport.webhook_requests import webhook
from sidecar.transport.words import required_word, word
from sidecar.v1 import definitions_pb2 as pb
from sidecar.v1 import execution_pb2 as execution
from sidecar.v1 import registry_service_pb2 as api

MAX_DEFINITIONS = 1_000
MAX_NUMBER = 2**53
"""Of bytes and of what may wait: whole numbers that JSON keeps exactly."""
MAX_SCHEDULED_PAYLOAD = 262_144
MAX_MISFIRES = 1_000
MAX_FAILURES = 1_000_000


def definitions(request: api.ApplyDefinitionsRequest, checks: Checks) -> tuple[Definition, ...]:
    """Return what is to be defined.

    Raises:
        RefusalError: naming the first field that is malformed.
    """
    bounded_int("definitions", len(request.definitions), 0 if request.prune else 1, MAX_DEFINITIONS)
    found: dict[tuple[Kind, str], Definition] = {}
    for index, message in enumerate(request.definitions):
        name = f"definitions[{index}]"
        definition = _definition(name, message, checks)
        key = kind_of(definition), name_of(definition)
        if key in found:
            refuse(name, key[1], f"defines the {key[0]} a second time")
        found[key] = definition
    return tuple(found.values())


def _definition(name: str, message: pb.Definition, checks: Checks) -> Definition:
    match message.WhichOneof("kind"):
        case "workflow":
            return _workflow(f"{name}.workflow", message.workflow, checks)
        case "queue":
            return _queue(f"{name}.queue", message.queue)
        case "webhook":
            return webhook(f"{name}.webhook", message.webhook, checks)
        case "schedule":
            return _schedule(f"{name}.schedule", message.schedule, checks)
    raise RefusalError(invalid(name, "", "must be a workflow, a queue, a webhook or a schedule"))


def _workflow(name: str, wire: pb.Workflow, checks: Checks) -> Workflow:
    sources = {required_word(f"{name}.sources", value, execution.Source, Source) for value in wire.sources}
    return Workflow(
        workflow_id=identifier(f"{name}.workflow_id", wire.workflow_id),
        description=prose(f"{name}.description", wire.description),
        queue=identifier(f"{name}.queue", wire.queue, ""),
        disabled=wire.disabled,
        json_schema=checks.json_schema(f"{name}.json_schema", wire.json_schema),
        retry=policies.retry(f"{name}.retry", wire.retry) if wire.HasField("retry") else None,
        deadlines=policies.deadlines(f"{name}.deadlines", wire.deadlines),
        max_payload_bytes=bounded_int(f"{name}.max_payload_bytes", wire.max_payload_bytes, 0, MAX_NUMBER),
        rate=policies.rate(f"{name}.rate", wire.rate) if wire.HasField("rate") else None,
        concurrency=policies.concurrency(f"{name}.concurrency", wire.concurrency),
        sources=tuple(sorted(sources)),
        tracing=policies.tracing(f"{name}.tracing", wire.tracing),
    )


def _queue(name: str, wire: pb.Queue) -> Queue:
    return Queue(
        queue=identifier(f"{name}.queue", wire.queue),
        description=prose(f"{name}.description", wire.description),
        max_depth=bounded_int(f"{name}.max_depth", wire.max_depth, 0, MAX_NUMBER),
        rate=policies.rate(f"{name}.rate", wire.rate) if wire.HasField("rate") else None,
        concurrency=policies.concurrency(f"{name}.concurrency", wire.concurrency),
        tracing=policies.tracing(f"{name}.tracing", wire.tracing),
    )


def _schedule(name: str, wire: pb.Schedule, checks: Checks) -> Schedule:
    if len(wire.payload) > MAX_SCHEDULED_PAYLOAD:
        problem = f"is longer than {MAX_SCHEDULED_PAYLOAD} bytes; keep large data elsewhere"
        refuse(f"{name}.payload", f"{len(wire.payload)} bytes", problem)
    usual = Schedule("", "", Timing())
    late = duration(wire, "misfire_after", f"{name}.misfire_after")
    return Schedule(
        schedule_id=identifier(f"{name}.schedule_id", wire.schedule_id),
        workflow_id=identifier(f"{name}.workflow_id", wire.workflow_id),
        timing=_timing(name, wire, checks),
        description=prose(f"{name}.description", wire.description),
        queue=identifier(f"{name}.queue", wire.queue, ""),
        payload=wire.payload,
        content_type=text(f"{name}.content_type", wire.content_type, 256),
        misfire=word(f"{name}.misfire", wire.misfire, pb.Misfire, Misfire) or usual.misfire,
        misfire_limit=bounded_int(
            f"{name}.misfire_limit", wire.misfire_limit or usual.misfire_limit, 1, MAX_MISFIRES
        ),
        misfire_after=late or usual.misfire_after,
        overlap=word(f"{name}.overlap", wire.overlap, pb.Overlap, Overlap) or usual.overlap,
        max_failures=bounded_int(f"{name}.max_failures", wire.max_failures, 0, MAX_FAILURES),
        retry=policies.retry(f"{name}.retry", wire.retry) if wire.HasField("retry") else None,
        deadlines=policies.deadlines(f"{name}.deadlines", wire.deadlines),
        expect_within=duration(wire, "expect_within", f"{name}.expect_within"),
    )


def _timing(name: str, wire: pb.Schedule, checks: Checks) -> Timing:
    kind = wire.WhichOneof("timing")
    if kind is None:
        refuse(f"{name}.timing", "", "one of cron, every and once is required")
    timing = Timing(
        cron=text(f"{name}.cron", wire.cron, 200),
        zone=checks.zone(f"{name}.zone", text(f"{name}.zone", wire.zone, 200) or "UTC"),
        every=duration(wire, "every", f"{name}.every") if kind == "every" else None,
        once=instant(wire, "once", f"{name}.once") if kind == "once" else None,
        start_at=instant(wire, "start_at", f"{name}.start_at"),
        end_at=instant(wire, "end_at", f"{name}.end_at"),
    )
    return checks.timing(f"{name}.{kind}", timing)


def kinds(request: api.ListDefinitionsRequest) -> frozenset[Kind]:
    """Return the kinds that are asked for, all of them if none is named."""
    bounded_int("kinds", len(request.kinds), 0, 100)
    named = frozenset(required_word("kinds", value, api.DefinitionKind, Kind) for value in request.kinds)
    return named or frozenset(Kind)
