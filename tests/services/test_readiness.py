"""Whether a process can store, found out at most once a second."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.db.database import Database
from app.errors import CannotStore, DatabaseUnavailable, SchemaNewer
from app.services.readiness import KEPT_SECONDS, FlushRecord, Readiness


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="readiness", pool_items=2)
    yield database
    await database.close()


class Counting(Database):
    """Counts how often it is asked."""

    asked = 0

    async def is_writable(self) -> bool:
        self.asked += 1
        return await super().is_writable()


async def _read_only(connection: asyncpg.Connection, *, on: bool) -> None:
    name = await connection.fetchval("SELECT current_database()")
    setting = "on" if on else "off"
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {setting}")


async def test_a_database_that_stores_is_ready(database: Database) -> None:
    await Readiness(database).require()


async def test_many_probes_ask_the_database_once_a_second(url: str) -> None:
    counting = Counting(url, name="readiness", pool_items=2)
    readiness = Readiness(counting)
    await asyncio.gather(*(readiness.require() for _ in range(50)))
    await readiness.require()
    assert counting.asked == 1
    await asyncio.sleep(KEPT_SECONDS + 0.2)
    await readiness.require()
    assert counting.asked == 2
    await counting.close()


async def test_a_read_only_database_is_not_ready(
    database: Database, connection: asyncpg.Connection
) -> None:
    await _read_only(connection, on=True)
    for _ in range(2):  # the answer is kept as well
        with pytest.raises(CannotStore, match="read-only"):
            await Readiness(database).require()


async def test_a_database_of_a_version_that_does_not_suit_is_not_ready(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE receiver.alembic_version SET version_num = 'other'")
    await Readiness(database).require()  # newer by one version: what it stores suits
    await connection.execute("DELETE FROM receiver.schema_programs")
    with pytest.raises(SchemaNewer):
        await Readiness(database).require()


async def test_a_database_that_is_away_is_not_ready() -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/nothing", name="readiness", pool_items=1)
    with pytest.raises(DatabaseUnavailable):
        await Readiness(away).require()
    await away.close()


async def test_failed_flushes_are_not_ready_until_one_succeeds(database: Database) -> None:
    readiness = Readiness(database)
    readiness.flushes.note_failure()
    await readiness.require()
    readiness.flushes.note_failure()
    with pytest.raises(CannotStore, match="could not be stored"):
        await readiness.require()
    readiness.flushes.note_success()
    await readiness.require()


def test_failed_flushes_are_forgotten_when_none_follows() -> None:
    now = [100.0]
    flushes = FlushRecord(clock=lambda: now[0])

    def _is_failing(*, after: float) -> bool:
        now[0] += after
        return flushes.is_failing

    flushes.note_failure()
    flushes.note_failure()
    assert _is_failing(after=0)
    assert _is_failing(after=9)
    assert not _is_failing(after=2)
    flushes.note_failure()
    assert _is_failing(after=0)
