import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from app.db.bi import watchdog
from app.db.bi.watchdog import Verdict, end_long_sessions
from app.db.count_folding import CountFolding
from app.db.database import Database
from app.errors import DatabaseUnavailable
from tests.conftest import database_url
from tests.db.bi.stage import analyst, connected
from tests.db.feed.feed_stage import Reader, event, feed_database, names, store

HOUR = timedelta(hours=1)
NO_TIME = timedelta(0)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests", pool_items=1)
    yield database
    await database.close()


@pytest.fixture
async def session(url: str) -> AsyncIterator[asyncpg.Connection]:
    """An analyst's session that has given up every limit it can."""
    async with analyst(url) as own_url, connected(own_url) as session:
        for setting in (
            "statement_timeout",
            "transaction_timeout",
            "idle_in_transaction_session_timeout",
        ):
            await session.execute(f"SET {setting} = 0")
        await session.execute("SET default_transaction_read_only = off")
        yield session


async def _is_busy(session: asyncpg.Connection, owner: asyncpg.Connection) -> None:
    """Return when the server has begun what *session* asks."""
    busy = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active'"
    while not await owner.fetchval(busy, session.get_server_pid()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _verdicts(database: Database, longest: timedelta) -> list[Verdict]:
    return [session.verdict for session in await end_long_sessions(database, longest)]


async def test_a_query_over_the_limit_is_cancelled_and_the_session_goes_on(
    database: Database, session: asyncpg.Connection, connection: asyncpg.Connection
) -> None:
    query = asyncio.create_task(session.fetch("SELECT pg_sleep(60) FROM bi_v1.freshness"))
    await _is_busy(session, connection)
    assert await _verdicts(database, HOUR) == []
    assert await _verdicts(database, NO_TIME) == [Verdict.CANCELLED]
    with pytest.raises(asyncpg.QueryCanceledError):
        await query
    assert await session.fetchval("SELECT 1") == 1


async def test_a_session_that_a_cancel_does_not_end_is_terminated(
    database: Database,
    session: asyncpg.Connection,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stubborn = """
        DO $$ BEGIN LOOP
            BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;
        END LOOP; END $$
    """
    query = asyncio.create_task(session.execute(stubborn))
    await _is_busy(session, connection)
    assert await _verdicts(database, NO_TIME) == [Verdict.CANCELLED]
    await asyncio.sleep(0.05)
    assert not query.done()
    monkeypatch.setattr(watchdog, "GRACE", NO_TIME)
    assert await _verdicts(database, NO_TIME) == [Verdict.TERMINATED]
    with pytest.raises((asyncpg.PostgresError, ConnectionError)):
        await query


async def test_an_idle_transaction_over_the_limit_is_terminated(
    database: Database, session: asyncpg.Connection
) -> None:
    await session.execute("BEGIN")
    await session.fetch("SELECT * FROM bi_v1.messages")
    assert await _verdicts(database, HOUR) == []
    assert await _verdicts(database, NO_TIME) == [Verdict.TERMINATED]


async def test_a_session_that_would_hold_up_the_feed_is_ended_sooner(
    database: Database, session: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await session.execute("BEGIN")
    await session.fetch("SELECT pg_current_xact_id()")
    assert await _verdicts(database, HOUR) == []
    monkeypatch.setattr(watchdog, "MAX_WRITING", NO_TIME)
    assert await _verdicts(database, HOUR) == [Verdict.TERMINATED]


async def test_also_from_another_database_nobody_holds_up_the_feed(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        analyst(url) as own_url,
        connected(database_url(own_url, "postgres")) as session,
    ):
        await session.execute("BEGIN")
        await session.fetch("SELECT 1")
        assert await _verdicts(database, NO_TIME) == []
        await session.fetch("SELECT pg_current_xact_id()")
        assert await _verdicts(database, HOUR) == []
        monkeypatch.setattr(watchdog, "MAX_WRITING", NO_TIME)
        assert await _verdicts(database, HOUR) == [Verdict.TERMINATED]


async def test_an_idle_session_that_has_filled_the_table_of_locks_is_ended(
    database: Database, session: asyncpg.Connection, connection: asyncpg.Connection
) -> None:
    # Nobody can connect any more when it is full: the service's pool is connected before.
    assert await _verdicts(database, HOUR) == []
    await store(connection, event("m1"))
    with pytest.raises(asyncpg.OutOfMemoryError):
        await session.fetch(
            "SELECT count(pg_advisory_lock(n)) FROM generate_series(1, 1000000) AS n"
        )
    with pytest.raises(DatabaseUnavailable, match="out of memory"):
        await store(connection, event("m2"))
    assert await _verdicts(database, HOUR) == [Verdict.TERMINATED]
    async with asyncio.timeout(10):
        while True:
            try:
                await store(connection, event("m2"))
            except DatabaseUnavailable:  # it is still ending
                await asyncio.sleep(0.01)
            else:
                break
    assert await _verdicts(database, HOUR) == []


@pytest.mark.parametrize("begun", ["", "BEGIN"])
async def test_more_than_a_few_advisory_locks_end_a_session_and_an_idle_one_by_the_first(
    database: Database, session: asyncpg.Connection, begun: str
) -> None:
    await session.execute(begun or "SELECT 1")
    assert await _verdicts(database, HOUR) == []
    await session.fetch("SELECT pg_advisory_lock(1)")
    assert await _verdicts(database, HOUR) == ([] if begun else [Verdict.TERMINATED])
    if begun:
        await session.fetch("SELECT pg_advisory_xact_lock_shared(n) FROM generate_series(2, 17) n")
        assert await _verdicts(database, HOUR) == [Verdict.TERMINATED]


async def test_also_from_another_database_nobody_fills_the_table_of_locks(
    url: str, database: Database
) -> None:
    async with (
        analyst(url) as own_url,
        connected(database_url(own_url, "postgres")) as session,
    ):
        await session.fetch("SELECT pg_advisory_lock(7021002)")
        assert await _verdicts(database, HOUR) == []
        await session.fetch("SELECT pg_advisory_lock(n) FROM generate_series(1, 20) n")
        assert await _verdicts(database, HOUR) == [Verdict.TERMINATED]


async def test_a_session_that_takes_a_lock_of_ours_is_ended_at_once(
    database: Database, session: asyncpg.Connection
) -> None:
    await session.fetch("SELECT pg_advisory_lock(7021002)")
    assert await CountFolding(database).fold() == 0
    assert await _verdicts(database, HOUR) == [Verdict.TERMINATED]


async def test_nobody_but_analysts_is_ended(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute("BEGIN")
    await connection.fetch("SELECT 1")
    assert await _verdicts(database, NO_TIME) == []


async def test_a_long_query_of_an_analyst_holds_up_neither_callbacks_nor_the_feed(
    url: str, database: Database, session: asyncpg.Connection, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m1"))
    await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert await session.fetchval("SELECT count(*) FROM bi_v1.messages") == 1
    query = asyncio.create_task(
        session.fetchval("SELECT count(*) FROM bi_v1.messages, pg_sleep(60)")
    )
    await _is_busy(session, connection)

    # Whatever waits for the query would wait for a minute.
    async with asyncio.timeout(20), feed_database(url) as feed:
        reader = Reader(feed)
        await store(connection, event("m2"), event("m1", "DELIVERED"))
        await CountFolding(database).fold()
        await reader.read()
    assert names(reader.items) == ["m1 SENT", "m2 SENT", "m1 DELIVERED"]
    assert not query.done()

    await _verdicts(database, NO_TIME)
    with pytest.raises(asyncpg.QueryCanceledError):
        await query
