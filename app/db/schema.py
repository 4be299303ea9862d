"""Bringing the schema to the version that this code needs."""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateSchema

from app.db.engine import SCHEMA
from app.db.tables import SchemaProgramRow, StatusRow
from app.domain.status import RANK
from app.errors import DatabaseUnusable, SchemaNewer, SchemaOutdated

_MIGRATIONS: Final = Path(__file__).parents[2] / "migrations"
#: Any number, as long as no other program in the same database uses it.
_MIGRATION_LOCK: Final = 7_021_001
#: Without USAGE a schema looks as if it were empty.
_IS_HIDDEN: Final = text(
    f"SELECT NOT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = '{SCHEMA}'"  # noqa: S608 (ours)
)


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


async def require_schema(engine: AsyncEngine, *, accepts_newer: bool = False) -> str:
    """
    Refuse a schema that this code cannot use, and return its version.

    With *accepts_newer* one that is newer suits, if it says that this code may go on storing.

    Raises:
        SchemaOutdated: it is older or empty; the message says what to run.
        SchemaNewer: it is newer; the message says so.
        DatabaseUnusable: the role may not read it.
    """
    async with engine.connect() as connection:
        return await connection.run_sync(_require_usable, accepts_newer=accepts_newer)


def _require_usable(connection: Connection, *, accepts_newer: bool) -> str:
    found, needed = current_version(connection), needed_version()
    if found == needed:
        return needed
    if found is None and connection.scalar(_IS_HIDDEN):
        role = connection.scalar(select(func.current_user()))
        raise DatabaseUnusable(
            f"Role {role} has no rights on the schema {SCHEMA}. Grant USAGE on it, and the rights "
            "on its tables, or use the role that ran `routee-receiver migrate`."
        )
    if found is None or is_known(found):
        raise SchemaOutdated(
            f"The database schema is {found or 'empty'}, this program needs {needed}. "
            "Run: routee-receiver migrate"
        )
    is_usable = needed in _programs(connection)
    if is_usable and accepts_newer:
        return found
    raise SchemaNewer(
        f"The schema, {found}, is newer than this program, {needed}"
        + (", which may only `serve` and `work` with it" if is_usable else "")
        + ". Use the program that migrated it, or a newer one."
    )


def _programs(connection: Connection) -> set[str]:
    """The versions of the schema of which the programs may store in this one."""
    try:
        return set(connection.scalars(select(SchemaProgramRow.version)))
    except ProgrammingError:  # of a program from before or after there was this table
        connection.rollback()
        return set()


def is_known(version: str) -> bool:
    """Whether *version* is one of the migrations that ship with this code."""
    return version in {found.revision for found in _migrations().walk_revisions()}


@cache
def needed_version() -> str:
    """The newest migration that ships with this code, found by importing all of them once."""
    return _migrations().get_current_head() or ""


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


@cache
def _migrations() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _upgrade(connection: Connection) -> None:
    found = current_version(connection)
    if found is not None and not is_known(found):
        raise SchemaNewer(
            f"The schema, {found}, is newer than this program, {needed_version()}, and stays as it "
            "is. Use the program that migrated it, or a newer one."
        )
    # IF NOT EXISTS would need the right to create schemas even if the schema exists.
    if connection.scalar(select(func.to_regnamespace(SCHEMA))) is None:
        connection.execute(CreateSchema(SCHEMA))
    command.upgrade(configured(connection), "head")
    _write_statuses(connection)
    _write_programs(connection)


def _write_statuses(connection: Connection) -> None:
    """Write the statuses and ranks of `domain.status` to their table."""
    given = insert(StatusRow).values(
        [{"status": status, "rank": rank} for status, rank in RANK.items()]
    )
    ranks = {"rank": given.excluded.rank}
    connection.execute(given.on_conflict_do_update(index_elements=["status"], set_=ranks))
    connection.commit()


def _write_programs(connection: Connection) -> None:
    """
    Write which programs may store: the one of this version, and the one of the version before.

    A migration only adds, and the one after it takes away, so an older one could fail.
    """
    head = _migrations().get_revision("head")
    before = [] if head.down_revision is None else [str(head.down_revision)]
    connection.execute(delete(SchemaProgramRow))
    connection.execute(
        insert(SchemaProgramRow).values([{"version": it} for it in [head.revision, *before]])
    )
    connection.commit()
