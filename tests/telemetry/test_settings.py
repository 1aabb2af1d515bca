"""OTEL_* variables mean what the specification says, and a bad one says so."""

from datetime import timedelta

import pytest

from sidecar.conventions.carrier import Carrier
from sidecar.core.model import Recording
from sidecar.telemetry.destination import Destination
from sidecar.telemetry.environment import TelemetrySettingError
from sidecar.telemetry.limits import LogLimits, SpanLimits
from sidecar.telemetry.resource import sidecar_resource, worker_resource
from sidecar.telemetry.sampling import DisabledSampler
from sidecar.telemetry.settings import TelemetrySettings, read_settings
from tests.telemetry.samples import TRACE

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
NOBODY = Carrier()


def traces(**variables: str) -> Destination:
    found = read_settings(variables).traces
    assert found is not None
    return found


def test_an_empty_environment_gives_the_specified_defaults() -> None:
    empty = read_settings({})
    assert empty == read_settings({ENDPOINT: "", "OTEL_TRACES_SAMPLER": " ", "OTEL_SDK_DISABLED": ""})
    assert empty.traces == empty.logs == empty.metrics == Destination("localhost:4317")
    assert (empty.metric_interval, empty.metric_timeout) == (timedelta(seconds=60), timedelta(seconds=30))
    assert (empty.span_limits, empty.log_limits) == (SpanLimits(), LogLimits())
    assert (empty.sampler_name, empty.disabled, empty.warnings) == ("parentbased_always_on", False, ())


@pytest.mark.parametrize(
    ("endpoint", "target", "secure"),
    [
        ("http://collector:4317", "collector:4317", False),
        ("https://collector:4317/ignored", "collector:4317", True),
        ("HTTP://collector", "collector:4317", False),
        ("http://[::1]:9", "[::1]:9", False),
        ("collector:4317", "collector:4317", True),
        ("unix:/run/otel.sock", "unix:/run/otel.sock", False),
        ("unix:///run/otel.sock", "unix:///run/otel.sock", False),
        ("dns:///collector:4317", "dns:///collector:4317", True),
    ],
)
def test_endpoints(endpoint: str, target: str, secure: bool) -> None:
    found = traces(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert (found.target, found.secure) == (target, secure)


def test_insecure_counts_only_without_a_scheme() -> None:
    insecure = {"OTEL_EXPORTER_OTLP_INSECURE": "TRUE"}
    assert not traces(OTEL_EXPORTER_OTLP_ENDPOINT="c:1", **insecure).secure
    assert traces(OTEL_EXPORTER_OTLP_ENDPOINT="https://c:1", **insecure).secure
    assert not traces(OTEL_EXPORTER_OTLP_TRACES_INSECURE="true", OTEL_EXPORTER_OTLP_ENDPOINT="c:1").secure


def test_a_signals_own_variables_win() -> None:
    settings = read_settings(
        {
            ENDPOINT: "http://all:1",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces:2",
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=all",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "X-Key=a%20b , other=c=d",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "1",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "GZIP",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
        }
    )
    assert settings.traces == Destination(
        "traces:2",
        secure=True,
        headers=(("x-key", "a b"), ("other", "c=d")),
        timeout=timedelta(milliseconds=2_500),
        certificate="/ca.pem",
    )
    assert settings.logs is not None
    assert settings.logs.timeout == timedelta(milliseconds=1)
    assert settings.logs.gzip
    assert settings.logs.headers == (("api-key", "all"),)


def test_header_values_stay_out_of_messages_and_repr() -> None:
    assert "s3cret" not in repr(traces(OTEL_EXPORTER_OTLP_HEADERS="authorization=s3cret"))
    for text in ("s3cret", "authorization=s3cret%0d%0ax: y", "a=%ff s3cret"):
        with pytest.raises(TelemetrySettingError, match="OTEL_EXPORTER_OTLP_HEADERS") as refused:
            traces(OTEL_EXPORTER_OTLP_HEADERS=text)
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["ftp://c:1", "http://", "http://c:99999", "http://[::1"])
def test_an_endpoint_that_leads_nowhere_is_an_error(endpoint: str) -> None:
    with pytest.raises(TelemetrySettingError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT=.*must be http"):
        traces(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)


def test_http_is_refused_until_it_is_there_and_only_where_it_would_be_used() -> None:
    variables = {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf"}
    with pytest.raises(TelemetrySettingError, match="OTEL_EXPORTER_OTLP_LOGS_PROTOCOL='http/protobuf'"):
        read_settings(variables)
    assert read_settings({**variables, "OTEL_LOGS_EXPORTER": "none"}).logs is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%ff"),
    ],
)
def test_what_the_specification_ignores_is_ignored_with_a_warning(variable: str, value: str) -> None:
    settings = read_settings({variable: value})
    assert settings.warnings
    assert all(w.startswith(f"{variable}={value!r}: ") for w in settings.warnings)
    assert without_warnings(settings) == without_warnings(read_settings({}))


