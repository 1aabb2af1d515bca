"""Brings the database's schema to this sidecar's version, one starting sidecar at a time."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from sidecar.store.engine import Dialect, UnusableStoreError

HEAD = "0006"
"""The version that this code reads and writes."""

MIGRATIONS = Path(__file__).parent / "migrations"


def bring_up_to_date(dialect: Dialect) -> None:
    """Apply what is missing; others that start meanwhile wait and find it done.

    Raises:
        UnusableStoreError: if the schema is newer than this code.
    """
    with dialect.writer.begin() as connection:
        if _version(connection) == HEAD:
            return
        dialect.one_at_a_time(connection)
        if (version := _version(connection)) != HEAD:
            upgrade(connection, version)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def upgrade(connection: Connection, version: str | None, to: str = HEAD) -> None:
    """Run the migrations from `version` on, within the caller's transaction.

    Raises:
        UnusableStoreError: if this code does not know `version`.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise UnusableStoreError(
            f"the store has schema {version}, which is newer than this sidecar's {HEAD}: "
            "start the version that wrote it, or a later one"
        )
    command.upgrade(config, to)
