"""Settings: `SIDECAR_*` from the environment, checked at start; `OTEL_*` go on to telemetry as they are."""

import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_NAMESPACE = re.compile(r"[!-~]{1,256}")
_ADDRESS = re.compile(r"(?:[^\s\[\]:/]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_PUBLIC_URL = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[!-\"$->@-~]*)?")
_TOKEN = re.compile(r"[!-~]{8,}")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, None: 1.0}


def parse_duration(value: object) -> object:
    """Return a `timedelta` for texts like `500ms`, `30s`, `5m`, `24h`, `30d` or a number of seconds."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError("must be a duration such as 500ms, 30s, 5m, 24h or 30d")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


Span = Annotated[timedelta, BeforeValidator(parse_duration)]


class Settings(BaseSettings):
    """What a sidecar can be told; every field is `SIDECAR_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="SIDECAR_", extra="ignore", frozen=True)

    listen: str = Field("127.0.0.1:50551", description="Address of the gRPC API: `host:port` or `unix:path`.")
    insecure: bool = Field(
        False, description="Allow an address that other machines reach, though the API has no TLS yet."
    )
    http_listen: str = Field(
        "127.0.0.1:50552",
        description="Address of webhooks, status pages and probes: `host:port`; empty turns them off.",
    )
    http_token: str = Field(
        "",
        repr=False,
        description="Bearer token for all that is served over HTTP but `/hooks`, `/livez` and `/readyz`: "
        "the token, `env:NAME` or `file:/path`.",
    )
    http_timeout: Span = Field(
        timedelta(seconds=30), description="How long a whole request over HTTP may take its sender."
    )
    http_connections: int = Field(
        512, ge=1, le=65_536, description="HTTP connections at once; one more is turned away."
    )
    public_url: str = Field(
        "",
        description="Address by which others reach the HTTP pages, such as `https://hooks.example.com`: "
        "what status addresses begin with; empty tells paths alone.",
    )
    store: str = Field(
        "sqlite:///sidecar.db",
        description="Where executions are kept: `sqlite:///path` or `postgresql://user@host/database`.",
    )
    lease_ttl: Span = Field(timedelta(seconds=30), description="How long a worker may be silent.")
    reap_period: Span = Field(
        timedelta(seconds=1), description="How often what ran out of time is looked for."
    )
    max_payload_bytes: int = Field(1_048_576, ge=0, le=3_500_000, description="Largest payload accepted.")
    max_body_bytes: int = Field(
        1_048_576, ge=0, le=3_500_000, description="Largest body of a webhook's delivery that is read."
    )
    max_output_bytes: int = Field(1_048_576, ge=0, le=3_500_000, description="Largest output kept.")
    max_steps: int = Field(1_000, ge=0, le=100_000, description="Steps kept for each attempt.")
    max_queued_commands: int = Field(
        10_000, ge=1, description="Commands waiting for the store; past this callers are told to come back."
    )
    idempotency_window: Span = Field(
        timedelta(hours=24),
        description="How long an idempotency key stands, and never less than the execution.",
    )
    store_patience: Span = Field(
        timedelta(seconds=5), description="How long a commit is retried before callers hear UNAVAILABLE."
    )
    require_registration: str = Field(
        "",
        description="Namespaces in which only defined workflows may run, comma separated; `*` for all.",
    )
    scheduler: bool = Field(
        True,
        description="Whether schedules fire by themselves; `off` leaves it to RunDue and other sidecars.",
    )
    relay_lease: Span = Field(
        timedelta(seconds=15),
        description="How long spans that a relay took stay its own; after a kill they are sent again then.",
    )
    drain_grace: Span = Field(
        timedelta(seconds=10), description="Time from SIGTERM to the exit: calls end, spans are flushed."
    )
    log_level: str = Field("info", description="debug, info, warning or error.")
    failpoints: str = Field("", description="For tests: crash points to arm.")
    unsafe_failpoints: bool = Field(False, description="For tests: without it failpoints are ignored.")

    @field_validator(
        "lease_ttl",
        "reap_period",
        "drain_grace",
        "relay_lease",
        "store_patience",
        "idempotency_window",
        "http_timeout",
    )
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if not timedelta(milliseconds=10) <= value <= timedelta(days=3_650):
            raise ValueError("must be between 10ms and 3650d")
        return value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return value.lower()

    @field_validator("require_registration")
    @classmethod
    def _namespaces(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        if value and not all(map(_NAMESPACE.fullmatch, names)):
            raise ValueError("must be namespaces, comma separated, or *")
        return ",".join(names)

    @property
    def strict_namespaces(self) -> frozenset[str]:
        """The namespaces in which only defined workflows may run; `*` stands for all."""
        return frozenset(filter(None, self.require_registration.split(",")))

    @field_validator("http_listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        match = _ADDRESS.fullmatch(value)
        if value and (match is None or int(match[1]) > 65_535):
            raise ValueError("must be host:port, such as 127.0.0.1:50552 or [::1]:50552, or empty")
        return value

    @field_validator("public_url")
    @classmethod
    def _address_of_http(cls, value: str) -> str:
        if value and not _PUBLIC_URL.fullmatch(value):
            raise ValueError("must be http:// or https://, a host, and at most a port and a path")
        return value

    @model_validator(mode="after")
    def _http_is_guarded(self) -> "Settings":
        """Look at the token here, where no message shows it."""
        token = self.http_token
        if token and not token.startswith(("env:", "file:/")) and not _TOKEN.fullmatch(token):
            raise ValueError(
                "SIDECAR_HTTP_TOKEN must be 8 or more printable ASCII characters without spaces, "
                "env:NAME or file:/path"
            )
        if self.http_listen and not (token or self.insecure or is_local(self.http_listen)):
            raise ValueError(
                f"http_listen: {self.http_listen!r} can be reached from other machines; use a loopback "
                "address, set SIDECAR_HTTP_TOKEN, or set SIDECAR_INSECURE=true behind a trusted proxy"
            )
        return self

    @model_validator(mode="after")
    def _not_open_to_others(self) -> "Settings":
        if not self.insecure and not is_local(self.listen):
            raise ValueError(
                f"listen: {self.listen!r} can be reached from other machines and the API has no TLS yet; "
                "use a loopback address, a unix: socket, or set SIDECAR_INSECURE=true behind a trusted proxy"
            )
        return self


def is_local(address: str) -> bool:
    """Say whether only this machine can reach an address."""
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith("unix:") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def environment() -> Mapping[str, str]:
    """Return the process's environment; nothing else reads it."""
    return dict(os.environ)
