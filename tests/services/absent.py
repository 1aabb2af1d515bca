"""What a test does about a part that this machine cannot have: fail under CI, else skip."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from tests.services.build import BuildFailed, NoGoToolchain
from tests.services.postgres import NoPostgres


def under_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


def absent(reason: str) -> NoReturn:
    """Give up on this test: loudly where everything must be had, else by a skip that says why."""
    if under_ci():
        pytest.fail(f"{reason} (CI=true: nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


@contextmanager
def or_absent() -> Iterator[None]:
    """Turn the errors of a part that cannot be had into a skip or a failure."""
    try:
        yield
    except (NoGoToolchain, NoPostgres) as missing:
        absent(str(missing))
    except BuildFailed as failure:
        absent(f"the build failed: {failure}")
