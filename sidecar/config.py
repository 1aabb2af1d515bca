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
    store: str = Field(
        "sqlite:///sidecar.db",
        description="Where executions are kept: `sqlite:///path` or `postgresql://user@host/database`.",
    )
    lease_ttl: Span = Field(timedelta(seconds=30), description="How long a worker may be silent.")
    reap_period: Span = Field(
        timedelta(seconds=1), description="How often what ran out of time is looked for."
    )
    max_payload_bytes: int = Field(1_048_576, ge=0, le=3_500_000, description="Largest payload accepted.")
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
        "lease_ttl", "reap_period", "drain_grace", "relay_lease", "store_patience", "idempotency_window"
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
