"""Bringing the schema to the version that this code needs."""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateSchema

from app.db.engine import SCHEMA
from app.db.tables import StatusRow
from app.domain.status import RANK
from app.errors import SchemaOutdated

_MIGRATIONS: Final = Path(__file__).parents[2] / "migrations"
#: Any number, as long as no other program in the same database uses it.
_MIGRATION_LOCK: Final = 7_021_001


async def migrate(engine: AsyncEngine) -> str:
    """
    Bring the schema to the version that this code needs, and return that version.

    One of several processes does it, and the others wait.
    """
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        await connection.commit()
        try:
            await connection.run_sync(_upgrade)
        finally:
            await connection.rollback()
            await connection.execute(
                text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK}
            )
            await connection.commit()
    return needed_version()


async def require_current(engine: AsyncEngine) -> None:
    """
    Refuse a database that is not of the version this code needs.

    Raises:
        SchemaOutdated: it is not; the message says what to run.
    """
    async with engine.connect() as connection:
        found = await connection.run_sync(current_version)
    if found != needed_version():
        raise SchemaOutdated(
            f"The database schema is {found or 'empty'}, this program needs {needed_version()}. "
            "Run: routee-receiver migrate"
        )


@cache
def needed_version() -> str:
    """The newest migration that ships with this code, found by importing all of them once."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return head or ""


def current_version(connection: Connection) -> str | None:
    """The version of the database; None if it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def configured(connection: Connection) -> Config:
    """An Alembic configuration for *connection*."""
    config = _config()
    config.attributes["connection"] = connection
    return config


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> None:
    # IF NOT EXISTS would need the right to create schemas even if the schema exists.
    if connection.scalar(select(func.to_regnamespace(SCHEMA))) is None:
        connection.execute(CreateSchema(SCHEMA))
    command.upgrade(configured(connection), "head")
    _write_statuses(connection)


def _write_statuses(connection: Connection) -> None:
    """Write the statuses and ranks of `domain.status` to their table."""
    given = insert(StatusRow).values(
        [{"status": status, "rank": rank} for status, rank in RANK.items()]
    )
    ranks = {"rank": given.excluded.rank}
    connection.execute(given.on_conflict_do_update(index_elements=["status"], set_=ranks))
    connection.commit()
