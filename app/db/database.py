"""Pools of connections for everything but the callback path, and what their failures mean."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast
from weakref import WeakSet

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db.bi.access import renew_grants
from app.db.connecting import require_replicated
from app.db.engine import make_engine
from app.db.explaining import sentence_of, where_of
from app.db.failures import translated
from app.db.feed.epoch import keep_epoch
from app.db.schema import BASE, HEAD, migrate, needed_version, require_schema
from app.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy.pool import QueuePool

log = structlog.get_logger()

#: Connections of a process for all but callbacks, lists and the feed.
API_POOL_ITEMS: Final = 8
_API_TIMEOUT_SECONDS: Final = 5.0
_MIGRATION_TIMEOUT_SECONDS: Final = 3600.0
#: Plans each read for the tables as they are. A cached plan stays with its connection, and one that
#: was made for a small table scans it when it has grown.
READ_SETTINGS: Final = {"plan_cache_mode": "force_custom_plan"}
#: On a standby it is always on.
_IS_READ_ONLY: Final = text("SELECT current_setting('transaction_read_only')::boolean")
_WRITE_WAL: Final = text("SELECT pg_logical_emit_message(true, 'routee-receiver', 'ready')")
_SET_LOCAL: Final = text("""
SELECT set_config(name, value, true)
FROM unnest(CAST(:names AS text[]), CAST(:values AS text[])) AS given(name, value)
""")


class Database:
    """A pool of connections. Constructing it connects to nothing."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "api",
        pool_items: int = API_POOL_ITEMS,
        session_settings: Mapping[str, str] | None = None,
        statement_timeout_seconds: float = _API_TIMEOUT_SECONDS,
    ) -> None:
        #: For messages.
        self.where = where_of(url)
        self._engine: AsyncEngine = make_engine(
            url,
            name=name,
            pool_items=pool_items,
            statement_timeout_seconds=statement_timeout_seconds,
            session_settings=session_settings,
            on_connect=self._note_connection,
        )
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        #: How many connections may be in use at a time.
        self.pool_items = pool_items
        #: How many connections were made so far. A new one may lead to another database.
        self.connections_made = 0
        self._connections: WeakSet[asyncpg.Connection] = WeakSet()

    @asynccontextmanager
    async def reading(
        self, *, planner: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncSession]:
        """
        A session in which each statement is a transaction of its own.

        With settings of the *planner* all statements share one, to which these are confined.

        Raises:
            DatabaseUnavailable: the database failed, or cannot be reached.
        """
        engine = self._engine if planner else self._reading
        try:
            async with AsyncSession(engine, expire_on_commit=False) as session:
                await _set_planner(session, planner)
                yield session
        except (SQLAlchemyError, OSError) as error:
            raise self._unavailable(error) from error

    @asynccontextmanager
    async def writing(
        self, *, planner: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncSession]:
        """
        A session in a transaction that commits at the end of the block.

        Settings of the *planner* are confined to the transaction.

        Raises:
            IntegrityError: the rows contradict others; the caller knows what that means.
            DatabaseUnavailable: the database failed, or cannot be reached, or the commit was ended
                before a synchronous standby had it.
        """
        try:
            async with AsyncSession(self._engine) as session, session.begin():
                raw = await (await session.connection()).get_raw_connection()
                driven = cast("asyncpg.Connection", raw.driver_connection)
                await _set_planner(session, planner)
                yield session
            _end_unless_replicated(driven)
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError) as error:
            raise self._unavailable(error) from error

    @asynccontextmanager
    async def writing_feed(
        self, *, planner: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncSession]:
        """
        `writing` for what has a place in the feed: the epoch is raised first if it must be.

        Raises:
            IntegrityError: the rows contradict others; the caller knows what that means.
            DatabaseUnavailable: the database failed, or cannot be reached.
        """
        await self.keep_epoch()
        async with self.writing(planner=planner) as session:
            yield session

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[asyncpg.Connection]:
        """
        The driver's own connection, for statements that the callback path has as well.

        Raises:
            DatabaseUnavailable: the database failed, or cannot be reached.
        """
        try:
            async with self._reading.connect() as connection:
                raw = (await connection.get_raw_connection()).driver_connection
                with translated(self.where):
                    yield cast("asyncpg.Connection", raw)
        except (SQLAlchemyError, OSError) as error:
            raise self._unavailable(error) from error

    @property
    def connections_in_use(self) -> int:
        """How many connections of the pool are in use."""
        return cast("QueuePool", self._engine.pool).checkedout()

    async def require_schema(self, *, accepts_newer: bool = False) -> str:
        """
        Refuse a schema that this program cannot use, and return its version.

        With *accepts_newer* one that is newer suits, if this program may go on storing in it.

        Raises:
            SchemaOutdated: it is older or empty, or (SchemaNewer) newer.
            DatabaseUnavailable: it cannot be read.
        """
        try:
            return await require_schema(self._engine, accepts_newer=accepts_newer)
        except (SQLAlchemyError, OSError) as error:
            raise self._unavailable(error) from error

    async def server_version(self) -> str:
        """
        The version of the server, such as 18.5.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        async with self.driver() as connection:
            number = int(await connection.fetchval("SHOW server_version_num"))
        return f"{number // 10_000}.{number % 10_000}"

    async def is_writable(self) -> bool:
        """
        Whether the database takes writes: False if it is read-only.

        It writes and flushes a few bytes of WAL that nothing reads.

        Raises:
            DatabaseUnavailable: it failed, as with a full disk, or cannot be reached.
        """
        async with self.reading() as session:
            if await session.scalar(_IS_READ_ONLY):
                return False
            await session.execute(_WRITE_WAL)
        return True

    async def keep_epoch(self) -> int:
        """
        See `db.feed.epoch.keep_epoch`.

        Raises:
            DatabaseUnavailable: it could not be read or raised.
        """
        async with self.driver() as connection:
            return await keep_epoch(connection)

    def cut(self) -> None:
        """Cut all connections at once, for a server that does not answer; nothing is waited for."""
        for connection in list(self._connections):
            connection.terminate()

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    def _unavailable(self, error: Exception) -> DatabaseUnavailable:
        return DatabaseUnavailable(sentence_of(error, self.where))

    def _note_connection(self, connection: asyncpg.Connection) -> None:
        self.connections_made += 1
        self._connections.add(connection)


def schema_version() -> str:
    """The version of the schema that this program needs."""
    return needed_version()


async def migrate_database(
    url: str,
    *,
    to: str = HEAD,
    is_down: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> str:
    """
    Bring the schema, the feed's epoch and the analysts' rights up to date.

    The arguments are those of `db.schema.migrate`.

    Returns:
        The version of the schema.

    Raises:
        ConfigurationError: *to* does not lie in that direction.
        DatabaseUnavailable: it cannot be reached, refuses, or others hold its tables.
        SchemaNewer: its schema is newer than this program; nothing was changed.
    """
    engine = make_engine(
        url, name="migrate", pool_items=1, statement_timeout_seconds=_MIGRATION_TIMEOUT_SECONDS
    )
    try:
        version = await migrate(engine, to=to, is_down=is_down, say=say)
        if version != BASE:
            await _renew_what_dumps_lack(url)
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseUnavailable(sentence_of(error, where_of(url))) from error
    else:
        return version
    finally:
        await engine.dispose()


async def _renew_what_dumps_lack(url: str) -> None:
    database = Database(url, name="migrate", pool_items=1)
    try:
        await database.keep_epoch()
        async with database.driver() as connection:
            if incomplete := await renew_grants(connection):
                log.warning("rights of analysts are incomplete", statements=incomplete)
    finally:
        await database.close()


async def _set_planner(session: AsyncSession, planner: Mapping[str, str] | None) -> None:
    if planner:
        given = {"names": list(planner), "values": list(planner.values())}
        await session.execute(_SET_LOCAL, given)


def _end_unless_replicated(connection: asyncpg.Connection) -> None:
    try:
        require_replicated(connection)
    except DatabaseUnavailable:
        connection.terminate()  # the pool replaces it
        raise
