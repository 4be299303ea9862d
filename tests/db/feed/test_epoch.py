"""The feed goes on when its database is moved to another server, or a standby takes over."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from app.db.bi.address import address
from app.db.database import Database, migrate_database
from app.db.erasure.erasures import end_erasure
from app.db.feed.epoch import keep_epoch
from app.db.finishing import finish_some
from app.db.ingest import IngestSession, append_events, append_inbound
from app.db.launching.launches import (
    Outcome,
    resolve_unconfirmed,
    settle_cancelled,
    settle_launched,
    settle_open,
)
from app.domain.campaign import Submission
from app.embedded import EmbeddedPostgres
from app.embedded.binaries import find_binaries
from app.errors import DatabaseUnavailable
from tests.database import connect
from tests.db.bi.stage import analyst
from tests.db.feed.feed_stage import Reader, event, feed_database, names, notice, reply, store


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as sockets need it, and not in the folder of another account."""
    folder = Path(tempfile.mkdtemp(prefix="rr-feed-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _program(name: str) -> str:
    return str(find_binaries().folder / "bin" / name)


async def _dump_and_restore(source: str, target: str, file: Path) -> None:
    for command in (
        [_program("pg_dump"), "--format=custom", f"--file={file}", source],
        [_program("pg_restore"), "--exit-on-error", f"--dbname={target}", str(file)],
    ):
        await asyncio.to_thread(subprocess.run, command, check=True)


async def _epoch_of_the_next(connection: asyncpg.Connection) -> set[int]:
    """In which epoch events, replies and notices are stored now."""
    await store(connection, event("next"), reply("next"), notice("next"))
    rows = await connection.fetch(
        "SELECT feed_epoch FROM (SELECT id, feed_epoch FROM events UNION ALL"
        " SELECT id, feed_epoch FROM inbound_messages UNION ALL"
        " SELECT id, feed_epoch FROM notices) AS stored ORDER BY id DESC LIMIT 3"
    )
    return {row[0] for row in rows}


async def test_a_database_that_stayed_where_it_was_keeps_its_epoch(
    url: str, connection: asyncpg.Connection
) -> None:
    assert await keep_epoch(connection) == 1
    await migrate_database(url)
    assert await _epoch_of_the_next(connection) == {1}


@pytest.mark.parametrize("changed", ["system_identifier", "timeline"])
async def test_a_database_that_was_moved_gets_a_new_epoch(
    connection: asyncpg.Connection, changed: str
) -> None:
    await connection.execute(f"UPDATE feed_state SET {changed} = {changed} + 1")  # noqa: S608
    assert await keep_epoch(connection) == 2
    assert await _epoch_of_the_next(connection) == {2}
    assert await keep_epoch(connection) == 2


async def test_one_of_many_concurrent_processes_raises_the_epoch(
    url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE feed_state SET timeline = timeline + 1")
    databases = [Database(url, name="tests", pool_items=1) for _ in range(6)]
    assert await asyncio.gather(*(database.keep_epoch() for database in databases)) == [2] * 6
    for database in databases:
        await database.close()
    assert await _epoch_of_the_next(connection) == {2}


async def test_nothing_is_stored_before_the_epoch_is_raised(
    url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE feed_state SET timeline = timeline + 1")
    session = IngestSession(url, statement_timeout_seconds=1.5)
    async with session.connected() as ingest:
        await append_events(ingest, [event("m")])
    await session.close()
    assert await connection.fetchval("SELECT feed_epoch FROM events") == 2


async def test_while_it_cannot_be_raised_nothing_is_stored(
    url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE feed_state SET timeline = timeline + 1")
    session = IngestSession(url, statement_timeout_seconds=1.5)
    async with connection.transaction():
        await connection.fetch("SELECT FROM feed_state FOR UPDATE")
        with pytest.raises(DatabaseUnavailable):
            async with session.connected():
                pass
    async with session.connected() as ingest:
        await append_events(ingest, [event("m")])
    await session.close()
    stored = "SELECT feed_epoch = epoch AND epoch > 1 FROM events, feed_state"
    assert await connection.fetchval(stored)


async def test_no_notice_is_written_before_the_epoch_is_raised(
    url: str, connection: asyncpg.Connection
) -> None:
    waiting = [
        await connection.fetchval(
            "INSERT INTO campaigns (submission, attempts, next_attempt_at, created_at)"
            " VALUES ($1, 1, now(), now() - interval '20 days') RETURNING id",
            submission,
        )
        for submission in ("unconfirmed", "unconfirmed", "unconfirmed", "launched", "launched")
    ]
    async with feed_database(url) as database:
        for epoch, settle in enumerate(
            [
                settle_launched(database, waiting[0], Outcome(b"{}", None, None, None)),
                settle_open(database, waiting[1], Submission.REJECTED, attempt=1, reason="x"),
                resolve_unconfirmed(
                    database, waiting[2], Submission.REJECTED, tracking_id=None, reason="x"
                ),
                settle_cancelled(database, waiting[3]),
                finish_some(database, waiting[4]),
                end_erasure(database, waiting[4], {}, recipient_keys=["key"]),
            ],
            start=2,
        ):
            await connection.execute("UPDATE feed_state SET timeline = timeline + 1")
            await settle
            epochs = "SELECT feed_epoch FROM notices ORDER BY id"
            told = [row[0] for row in await connection.fetch(epochs)]
            assert told == list(range(2, epoch + 1))


async def test_readers_delay_no_callback_on_a_promoted_server(
    url: str, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m1"), reply("m1"))
    session = IngestSession(url, statement_timeout_seconds=1.5)
    async with analyst(url) as analyst_url, _connected(analyst_url) as reading:
        await reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        for view in ("message_events", "inbound_messages", "campaigns", "delivery_daily"):
            await reading.fetch(f"SELECT * FROM bi_v1.{view}")  # noqa: S608
        await connection.execute("UPDATE feed_state SET timeline = timeline + 1")
        async with session.connected() as ingest:
            await append_events(ingest, [event("m2")])
            await append_inbound(ingest, [reply("m2")])
    await session.close()
    assert await connection.fetchval("SELECT max(feed_epoch) FROM events") == 2
    assert await connection.fetchval("SELECT max(feed_epoch) FROM inbound_messages") == 2


async def test_a_role_that_may_not_read_the_epoch_stores_nothing_in_a_wrong_one(
    url: str, connection: asyncpg.Connection
) -> None:
    name = f"service_{uuid4().hex}"
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'")
    await connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA receiver TO {name}")
    await connection.execute(f"GRANT USAGE ON SEQUENCE feed_id TO {name}")
    await connection.execute(f"GRANT USAGE ON SCHEMA receiver TO {name}")
    own_url = address(url, user=name, password="plain", database=urlsplit(url).path[1:])
    session = IngestSession(own_url, statement_timeout_seconds=1.5)
    try:
        with pytest.raises(DatabaseUnavailable):
            async with session.connected():
                pass
        await connection.execute(f"GRANT USAGE ON SEQUENCE feed_epoch TO {name}")
        async with session.connected() as ingest:
            await append_events(ingest, [event("m")])
    finally:
        await session.close()
        await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    assert await connection.fetchval("SELECT feed_epoch FROM events") == 1


async def test_an_epoch_that_was_raised_and_not_recorded_is_raised_again(
    connection: asyncpg.Connection,
) -> None:
    await connection.execute("SELECT setval('feed_epoch', 2)")
    assert await keep_epoch(connection) == 3
    assert await _epoch_of_the_next(connection) == {3}
    assert await keep_epoch(connection) == 3


async def test_a_reader_goes_on_in_a_restored_dump_and_misses_nothing(
    url: str, connection: asyncpg.Connection, folder: Path
) -> None:
    # The old server's transaction ids are far ahead of those of a new one.
    while await connection.fetchval("SELECT pg_current_xact_id()::text::bigint") < 3000:
        await connection.execute(
            "DO 'BEGIN FOR i IN 1..1000 LOOP COMMIT; PERFORM pg_current_xact_id(); END LOOP; END'"
        )
    await store(connection, event("m1"), reply("m1"), event("m2"))
    async with feed_database(url) as database:
        reader = Reader(database)
        await reader.read()
        read_so_far = reader.position
    await store(connection, event("m3"))
    async with EmbeddedPostgres(folder / "new") as new_url:
        async with _connected(new_url) as new:
            # As docs/analysts.md says: a dump names the roles of analysts and lacks them.
            await new.execute("CREATE ROLE bi_reader NOLOGIN; CREATE ROLE bi_reader_pii NOLOGIN")
        await _dump_and_restore(url, new_url, folder / "dump")
        await migrate_database(new_url)
        async with _connected(new_url) as new, feed_database(new_url) as database:
            await store(new, event("m4"), reply("m4"))
            rows = await new.fetch(
                "SELECT max(xid::text::bigint) FROM events GROUP BY feed_epoch ORDER BY feed_epoch"
            )
            assert rows[0][0] > rows[1][0], "the new server would have to be behind the old one"
            reader = Reader(database, after=read_so_far)
            assert names(await reader.read())[:2] == ["m3 SENT", "m4 SENT"]
            assert len(reader.items) == 3


async def test_a_promoted_standby_starts_a_new_epoch_at_once(folder: Path) -> None:
    async with EmbeddedPostgres(folder / "old") as url:
        await migrate_database(url)
        async with _connected(url) as connection:
            await store(connection, event("m1"))
    copy = ["cp", "-a", str(folder / "old"), str(folder / "standby")]
    await asyncio.to_thread(subprocess.run, copy, check=True)
    cluster = folder / "standby" / "postgres"
    (cluster / "standby.signal").touch()
    shutil.chown(cluster / "standby.signal", cluster.stat().st_uid, cluster.stat().st_gid)
    async with EmbeddedPostgres(folder / "standby") as url, _connected(url) as standby:
        assert await standby.fetchval("SELECT pg_is_in_recovery()")
        assert await keep_epoch(standby) == 1
        await standby.execute("SELECT pg_promote()")
        assert await keep_epoch(standby) == 2
        assert await _epoch_of_the_next(standby) == {2}
        async with feed_database(url) as database:
            assert names(await Reader(database).read())[:2] == ["m1 SENT", "next SENT"]
