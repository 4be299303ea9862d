"""Adding partitions never makes callbacks wait behind a long reader."""

import asyncio
import time
from datetime import UTC, datetime

import asyncpg
import pytest

from app.db.database import Database
from app.db.retention.partitions import add_months
from app.errors import DatabaseUnavailable
from tests.database import connect
from tests.db.feed.feed_stage import event, store

LATER = datetime(2031, 6, 9, tzinfo=UTC)
_WAITS = """
SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted)
"""
#: The lock is waited for 0.2 s; the rest is for a busy machine.
_SOON_SECONDS = 1.0


async def test_a_long_reader_makes_adding_partitions_give_up_and_no_callback_wait(
    url: str, connection: asyncpg.Connection
) -> None:
    reader = await connect(url)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT count(*) FROM events")
    database = Database(url, name="tests", pool_items=1)
    try:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="holds a lock"):
            await add_months(database, now=LATER)
        assert time.monotonic() - began < _SOON_SECONDS
        began = time.monotonic()
        await store(connection, event("m"))
        assert time.monotonic() - began < _SOON_SECONDS
        await reading.rollback()
        assert await add_months(database, now=LATER)
        assert await add_months(database, now=LATER) == []
    finally:
        await database.close()
        await reader.close()


async def test_a_callback_that_queues_behind_adding_partitions_is_stored_soon(
    url: str, connection: asyncpg.Connection
) -> None:
    reader = await connect(url)
    database = Database(url, name="tests", pool_items=1)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT count(*) FROM events")
            adding = asyncio.create_task(add_months(database, now=LATER))
            async with asyncio.timeout(5):
                while not await connection.fetchval(_WAITS):  # noqa: ASYNC110 (another process)
                    await asyncio.sleep(0.005)
            began = time.monotonic()
            await store(connection, event("m"))
            assert time.monotonic() - began < _SOON_SECONDS
            with pytest.raises(DatabaseUnavailable):
                await adding
    finally:
        await database.close()
        await reader.close()
