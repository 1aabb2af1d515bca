"""Definitions, from the core's own words to the wire; secrets stay behind."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from sidecar.core.definitions import (
    Concurrency,
    Deadlines,
    Definition,
    Queue,
    RateLimit,
    Schedule,
    Stored,
    Tracing,
    Webhook,
    Workflow,
)
from sidecar.core.model import RetryPolicy
from sidecar.core.webhooks import Verification
from sidecar.transport.responses import timestamp
from sidecar.transport.words import value_of
from sidecar.v1 import definitions_pb2 as pb
from sidecar.v1 import execution_pb2 as execution
from sidecar.v1 import registry_service_pb2 as api


def stored(value: Stored) -> api.StoredDefinition:
    """Return a definition as it stands."""
    return api.StoredDefinition(
        definition=definition_message(value.definition), changed_at=timestamp(value.changed_at)
    )


def definition_message(value: Definition) -> pb.Definition:
    """Return one thing that is defined."""
    match value:
        case Workflow():
            return pb.Definition(workflow=_workflow(value))
        case Queue():
            return pb.Definition(queue=_queue(value))
        case Webhook():
            return pb.Definition(webhook=_webhook(value))
        case Schedule():
            return pb.Definition(schedule=schedule_message(value))


def _workflow(value: Workflow) -> pb.Workflow:
    return pb.Workflow(
        workflow_id=value.workflow_id,
        description=value.description,
        queue=value.queue,
        disabled=value.disabled,
        json_schema=value.json_schema,
        retry=_retry(value.retry),
        deadlines=_deadlines(value.deadlines),
        max_payload_bytes=value.max_payload_bytes,
        rate=_rate(value.rate),
        concurrency=_concurrency(value.concurrency),
        sources=[value_of(execution.Source, source) for source in value.sources],
        tracing=_tracing(value.tracing),
    )


def _queue(value: Queue) -> pb.Queue:
    return pb.Queue(
        queue=value.queue,
        description=value.description,
        max_depth=value.max_depth,
        rate=_rate(value.rate),
        concurrency=_concurrency(value.concurrency),
        tracing=_tracing(value.tracing),
    )


def _webhook(value: Webhook) -> pb.Webhook:
    return pb.Webhook(
        webhook_id=value.webhook_id,
        description=value.description,
        path=value.path,
        workflow_id=value.workflow_id,
        queue=value.queue,
        provider=value.provider,
        disabled=value.disabled,
        verification=_verification(value.verification),
        delivery_header=value.delivery_header,
        propagation=value_of(pb.Propagation, value.propagation),
        max_body_bytes=value.max_body_bytes,
        content_types=value.content_types,
        wait=_duration(value.wait),
        retry=_retry(value.retry),
        deadlines=_deadlines(value.deadlines),
        rate=_rate(value.rate),
    )


def _verification(value: Verification) -> pb.Verification:
    return pb.Verification(
        scheme=value_of(pb.VerificationScheme, value.scheme),
        header=value.header,
        prefix=value.prefix,
        encoding=value.encoding,
        tolerance=_duration(value.tolerance),
    )


def schedule_message(value: Schedule) -> pb.Schedule:
    """Return when and how a workflow runs by itself."""
    timing = value.timing
    message = pb.Schedule(
        schedule_id=value.schedule_id,
        description=value.description,
        workflow_id=value.workflow_id,
        queue=value.queue,
        payload=value.payload,
        content_type=value.content_type,
        every=_duration(timing.every),
        once=timestamp(timing.once),
        zone=timing.zone,
        start_at=timestamp(timing.start_at),
        end_at=timestamp(timing.end_at),
        misfire=value_of(pb.Misfire, value.misfire),
        misfire_limit=value.misfire_limit,
        misfire_after=_duration(value.misfire_after),
        overlap=value_of(pb.Overlap, value.overlap),
        max_failures=value.max_failures,
        retry=_retry(value.retry),
        deadlines=_deadlines(value.deadlines),
        expect_within=_duration(value.expect_within),
    )
    if timing.cron:
        message.cron = timing.cron
    return message


def _retry(value: RetryPolicy | None) -> execution.RetryPolicy | None:
    if value is None:
        return None
    return execution.RetryPolicy(
        max_attempts=value.max_attempts,
        initial_interval=_duration(value.initial_interval),
        max_interval=_duration(value.max_interval),
        multiplier=value.multiplier,
        non_retryable=value.non_retryable,
    )


def _deadlines(value: Deadlines) -> execution.Deadlines | None:
    if value == Deadlines():
        return None
    return execution.Deadlines(
        in_queue=_duration(value.in_queue), attempt=_duration(value.attempt), total=_duration(value.total)
    )


def _rate(value: RateLimit | None) -> pb.RateLimit | None:
    if value is None:
        return None
    return pb.RateLimit(limit=value.limit, per=_duration(value.per), burst=value.burst)


def _concurrency(value: Concurrency) -> pb.Concurrency | None:
    if value == Concurrency():
        return None
    over_limit = value_of(pb.OverLimit, value.over_limit)
    return pb.Concurrency(limit=value.limit, per_key=value.per_key, over_limit=over_limit)


def _tracing(value: Tracing) -> pb.Tracing | None:
    if value == Tracing():
        return None
    return pb.Tracing(
        propagation=value_of(pb.Propagation, value.propagation),
        live_parent=value_of(pb.LiveParent, value.live_parent),
        sampling=value_of(pb.SamplingRule, value.sampling),
        terminal_span=value_of(pb.TerminalSpan, value.terminal_span),
        settlement_logs=value_of(pb.SettlementLogs, value.settlement_logs),
    )


def _duration(value: timedelta | None) -> Duration | None:
    if value is None:
        return None
    message = Duration()
    message.FromTimedelta(value)
    return message