def without_warnings(settings: TelemetrySettings) -> list[object]:
    return [getattr(settings, name) for name in TelemetrySettings.__slots__ if name != "warnings"]


def test_limits_of_spans_win_over_general_ones() -> None:
    settings = read_settings(
        {
            "OTEL_ATTRIBUTE_COUNT_LIMIT": "10",
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "100",
            "OTEL_SPAN_LINK_COUNT_LIMIT": "0",
        }
    )
    assert settings.span_limits == SpanLimits(5, 100, 0, 10)
    assert settings.log_limits == LogLimits(10, 100)


def test_no_timeout_is_bounded() -> None:
    assert traces(OTEL_EXPORTER_OTLP_TIMEOUT="0").timeout == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("arg", "ratio", "warned"), [("0.25", 0.25, 0), ("2", 1.0, 1), ("x", 1.0, 1), ("", 1.0, 0)]
)
def test_the_samplers_argument(arg: str, ratio: float, warned: int) -> None:
    settings = read_settings({"OTEL_TRACES_SAMPLER": "TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": arg})
    assert (settings.sampler_name, settings.sampler_ratio, len(settings.warnings)) == (
        "traceidratio",
        ratio,
        warned,
    )


def test_the_sampler_follows_the_settings() -> None:
    def decided(**variables: str) -> Recording:
        sampler = read_settings(variables).sampler()
        return sampler.decide(parent=NOBODY, trace_id=TRACE, name="n", attributes=()).recording

    assert decided() is Recording.SAMPLED
    assert decided(OTEL_TRACES_SAMPLER="always_off") is Recording.UNSAMPLED
    assert decided(OTEL_TRACES_EXPORTER="none") is Recording.DISABLED
    assert isinstance(read_settings({"OTEL_SDK_DISABLED": "true"}).sampler(), DisabledSampler)
    disabled = read_settings({"OTEL_SDK_DISABLED": "true", ENDPOINT: "ftp://unused"})
    assert (disabled.traces, disabled.logs, disabled.metrics) == (None, None, None)


def test_the_sidecars_resource() -> None:
    variables = {
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod,service.name=a,team=x%2Cy",
        "OTEL_SERVICE_NAME": "b",
    }
    resource = dict(sidecar_resource(read_settings(variables).resource, "i-1"))
    assert resource["service.name"] == "b"
    assert resource["deployment.environment.name"] == "prod"
    assert resource["team"] == "x,y"
    assert resource["service.instance.id"] == "i-1"
    assert dict(sidecar_resource({}, "i"))["service.name"] == "sidecar"


def test_a_workers_resource_keeps_what_describes_it() -> None:
    declared = (
        ("service.version", "2"),
        ("k8s.pod.name", "p"),
        ("user.email", "x@y"),
        ("service." + "x" * 300, 1),
    )
    assert worker_resource(declared) == (
        ("k8s.pod.name", "p"),
        ("service.name", "unknown_service"),
        ("service.version", "2"),
    )
