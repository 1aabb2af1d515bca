"""The call's context as the services type it, and what a caller says in it about its trace."""

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from sidecar.conventions.carrier import Carrier
from sidecar.conventions.trace_context import from_headers

if TYPE_CHECKING:
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
else:
    Context = grpc.aio.ServicerContext


def caller_of(context: Context) -> Carrier:
    """Return the W3C context in the call's metadata."""
    metadata = context.invocation_metadata() or ()
    return from_headers((str(name), value) for name, value in metadata if isinstance(value, str))
