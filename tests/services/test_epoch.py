from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.db.database import Database
from app.services.epoch import EpochWatch

_CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests", pool_items=1)
    yield database
    await database.close()


async def test_what_is_remembered_is_forgotten_when_the_database_has_moved(
    database: Database, connection: asyncpg.Connection
) -> None:
    forgotten: list[str] = []
    watch = EpochWatch(database, [lambda: forgotten.append("a"), lambda: forgotten.append("b")])
    await watch.poll()
    forgotten.clear()
    await watch.poll()
    assert forgotten == []
    for moved in ("timeline", "system_identifier"):
        await connection.execute(f"UPDATE feed_state SET {moved} = {moved} + 1")  # noqa: S608
        await watch.poll()
        await watch.poll()
        assert forgotten == ["a", "b"]
        forgotten.clear()


async def test_it_is_forgotten_too_when_another_process_has_raised_the_epoch(
    database: Database, connection: asyncpg.Connection, url: str
) -> None:
    forgotten: list[None] = []
    watch = EpochWatch(database, [lambda: forgotten.append(None)])
    await watch.poll()
    await connection.execute("UPDATE feed_state SET timeline = timeline + 1")
    other = Database(url, name="other", pool_items=1)
    await EpochWatch(other, []).poll()
    await other.close()
    forgotten.clear()
    await watch.poll()
    assert forgotten == [None]


async def test_it_is_forgotten_too_when_the_connections_were_cut(
    database: Database, connection: asyncpg.Connection
) -> None:
    forgotten: list[None] = []
    watch = EpochWatch(database, [lambda: forgotten.append(None)])
    await watch.poll()
    forgotten.clear()
    assert await connection.fetchval(_CUT) == 1
    await watch.poll()
    assert forgotten == [None]
