"""Catalogs for tests: definitions as the registry would hold them."""

from sidecar.core.catalog import Catalog, catalog
from sidecar.core.definitions import Definition, Stored


def defined(*definitions: Definition, strict: frozenset[str] = frozenset()) -> Catalog:
    """Return the catalog of a namespace `default` with these definitions."""
    entries = (Stored("default", each, n, 0) for n, each in enumerate(definitions, 1))
    return catalog(entries, strict)
