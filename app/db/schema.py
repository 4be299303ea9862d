"""Bringing the schema to the version that this code needs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Final, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import CreateSchema

from app.db.engine import SCHEMA
from app.db.tables import SchemaProgramRow, StatusRow
from app.domain.status import RANK
from app.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    DatabaseUnusable,
    SchemaNewer,
    SchemaOutdated,
)

_MIGRATIONS: Final = Path(__file__).parents[2] / "migrations"
#: Any number, as long as no other program in the same database uses it.
_MIGRATION_LOCK: Final = 7_021_001
#: Without USAGE a schema looks as if it were empty.
_IS_HIDDEN: Final = text(
    f"SELECT NOT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = '{SCHEMA}'"  # noqa: S608 (ours)
)
#: The newest revision, and the one before the first.
HEAD: Final = "head"
BASE: Final = "base"
#: Well below the acknowledgement budget.
_LOCK_TIMEOUT: Final = "200ms"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_LOCK_PAUSE_SECONDS: Final = 0.5
_LOCK_ATTEMPTS: Final = 857  # 10 minutes
_SAY_EVERY: Final = 20


async def migrate(
    engine: AsyncEngine,
    *,
    to: str = HEAD,
    is_down: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> str:
    """
    Bring the schema to revision *to*, the one that this code needs by default, and return it.

    One of several processes does it, and the others wait. Each migration is a transaction. One that
    waits for a lock longer than callbacks can wait behind it is rolled back and tried again.

    Args:
        engine: Of the database.
        to: The exact name of a revision, `head` or `base`.
        is_down: Take back what is above *to*, with the data in it, instead of adding what is below.
        say: Gets a line for each migration that has run, and for each reason to wait.

    Raises:
        ConfigurationError: *to* does not lie in that direction.
        SchemaNewer: the schema is newer than this code; nothing was changed.
        DatabaseUnavailable: other sessions have held a lock that it needs for 10 minutes.
    """
    async with engine.connect() as connection, _alone(connection, say):
        await _move(connection, _Move(to, is_down, say))
        await connection.commit()
        found = await connection.run_sync(current_version)
        await connection.rollback()
    return found or BASE


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


class _Move(NamedTuple):
    to: str
    is_down: bool
    say: Callable[[str], object]


@asynccontextmanager
async def _alone(connection: AsyncConnection, say: Callable[[str], object]) -> AsyncIterator[None]:
    key = {"key": _MIGRATION_LOCK}
    if not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
        say("Another process migrates; waiting for it.")
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
    await connection.commit()
    try:
        yield
    finally:
        await connection.rollback()
        await connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
        await connection.commit()


async def _move(connection: AsyncConnection, move: _Move) -> None:
    """Run the migrations; a migration that waits for a lock makes callbacks wait behind it."""
    set_timeout = text("SELECT set_config('lock_timeout', :limit, false)")
    await connection.execute(set_timeout, {"limit": _LOCK_TIMEOUT})
    await connection.commit()
    try:
        for attempt in range(_LOCK_ATTEMPTS):
            try:
                await connection.run_sync(_run, move)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                    raise
                await connection.rollback()
            else:
                return
            if attempt % _SAY_EVERY == 0:
                move.say("Another session holds a table that has to change; trying again.")
            await asyncio.sleep(_LOCK_PAUSE_SECONDS)
        raise DatabaseUnavailable(
            "Other sessions hold a table that has to change. End them (pg_stat_activity shows "
            "them), and migrate again."
        )
    except CommandError as error:
        raise ConfigurationError(f"The schema cannot be brought to {move.to}: {error}") from error
    finally:
        await connection.rollback()
        await connection.execute(set_timeout, {"limit": "0"})
        await connection.commit()


def _run(connection: Connection, move: _Move) -> None:
    found = current_version(connection)
    if found is not None and not is_known(found):
        raise SchemaNewer(
            f"The schema, {found}, is newer than this program, {needed_version()}, and stays as it "
            "is. Use the program that migrated it, or a newer one."
        )
    connection.commit()  # each migration begins, and commits, a transaction of its own
    config = configured(connection)
    config.attributes["on_version_apply"] = partial(_applied, move.say)
    if move.is_down:
        command.downgrade(config, move.to)
    elif move.to != BASE:
        # IF NOT EXISTS would need the right to create schemas even if the schema exists.
        if connection.scalar(select(func.to_regnamespace(SCHEMA))) is None:
            connection.execute(CreateSchema(SCHEMA))
        command.upgrade(config, move.to)
        _write_statuses(connection)
    _write_programs(connection)


def _applied(say: Callable[[str], object], *, step: MigrationInfo, **_: object) -> None:
    say(f"{step.up_revision_id} has been {'applied' if step.is_upgrade else 'taken back'}.")


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
    found = current_version(connection)
    if found is None:
        return
    before = _migrations().get_revision(found).down_revision
    versions = [found] if before is None else [found, str(before)]
    connection.execute(delete(SchemaProgramRow))
    connection.execute(insert(SchemaProgramRow).values([{"version": it} for it in versions]))
    connection.commit()
