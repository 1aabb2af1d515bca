"""What a payload must look like: JSON Schema, checked in bounded time and without a network."""

from sidecar.payloads.checker import JsonSchemas

__all__ = ["JsonSchemas"]
