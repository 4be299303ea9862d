"""The two databases that are compared, on one server: one full, one nearly empty."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from app.db.database import READ_SETTINGS, Database, migrate_database
from app.db.ingest import IngestSession
from tests.bench.group import Say
from tests.bench.scale_load import load
from tests.bench.scale_story import EVENTS_PER_MESSAGE, Plan, last_months
from tests.conftest import database_url
from tests.promises.stage import Postgres

CAMPAIGNS: Final = 500
#: Of all messages, the last campaign has one in so many.
_LARGEST_PART: Final = 10
_SMALL_EVENTS: Final = 9_000
_SMALL_CAMPAIGNS: Final = 10
_TIMEOUT_SECONDS: Final = 30


class Side(NamedTuple):
    """One of the two, reached as the service reaches it."""

    url: str
    plan: Plan
    reads: Database
    feed: Database
    ingest: IngestSession


@asynccontextmanager
async def loaded(folder: Path, events: int, say: Say) -> AsyncIterator[tuple[Side, Side]]:
    """The full one with so many events, and the small one; the server ends with the block."""
    data_dir = folder / "data"
    data_dir.mkdir()
    postgres = Postgres(data_dir)
    try:
        await postgres.start()
        small_url = await _made(postgres.url, "small")
        say(f"loading {events} events")
        await migrate_database(postgres.url)
        largest = events // EVENTS_PER_MESSAGE // _LARGEST_PART
        big_plan = last_months("big", events, CAMPAIGNS, largest=largest)
        small_plan = last_months("small", _SMALL_EVENTS, _SMALL_CAMPAIGNS)
        await load(postgres.url, big_plan)
        await load(small_url, small_plan)
        async with side(postgres.url, big_plan) as big, side(small_url, small_plan) as small:
            yield big, small
    finally:
        await postgres.stop()


async def _made(server_url: str, name: str) -> str:
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    url = database_url(server_url, name)
    await migrate_database(url)
    return url


@asynccontextmanager
async def side(url: str, plan: Plan) -> AsyncIterator[Side]:
    """The database at *url*, which was loaded with *plan*."""
    async with AsyncExitStack() as stack:
        reads = Database(url, name="reads", pool_items=1, session_settings=READ_SETTINGS)
        stack.push_async_callback(reads.close)
        feed = Database(url, name="feed", pool_items=1)
        stack.push_async_callback(feed.close)
        ingest = IngestSession(url, statement_timeout_seconds=_TIMEOUT_SECONDS)
        stack.push_async_callback(ingest.close)
        yield Side(url, plan, reads, feed, ingest)
