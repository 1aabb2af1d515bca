"""Who this process is, in OpenTelemetry's terms: as its SDK says, else as `OTEL_*` say."""

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from urllib.parse import unquote

from opentelemetry import trace

from sidecar.client.failures import plain
from sidecar.conventions.resource_keys import is_declarable

DISTRIBUTION: Final = "execution-sidecar"
SERVICE_NAME: Final = "service.name"
INSTANCE_ID: Final = "service.instance.id"
MAX_ATTRIBUTES: Final = 128


def resource(worker_id: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the resource of this process; what is given goes before what is found."""
    found = _of_sdk() or _of_environment(os.environ)
    merged = {SERVICE_NAME: "unknown_service:python", INSTANCE_ID: worker_id, **found, **given}
    kept = sorted((key, plain(value, 4_096)) for key, value in merged.items() if is_declarable(key))
    return dict(kept[:MAX_ATTRIBUTES])


def sdk() -> str:
    """Return the name and version of this library."""
    try:
        return f"{DISTRIBUTION}-python/{version(DISTRIBUTION)}"
    except PackageNotFoundError:
        return f"{DISTRIBUTION}-python/unknown"


def _of_sdk() -> dict[str, str]:
    attributes = getattr(getattr(trace.get_tracer_provider(), "resource", None), "attributes", None)
    return {str(k): str(v) for k, v in attributes.items()} if isinstance(attributes, Mapping) else {}


def _of_environment(environment: Mapping[str, str]) -> dict[str, str]:
    pairs = (part.partition("=") for part in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    found = {key.strip(): unquote(value.strip()) for key, mark, value in pairs if mark and key.strip()}
    if name := environment.get("OTEL_SERVICE_NAME"):
        found[SERVICE_NAME] = name
    return found
