"""Whose telemetry it is: the sidecar's own resource, and what a worker may declare as its own."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from sidecar.conventions import names
from sidecar.conventions.resource_keys import is_declarable
from sidecar.core.model import Attributes

DISTRIBUTION = "execution-sidecar"
DEFAULT_SERVICE = "sidecar"


def product_version() -> str:
    """Return the installed version of the sidecar."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+unknown"


def sidecar_resource(declared: Mapping[str, str], instance_id: str) -> Attributes:
    """Return the sidecar's resource: what the environment declares over what it knows of itself."""
    known = {
        names.SERVICE_NAME: DEFAULT_SERVICE,
        names.SERVICE_VERSION: product_version(),
        names.SERVICE_INSTANCE_ID: instance_id,
        names.SDK_NAME: names.SCOPE,
        names.SDK_LANGUAGE: "python",
        names.SDK_VERSION: product_version(),
    }
    return tuple(sorted((known | dict(declared)).items()))


def worker_resource(declared: Attributes) -> Attributes:
    """Return what is kept of a worker's declaration, sorted; a service always has a name."""
    kept = {key: value for key, value in declared if is_declarable(key)}
    kept.setdefault(names.SERVICE_NAME, names.UNKNOWN_SERVICE)
    return tuple(sorted(kept.items(), key=lambda pair: pair[0]))
