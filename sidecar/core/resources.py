"""Resources of workers, known by a digest, so that each is kept once and spans of it never differ."""

import hashlib

from sidecar.core.model import Attributes, Resource


def resource(attributes: Attributes, sdk: str) -> Resource:
    """Return the resource under the digest of what it says."""
    ordered = tuple(sorted(attributes))
    digest = hashlib.blake2b(repr((ordered, sdk)).encode("utf-8", "surrogatepass"), digest_size=16)
    return Resource(digest.hexdigest(), ordered, sdk)
