"""A real PostgreSQL for the whole run, and a database of its own for each test that asks."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from app.db.embedded import EmbeddedPostgres
from app.db.engine import make_engine
from app.db.schema import migrate

_TEMPLATE = "receiver_template"
_ENOUGH_BYTES = 2_000_000_000


def database_url(server_url: str, name: str) -> str:
    """The URL of database *name* on the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


async def _make_template(server_url: str) -> None:
    await _execute(server_url, f"CREATE DATABASE {_TEMPLATE}")
    engine = make_engine(
        database_url(server_url, _TEMPLATE),
        name="tests",
        pool_items=1,
        statement_timeout_seconds=60,
    )
    await migrate(engine)
    await engine.dispose()


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the person who runs the tests has configured, the tests have their own."""
    for name in os.environ:
        if name.startswith("RECEIVER_"):
            monkeypatch.delenv(name)


def _roomy_memory() -> Path | None:
    """A file system in memory if there is room: cloning a database there takes a tenth."""
    memory = Path("/dev/shm")  # noqa: S108 (with a folder of our own, mode 0700, in it)
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ENOUGH_BYTES
    return memory if roomy else None


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a running PostgreSQL 18 that ends with the tests."""
    folder = Path(tempfile.mkdtemp(prefix="rr-tests-", dir=_roomy_memory()))
    server = EmbeddedPostgres(folder / "var")
    url = asyncio.run(server.acquire())
    try:
        asyncio.run(_make_template(url))
        yield url
    finally:
        asyncio.run(server.release())
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database with the current schema, dropped at the end."""
    name = f"test_{uuid4().hex}"
    asyncio.run(
        _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
    )
    try:
        yield database_url(server_url, name)
    finally:
        asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    """The URL of a database of this test's own."""
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database of this test."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
