"""Analysts' logins, which belong to the cluster and are gone after the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg

from app.db.bi.address import address
from app.db.bi.login import BiLogin
from app.db.bi.users import create_bi_login, remove_bi_login
from app.db.database import Database
from app.kit.scram import make_verifier
from tests.database import connect

PASSWORD = "of an analyst"


@asynccontextmanager
async def analyst(url: str, *, pii: bool = False, max_seconds: int = 60) -> AsyncIterator[str]:
    """The URL at which a new analyst reaches the database at *url*."""
    name = f"analyst_{uuid4().hex}"
    login = BiLogin(name, make_verifier(PASSWORD), pii, max_seconds, max_connections=5)
    database = Database(url, name="tests", pool_items=1)
    try:
        made = await create_bi_login(database, login)
        yield address(url, user=name, password=PASSWORD, database=made.database)
    finally:
        await remove_bi_login(database, name)
        await database.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A session at *url* that finds the service's tables."""
    async with _ended(await connect(url)) as connection:
        yield connection


@asynccontextmanager
async def asking(own_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A session of an analyst, with the settings of the login only."""
    async with _ended(await asyncpg.connect(own_url)) as connection:
        yield connection


@asynccontextmanager
async def _ended(connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    try:
        yield connection
    finally:
        # Not closed in good order: the watchdog may have been there first.
        connection.terminate()
