"""
One snapshot of the database, read row by row by the server's own cursor.

The connection is the export's own: an export takes minutes, and what polls has a pool of few.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final
from uuid import UUID

import asyncpg

from app.db.exports.statements import BY_KEY, CAMPAIGN, STATEMENTS, ExportFilter, ExportTable
from app.db.failures import Contended, ValuesRefused, translated
from app.errors import DatabaseUnavailable

#: Rows in the order of their statement's columns.
Records = Sequence[asyncpg.Record]

_CONNECT_SECONDS: Final = 5.0
#: For one chunk; the first one may have to wait for a sort.
_FETCH_SECONDS: Final = 3600.0
_CLOSE_SECONDS: Final = 5.0
_SETTINGS: Final = {
    "application_name": "routee-receiver exports",
    "jit": "off",
    # The filters that are not given drop out of the plan.
    "plan_cache_mode": "force_custom_plan",
    # The rows are wanted all, not the first few soon.
    "cursor_tuple_fraction": "1",
    # Waiting for a migration's lock would end only with the migration.
    "lock_timeout": "5s",
    "statement_timeout": "0",
    # It is idle while the reader takes what it has.
    "idle_in_transaction_session_timeout": "0",
    # A reader that was killed must not keep the snapshot, nor a sort that nobody waits for.
    "client_connection_check_interval": "5s",
}


@asynccontextmanager
async def snapshot_of(
    url: str,
    table: ExportTable,
    wanted: ExportFilter,
    *,
    in_order_of_time: bool = False,
    max_seconds: int = 0,
) -> AsyncIterator[AsyncIterator[Records]]:
    """
    The rows of *table* in chunks; leaving the block ends the query, wherever it is.

    In the order of time only when asked for: that needs a sort, and room for it on the server. The
    server gives up after *max_seconds*; 0: never.

    Raises:
        DatabaseUnavailable: it cannot be read, or can no longer.
    """
    with _only_unavailable():
        connection = await asyncpg.connect(
            url,
            timeout=_CONNECT_SECONDS,
            server_settings=_SETTINGS | {"transaction_timeout": f"{max_seconds}s"},
        )
    try:
        with _only_unavailable():
            cursor = await _opened(connection, table, wanted, in_order_of_time=in_order_of_time)
        yield _chunks(cursor, STATEMENTS[table].chunk_items)
    finally:
        # Waits until a query that was given up is cancelled on the server.
        with suppress(Exception):
            await connection.close(timeout=_CLOSE_SECONDS)


async def _opened(
    connection: asyncpg.Connection,
    table: ExportTable,
    wanted: ExportFilter,
    *,
    in_order_of_time: bool,
) -> Any:  # noqa: ANN401 (the stubs lead to one class, the driver gives another)
    await connection.transaction(isolation="repeatable_read", readonly=True).start()
    statement = STATEMENTS[table]
    query, arguments = statement.rows, [wanted.since, wanted.until]
    if wanted.campaign is not None:
        await connection.execute(BY_KEY)
        query += statement.of_campaign
        arguments += await _campaign(connection, wanted.campaign)
    if in_order_of_time:
        query += statement.in_order_of_time
    return await connection.cursor(query, *arguments)


async def _campaign(connection: asyncpg.Connection, campaign: str) -> Sequence[Any]:
    """Routee's id and ours; of a campaign that is not known there may be rows all the same."""
    own_id = None
    with suppress(ValueError):
        own_id = UUID(campaign)
    found = await connection.fetchrow(CAMPAIGN, campaign, own_id)
    return (campaign, None) if found is None else tuple(found)


async def _chunks(cursor: Any, items: int) -> AsyncIterator[Records]:  # noqa: ANN401 (as above)
    while True:
        with _only_unavailable():
            records: Records = await cursor.fetch(items, timeout=_FETCH_SECONDS)
        if not records:
            return
        yield records


@contextmanager
def _only_unavailable() -> Iterator[None]:
    """An export has no values to blame; a replica that drops its snapshot calls it contention."""
    try:
        with translated():
            yield
    except (ValuesRefused, Contended) as error:
        raise DatabaseUnavailable(str(error)) from error
