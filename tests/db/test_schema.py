import asyncio
import re
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.database import migrate_database
from app.db.engine import make_engine
from app.db.schema import configured, migrate, needed_version, require_schema
from app.errors import SchemaNewer, SchemaOutdated
from tests.conftest import database_url


def _engine(url: str) -> AsyncEngine:
    return make_engine(url, name="tests", pool_items=4, statement_timeout_seconds=60)


async def test_the_tables_are_those_of_the_code(url: str) -> None:
    engine = _engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(lambda it: command.check(configured(it)))
    await engine.dispose()


async def test_migrations_go_up_down_and_up_again(url: str) -> None:
    engine = _engine(url)

    def _down_and_up(connection: Connection) -> None:
        command.downgrade(configured(connection), "base")
        command.upgrade(configured(connection), "head")

    async with engine.connect() as connection:
        await connection.run_sync(_down_and_up)
        await connection.commit()
    await require_schema(engine)
    await engine.dispose()


async def test_an_old_schema_is_refused_with_the_command_to_run(server_url: str) -> None:
    engine = _engine(database_url(server_url, "postgres"))
    with pytest.raises(SchemaOutdated, match=re.escape("routee-receiver migrate")):
        await require_schema(engine)
    await engine.dispose()


async def _migrate_as_a_program_of(connection: asyncpg.Connection, *programs: str) -> None:
    """What a program with further migrations leaves behind."""
    await connection.execute("UPDATE alembic_version SET version_num = $1", programs[0])
    await connection.execute("DELETE FROM schema_programs")
    await connection.executemany(
        "INSERT INTO schema_programs VALUES ($1)", [(program,) for program in programs]
    )


async def test_the_programs_of_this_version_and_of_the_one_before_may_store(
    connection: asyncpg.Connection,
) -> None:
    rows = await connection.fetch("SELECT version FROM schema_programs ORDER BY version DESC")
    assert [row["version"] for row in rows] == [needed_version(), "0001"]


async def test_a_schema_one_version_newer_goes_on_storing_and_does_nothing_else(
    url: str, connection: asyncpg.Connection
) -> None:
    await _migrate_as_a_program_of(connection, "9998", needed_version())
    engine = _engine(url)
    assert await require_schema(engine, accepts_newer=True) == "9998"
    with pytest.raises(
        SchemaNewer, match=r"newer than this program.*only `serve` and `work`"
    ) as it:
        await require_schema(engine)
    assert "routee-receiver migrate" not in str(it.value)
    await engine.dispose()


@pytest.mark.parametrize("accepts_newer", [False, True])
async def test_a_schema_two_versions_newer_is_refused(
    url: str, connection: asyncpg.Connection, *, accepts_newer: bool
) -> None:
    await _migrate_as_a_program_of(connection, "9999", "9998")
    engine = _engine(url)
    with pytest.raises(SchemaNewer, match="9999, is newer than this program") as refusal:
        await require_schema(engine, accepts_newer=accepts_newer)
    await connection.execute("DROP TABLE schema_programs")
    with pytest.raises(SchemaNewer):
        await require_schema(engine, accepts_newer=accepts_newer)
    assert "routee-receiver migrate" not in str(refusal.value)
    await engine.dispose()


async def test_a_newer_schema_is_not_migrated(url: str, connection: asyncpg.Connection) -> None:
    await _migrate_as_a_program_of(connection, "9998", needed_version())
    with pytest.raises(SchemaNewer, match=r"newer than this program.*stays as it is"):
        await migrate_database(url)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9998"


async def test_processes_that_migrate_at_once_do_not_collide(
    server_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("CREATE DATABASE at_once")
    engines = [_engine(database_url(server_url, "at_once")) for _ in range(3)]
    versions = await asyncio.gather(*map(migrate, engines))
    assert versions == [needed_version()] * 3
    for engine in engines:
        await engine.dispose()
    await connection.execute("DROP DATABASE at_once")


async def test_every_time_has_a_partition(connection: asyncpg.Connection) -> None:
    insert = """
        INSERT INTO events
            (message_tracking_id, status_key, occurred_at, source, provider_status)
        VALUES ('m', 'QUEUED', $1::text::timestamptz, 0, 'QUEUED')
        RETURNING tableoid::regclass::text
    """
    now = datetime.now(UTC)
    month = now.strftime("events_%Y_%m")
    partitions = {
        "epoch": "events_before",
        "2010-01-01Z": "events_before",
        now.isoformat(): month,
        now.replace(day=1, hour=0, minute=0, second=0, microsecond=0).isoformat(): month,
        (now + timedelta(days=330)).isoformat(): f"events_{now + timedelta(days=330):%Y_%m}",
        "2099-12-31Z": "events_after",
    }
    assert {time: await connection.fetchval(insert, time) for time in partitions} == partitions


async def test_there_are_few_relations_at_birth(connection: asyncpg.Connection) -> None:
    partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"
    assert await connection.fetchval(partitions) == 16  # 14 months, and before and after them


async def test_nothing_of_ours_is_in_public(connection: asyncpg.Connection) -> None:
    ours = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert await connection.fetchval(ours) == 0
