"""Up to when an export has all rows that will ever be there."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from app.db.database import migrate_database
from app.db.exports import ExportFilter
from app.db.exports.completeness import awaited_safe_instant, complete_until, safe_instant
from app.db.feed.positions import COMMIT_DELAY
from app.embedded import EmbeddedPostgres
from tests.database import connect

AT_ONCE = timedelta(0)
T0 = datetime.fromisoformat("2026-07-05T00:00:00Z")
_STORE = "INSERT INTO inbound_messages (identity) VALUES ('x')"


@pytest.fixture
async def writer(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction that has stored a reply and goes on."""
    connection = await connect(url)
    await connection.execute(f"BEGIN; {_STORE}")
    yield connection
    await connection.close()


async def began(connection: asyncpg.Connection) -> datetime:
    instant: datetime = await connection.fetchval("SELECT now()")
    return instant


async def test_the_safe_instant_is_a_minute_ago(connection: asyncpg.Connection) -> None:
    safe = await safe_instant(connection)
    assert safe is not None
    assert timedelta(0) <= await began(connection) - COMMIT_DELAY - safe < timedelta(seconds=5)


async def test_an_open_writing_transaction_holds_the_safe_instant_back(
    connection: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    began_at = await began(writer)
    assert await safe_instant(connection, commit_delay=AT_ONCE) == began_at
    await writer.execute("COMMIT")
    safe = await safe_instant(connection, commit_delay=AT_ONCE)
    assert safe is not None
    assert safe > began_at


async def test_an_open_reading_transaction_does_not_hold_it_back(
    connection: asyncpg.Connection, url: str
) -> None:
    reader = await connect(url)
    await reader.execute("BEGIN; SELECT FROM inbound_messages")
    safe = await safe_instant(connection, commit_delay=AT_ONCE)
    assert safe is not None
    assert safe > await began(reader)
    await reader.close()


async def test_an_end_of_just_now_is_waited_for(
    connection: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    until = await began(writer) - COMMIT_DELAY + timedelta(seconds=2)
    waits: list[timedelta] = []
    safe = await awaited_safe_instant(
        connection, ExportFilter(until=until), timedelta(seconds=30), waits.append
    )
    assert safe is not None
    assert until <= safe < until + timedelta(seconds=10)
    assert len(waits) == 1
    assert timedelta(0) < waits[0] <= timedelta(seconds=2)


@pytest.mark.parametrize("ahead", [timedelta(days=-1), timedelta(days=1)])
async def test_an_end_long_ago_or_far_ahead_is_not(
    connection: asyncpg.Connection, ahead: timedelta
) -> None:
    until = await began(connection) + ahead
    waits: list[timedelta] = []
    wanted = ExportFilter(until=until)
    safe = await awaited_safe_instant(connection, wanted, timedelta(seconds=75), waits.append)
    assert waits == []
    assert (complete_until(wanted, safe) == until) == (ahead < timedelta(0))


async def test_waiting_ends_with_the_patience(connection: asyncpg.Connection) -> None:
    until = await began(connection) - COMMIT_DELAY + timedelta(seconds=1)
    wanted = ExportFilter(until=until)
    safe = await awaited_safe_instant(connection, wanted, AT_ONCE, lambda _: None)
    assert safe is not None
    assert safe < until


def test_a_snapshot_is_complete_only_for_what_was_wanted() -> None:
    hour = timedelta(hours=1)
    assert complete_until(ExportFilter(), T0) == T0
    assert complete_until(ExportFilter(until=T0 - hour), T0) == T0 - hour
    assert complete_until(ExportFilter(until=T0 + hour), T0) == T0
    assert complete_until(ExportFilter(since=T0 + hour), T0) == T0 + hour
    assert complete_until(ExportFilter(), None) is None


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    """Short, as sockets need it, and not in the folder of another account."""
    folder = Path(tempfile.mkdtemp(prefix="rr-exports-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def connected(data_dir: Path) -> AsyncIterator[asyncpg.Connection]:
    async with EmbeddedPostgres(data_dir) as url:
        connection = await connect(url)
        try:
            yield connection
        finally:
            await connection.close()


async def _copy(source: Path, target: Path) -> None:
    await asyncio.to_thread(subprocess.run, ["cp", "-a", str(source), str(target)], check=True)


async def test_a_standby_answers_for_what_it_has_replayed(folder: Path) -> None:
    old, standby = folder / "old", folder / "standby"
    async with EmbeddedPostgres(old) as url:
        await migrate_database(url)
    await _copy(old, standby)
    cluster = standby / "postgres"
    (cluster / "standby.signal").touch()
    shutil.chown(cluster / "standby.signal", cluster.stat().st_uid, cluster.stat().st_gid)
    async with connected(standby) as replica:
        assert await safe_instant(replica) is None
    async with connected(old) as primary:
        before = await primary.fetchval("SELECT clock_timestamp()")
        await primary.execute(_STORE)
        after = await primary.fetchval("SELECT clock_timestamp()")
    await _copy(old / "postgres" / "pg_wal", cluster)
    async with connected(standby) as replica:
        async with asyncio.timeout(30):
            while not await replica.fetchval("SELECT count(*) FROM inbound_messages"):
                await replica.execute("SELECT pg_sleep(0.1)")
        await asyncio.sleep(1)  # what is not replayed does not become complete by waiting
        safe = await safe_instant(replica)
        assert safe is not None
        assert before <= safe + COMMIT_DELAY <= after
