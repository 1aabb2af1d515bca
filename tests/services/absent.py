"""What a test does about a part that this machine cannot have: fail under CI, else skip."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from tests.services.build import NoGoToolchainError, NotBuiltError
from tests.services.npm import NoPackageError
from tests.services.postgres_programs import NoPostgresError


def absent(reason: str) -> NoReturn:
    """Give up on this test: by a failure where nothing may be skipped, else by a skip."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason} (under CI=true nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


@contextmanager
def or_absent() -> Iterator[None]:
    """Turn the reason why a part cannot be had into a skip or a failure that says it."""
    reason = ""
    try:
        yield
    except (NoGoToolchainError, NotBuiltError, NoPackageError, NoPostgresError) as missing:
        reason = str(missing)
    if reason:
        absent(reason)
