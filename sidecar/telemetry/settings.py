"""The OTEL_* settings of the sidecar, read from a mapping that the configuration hands in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from opentelemetry.sdk.trace.sampling import Sampler as SdkSampler

from sidecar.conventions import names
from sidecar.core.ports import Sampler
from sidecar.telemetry.destination import Destination, destination
from sidecar.telemetry.environment import Environment
from sidecar.telemetry.limits import LogLimits, SpanLimits
from sidecar.telemetry.sampling import (
    DEFAULT_SAMPLER,
    RATIO_SAMPLERS,
    SAMPLERS,
    DisabledSampler,
    ExecutionSampler,
    sdk_sampler,
)

_EXPORTERS = ("otlp", "none")


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What the environment says about telemetry. A destination of None: the signal is not exported."""

    disabled: bool
    resource: Mapping[str, str]
    traces: Destination | None
    logs: Destination | None
    metrics: Destination | None
    metric_interval: timedelta
    metric_timeout: timedelta
    span_limits: SpanLimits
    log_limits: LogLimits
    sampler_name: str
    sampler_ratio: float
    warnings: tuple[str, ...]

    def sampler(self, provider: SdkSampler | None = None) -> Sampler:
        """Return the sampler that these settings name, or one around the provider's own."""
        if self.disabled:
            return DisabledSampler()
        chosen = provider or sdk_sampler(self.sampler_name, self.sampler_ratio)
        return ExecutionSampler(chosen, records=self.traces is not None)


def read_settings(variables: Mapping[str, str]) -> TelemetrySettings:
    """Return the settings.

    Raises:
        TelemetrySettingError: for a value that could send telemetry to the wrong place or nowhere.
    """
    env = Environment(variables)
    disabled = env.flag("OTEL_SDK_DISABLED")
    sampler_name = env.word(DEFAULT_SAMPLER, sorted(SAMPLERS), "OTEL_TRACES_SAMPLER")
    return TelemetrySettings(
        disabled=disabled,
        resource=_resource(env),
        traces=_exported(env, "TRACES", disabled),
        logs=_exported(env, "LOGS", disabled),
        metrics=_exported(env, "METRICS", disabled),
        metric_interval=_milliseconds(env, 60_000, "OTEL_METRIC_EXPORT_INTERVAL"),
        metric_timeout=_milliseconds(env, 30_000, "OTEL_METRIC_EXPORT_TIMEOUT"),
        span_limits=_span_limits(env),
        log_limits=_log_limits(env),
        sampler_name=sampler_name,
        sampler_ratio=_ratio(env, sampler_name),
        warnings=tuple(env.warnings),
    )


def _resource(env: Environment) -> Mapping[str, str]:
    declared = env.pairs("OTEL_RESOURCE_ATTRIBUTES")
    name = env.text("OTEL_SERVICE_NAME")
    return declared | ({names.SERVICE_NAME: name} if name else {})


def _exported(env: Environment, signal: str, disabled: bool) -> Destination | None:
    exporter = env.word("otlp", _EXPORTERS, f"OTEL_{signal}_EXPORTER")
    return None if disabled or exporter == "none" else destination(env, signal)


def _milliseconds(env: Environment, default: int, name: str) -> timedelta:
    return timedelta(milliseconds=env.number(default, name, least=1) or default)


def _span_limits(env: Environment) -> SpanLimits:
    count = env.number(128, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    length = env.number(None, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
    links = env.number(128, "OTEL_SPAN_LINK_COUNT_LIMIT")
    of_links = env.number(128, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    return SpanLimits(count or 0, length, links or 0, of_links or 0)


def _log_limits(env: Environment) -> LogLimits:
    count = env.number(128, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    length = env.number(
        None, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
    )
    return LogLimits(count or 0, length)


def _ratio(env: Environment, sampler_name: str) -> float:
    return env.fraction(1.0, "OTEL_TRACES_SAMPLER_ARG") if sampler_name in RATIO_SAMPLERS else 1.0
