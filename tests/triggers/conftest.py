"""Stores for schedulers: an empty SQLite file, or either kind."""

from pathlib import Path

import pytest

from tests.services.postgres import Postgres


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, url: str) -> str:
    """Both stores, where what is shown lies in them."""
    if request.param == "sqlite":
        return url
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.create_database()
