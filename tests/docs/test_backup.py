"""The commands of docs/backup.md back up and restore, as the page says."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from app.db.bi.address import address
from app.db.bi.login import BiLogin
from app.db.bi.users import create_bi_login
from app.db.database import Database, migrate_database
from app.domain.feed import Position
from app.embedded import EmbeddedPostgres
from app.embedded.standby import share_password, url_by_port
from app.kit.scram import make_verifier
from app.sandbox.processes import eventually, free_port
from tests.conftest import database_url
from tests.database import connect
from tests.db.bi.stage import PASSWORD
from tests.db.feed.feed_stage import Reader, event, feed_database, names, reply, store
from tests.docs.backup_stage import Shell, commands_by_heading

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_ANALYST = "drill"
#: The commands of each test; together they are the page's.
_DUMP = ("Dump", "Restore a dump", "After every restore", "The drill of each quarter")
_WAL = ("Archive", "Take a base backup", "Recover to a point in time", "After every restore")
_EMBEDDED = ("The embedded server", "Restore the embedded server")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not in a folder that only its owner may enter: the server has another account."""
    folder = Path(tempfile.mkdtemp(prefix="rr-backup-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Source:
    """The running service's server, with an analyst's login and some events."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "old"
        self.port = free_port()
        self.server = EmbeddedPostgres(self.data_dir, port=self.port)

    @property
    def url(self) -> str:
        return url_by_port(self.data_dir, self.port)

    async def store(self, *messages: str) -> None:
        connection = await connect(self.url)
        await store(connection, *(each for one in messages for each in (event(one), reply(one))))
        await connection.close()

    async def ask(self, query: str) -> object:
        connection = await connect(self.url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()


@pytest.fixture
async def source(folder: Path) -> AsyncIterator[Source]:
    source = Source(folder)
    await source.server.acquire()
    await migrate_database(source.url)
    database = Database(source.url, name="tests", pool_items=1)
    verifier = make_verifier(PASSWORD)
    login = BiLogin(_ANALYST, verifier, pii=False, max_seconds=60, max_connections=5)
    await create_bi_login(database, login)
    await database.close()
    await source.store("m1", "m2")
    yield source
    await source.server.release()


@pytest.fixture
def shell(folder: Path, source: Source) -> Shell:
    return Shell(folder, source.data_dir)


async def _position(url: str) -> Position:
    """Where a reader is who has read the whole feed at *url*."""
    async with feed_database(url) as database:
        reader = Reader(database)
        await reader.read()
        return reader.position


async def _assert_is_whole(url: str, position: Position, *then: str) -> None:
    """A reader goes on in the restored database, *then* comes, and the analyst can log in."""
    connection = await connect(url)
    assert await connection.fetchval("SELECT epoch FROM feed_state") == 2
    await store(connection, event("m9"))
    await connection.close()
    async with feed_database(url) as database:
        came = names(await Reader(database, after=position).read())
    assert [one for one in came if one.endswith("SENT")] == [*then, "m9 SENT"]
    assert len(came) == 2 * len(then) + 1, "each of them has a reply"
    analyst = await asyncpg.connect(
        address(url, user=_ANALYST, password=PASSWORD, database="receiver")
    )
    assert await analyst.fetchval("SELECT count(*) FROM bi_v1.messages") >= 2
    await analyst.close()


def test_every_command_of_the_page_is_run_by_one_of_these() -> None:
    assert set(commands_by_heading()) == {*_DUMP, *_WAL, *_EMBEDDED}


async def test_a_dump_is_restored_into_another_server(
    folder: Path, source: Source, shell: Shell
) -> None:
    position = await _position(source.url)
    await source.store("m3")
    await shell.run(
        "Dump",
        ADMIN_URL=database_url(source.url, "postgres"),
        RECEIVER_DATABASE_URL=source.url,
    )
    new, port = folder / "new", free_port()
    share_password(source.data_dir, new)
    server = EmbeddedPostgres(new, port=port)
    await server.acquire()
    try:
        url = url_by_port(new, port)
        await shell.run("Restore a dump", NEW_ADMIN_URL=database_url(url, "postgres"))
        said = await shell.run("After every restore", RECEIVER_DATABASE_URL=url)
        assert "Nothing differs." in said
        assert _ANALYST in said
        said = await shell.run("The drill of each quarter", RECEIVER_DATABASE_URL=url)
        assert "3 | " in said
        await _assert_is_whole(url, position, "m3 SENT")
    finally:
        await server.release()
    assert tuple(shell.ran) == _DUMP


async def test_a_base_backup_and_wal_are_recovered_to_a_point_in_time(
    folder: Path, source: Source, shell: Shell
) -> None:
    admin = database_url(source.url, "postgres")
    await shell.run("Archive", ADMIN_URL=admin)
    await source.server.release()
    await source.server.acquire()
    await shell.run("Take a base backup", ADMIN_URL=admin)
    position = await _position(source.url)
    await source.store("m3")
    moment = await source.ask("SELECT clock_timestamp()::text")
    await source.store("m4")
    await _archived(source)
    restored, port = folder / "restored", free_port()
    settings = {"RESTORED": restored, "MOMENT": moment, "NEW_PORT": port}
    async with _stopped_at_the_end(shell, settings):
        await shell.run("Recover to a point in time", **settings)
        url = url_by_port(source.data_dir, port)
        said = await shell.run("After every restore", RECEIVER_DATABASE_URL=url)
        assert "Nothing differs." in said
        await _assert_is_whole(url, position, "m3 SENT")
    assert tuple(shell.ran) == _WAL


async def _archived(source: Source) -> None:
    """Return when all that is written so far is archived."""
    wanted = await source.ask("SELECT pg_walfile_name(pg_switch_wal())")

    async def _is() -> bool:
        last = await source.ask("SELECT last_archived_wal FROM pg_stat_archiver")
        return str(last or "") >= str(wanted)

    await eventually(_is)


@asynccontextmanager
async def _stopped_at_the_end(shell: Shell, settings: dict[str, object]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await shell.execute('pg_ctl --pgdata="$RESTORED" --mode=immediate stop || true', settings)


async def test_the_embedded_server_is_backed_up_while_it_runs_and_restored(
    folder: Path, source: Source, shell: Shell
) -> None:
    position = await _position(source.url)
    await source.store("m3")
    await shell.run(
        "The embedded server",
        RECEIVER_DATA_DIR=source.data_dir,
        RECEIVER_EMBEDDED_PORT=source.port,
    )
    await source.server.release()
    new = folder / "new"
    said = await shell.run("Restore the embedded server", NEW_DATA_DIR=new)
    assert "Nothing differs." in said
    async with EmbeddedPostgres(new) as url:
        connection = await connect(url)
        assert await connection.fetchval("SELECT count(*) FROM messages") == 3
        await connection.close()
        async with feed_database(url) as database:
            assert names(await Reader(database, after=position).read())[:1] == ["m3 SENT"]
    assert tuple(shell.ran) == _EMBEDDED
