"""How a handler ends on purpose: exceptions that say what should become of the attempt."""

import asyncio
from datetime import timedelta


class HandlerError(Exception):
    """The attempt failed. Raised `from` another error, it is reported with that one's type."""

    def __init__(
        self,
        message: str = "",
        *,
        error_type: str | None = None,
        retry_after: timedelta | None = None,
        final: bool = False,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.retry_after = retry_after
        self.final = final


class RetryError(HandlerError):
    """The attempt failed; if attempts are left, the next one comes `after` this long."""

    def __init__(self, after: timedelta, message: str = "", *, error_type: str | None = None) -> None:
        super().__init__(message, error_type=error_type, retry_after=after)


class FinalError(HandlerError):
    """The attempt failed, and another one would too: the execution is FAILED whatever the policy says."""

    def __init__(self, message: str = "", *, error_type: str | None = None) -> None:
        super().__init__(message, error_type=error_type, final=True)


class RunCancelledError(asyncio.CancelledError):
    """The handler gave up because it was asked to; not an `Exception`, so that it is not swallowed."""
