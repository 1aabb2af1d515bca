"""Which resource attributes a worker may declare: those that describe it, and none that identify others."""

_EXACT = frozenset({"host.name", "process.pid", "container.id"})
_PREFIXES = ("service.", "deployment.", "telemetry.sdk.", "process.runtime.", "k8s.", "cloud.")
_MAX_KEY = 256


def is_declarable(key: str) -> bool:
    """Return whether a worker's resource may carry this attribute."""
    return len(key) <= _MAX_KEY and (key in _EXACT or key.startswith(_PREFIXES))
