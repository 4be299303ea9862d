"""How the schema gets to the version that this code needs, and which that is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SchemaOutdated

_MIGRATIONS: Final = Path(__file__).parents[2] / "migrations"
#: Any number, as long as no other program in the same database uses it.
_MIGRATION_LOCK: Final = 7_021_001

#: Others may have values in them. The last ones are a full disk and the like.
_QUOTE_NOTHING: Final = (
    asyncpg.DependentObjectsStillExistError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InsufficientResourcesError,
)


async def migrate(engine: AsyncEngine, *, on_progress: Callable[[str], None] | None = None) -> str:
    """
    Bring the schema to the version that this code needs, and return that version.

    Of several processes that do so at once, one works and the others wait for it. *on_progress* is
    told, in a sentence, what may take long.

    Raises:
        SchemaOutdated: it stays as it was; the message says what is in the way.
    """
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        await connection.commit()
        try:
            found = await connection.run_sync(current_version)
            await connection.commit()
            if on_progress is not None and found not in (None, needed_version()):
                on_progress(
                    f"The database schema goes from {found} to {needed_version()}: "
                    "with millions of events this takes minutes."
                )
            with _naming_what_is_in_the_way():
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


def needed_version() -> str:
    """The newest migration that ships with this code."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return head or ""


def current_version(connection: Connection) -> str | None:
    """The version the database has; None when it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def configured(connection: Connection) -> Config:
    """An Alembic configuration that works on *connection*."""
    config = _config()
    config.attributes["connection"] = connection
    return config


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


@contextmanager
def _naming_what_is_in_the_way() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        cause = error.orig and error.orig.__cause__
        if not isinstance(cause, _QUOTE_NOTHING):
            raise
        said = "; ".join((cause.args[0], *(cause.detail or cause.hint or "").splitlines()))
        raise SchemaOutdated(
            f"The database schema cannot be brought to {needed_version()}: {said}."
        ) from error


def _upgrade(connection: Connection) -> None:
    command.upgrade(configured(connection), "head")
