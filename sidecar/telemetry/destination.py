"""Where one signal goes: the OTLP exporter's variables, resolved.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from sidecar.telemetry.environment import Environment, TelemetrySettingError, parse_pairs

DEFAULT_ENDPOINT = "http://localhost:4317"
DEFAULT_PORT = 4317
_LONGEST_TIMEOUT = timedelta(minutes=10)
_PROTOCOLS = ("grpc", "http/protobuf", "http/json")


@dataclass(frozen=True, slots=True)
class Destination:
    """A collector for one signal, over gRPC. Headers hold secrets and stay out of `repr`."""

    target: str
    secure: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: timedelta = timedelta(seconds=10)
    gzip: bool = False
    certificate: str = ""
    client_key: str = ""
    client_certificate: str = ""


def destination(env: Environment, signal: str) -> Destination:
    """Return where a signal (TRACES, METRICS, LOGS) goes; its own variables win over the general ones.

    Raises:
        TelemetrySettingError: for an endpoint, protocol or header list that cannot be used.
    """
    _check_protocol(env, signal)
    target, secure = _endpoint(env, signal)
    return Destination(
        target=target,
        secure=secure,
        headers=_headers(env, signal),
        timeout=_timeout(env, signal),
        gzip=env.word("none", ("gzip", "none"), *_names(signal, "COMPRESSION")) == "gzip",
        certificate=env.text(*_names(signal, "CERTIFICATE")),
        client_key=env.text(*_names(signal, "CLIENT_KEY")),
        client_certificate=env.text(*_names(signal, "CLIENT_CERTIFICATE")),
    )


def _names(signal: str, option: str) -> tuple[str, str]:
    return f"OTEL_EXPORTER_OTLP_{signal}_{option}", f"OTEL_EXPORTER_OTLP_{option}"


def _check_protocol(env: Environment, signal: str) -> None:
    names = _names(signal, "PROTOCOL")
    protocol = env.word("grpc", _PROTOCOLS, *names)
    if protocol != "grpc":
        raise TelemetrySettingError(env.named(*names)[0], protocol, "only grpc is available yet")


def _endpoint(env: Environment, signal: str) -> tuple[str, bool]:
    name, text = env.named(*_names(signal, "ENDPOINT"))
    text = text or DEFAULT_ENDPOINT
    allowed = "it must be http://host:port, https://host:port, host:port or unix:path"
    if "://" not in text or text.startswith(("unix://", "dns://")):
        return text, not env.flag(*_names(signal, "INSECURE")) and not text.startswith("unix:")
    try:
        url = urlsplit(text)
        target = f"{_bracketed(url.hostname or '')}:{url.port or DEFAULT_PORT}"
    except ValueError:
        raise TelemetrySettingError(name, text, allowed) from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise TelemetrySettingError(name, text, allowed)
    return target, url.scheme == "https"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _headers(env: Environment, signal: str) -> tuple[tuple[str, str], ...]:
    name, text = env.named(*_names(signal, "HEADERS"))
    try:
        pairs = parse_pairs(text)
    except ValueError as error:
        raise TelemetrySettingError(name, "…", f"{error} (values are not shown)") from None
    for key, value in pairs.items():
        if not (key.isascii() and value.isascii() and value.isprintable()):
            raise TelemetrySettingError(name, f"{key}=…", "headers must be printable ASCII")
    return tuple((key.lower(), value) for key, value in pairs.items())


def _timeout(env: Environment, signal: str) -> timedelta:
    milliseconds = env.number(10_000, *_names(signal, "TIMEOUT"))
    # The specification lets 0 mean no limit; a request that hangs for ever would block the outbox.
    return min(timedelta(milliseconds=milliseconds or 0) or _LONGEST_TIMEOUT, _LONGEST_TIMEOUT)
