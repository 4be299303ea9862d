"""
One snapshot of the database, read row by row by the server's own cursor.

The connection is the export's own: an export takes minutes, and the pools have few connections.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from app.db.connecting import connect
from app.db.exports.completeness import awaited_safe_instant, complete_until
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
    # Planned for the filters that are given.
    "plan_cache_mode": "force_custom_plan",
    # All rows are wanted, not the first few soon.
    "cursor_tuple_fraction": "1",
    # A cursor that is fetched in parts has no workers, so the plan must not count on them.
    "max_parallel_workers_per_gather": "0",
    # Waiting for a migration's lock would end only with the migration.
    "lock_timeout": "5s",
    "statement_timeout": "0",
    # The transaction is idle while the client reads.
    "idle_in_transaction_session_timeout": "0",
    # A client that was killed must keep neither the snapshot nor a running sort.
    "client_connection_check_interval": "5s",
}


class Reading(NamedTuple):
    """How a snapshot is to be read."""

    #: Takes a sort, and disk space for it on the server.
    in_order_of_days: bool = False
    #: When the server aborts; 0 for never.
    max_seconds: int = 0
    #: How long to wait for transactions that may still add rows of the wanted time.
    patience: timedelta = timedelta(0)
    #: Called once with the shortest time to wait, if there is any.
    on_wait: Callable[[timedelta], None] = lambda _lacking: None


class Snapshot(NamedTuple):
    """The rows of one moment."""

    chunks: AsyncIterator[Records]
    #: The instant before which no wanted row is missing; None if it is unknown.
    complete_until: datetime | None
    #: The planner's estimate.
    expected_rows: int


@asynccontextmanager
async def snapshot_of(
    url: str, table: ExportTable, wanted: ExportFilter, reading: Reading
) -> AsyncIterator[Snapshot]:
    """
    The rows of *table*; leaving the block ends the query.

    Raises:
        DatabaseUnavailable: the database cannot be read, or not any more.
    """
    with _only_unavailable():
        connection = await connect(
            url,
            timeout=_CONNECT_SECONDS,
            server_settings=_SETTINGS | {"transaction_timeout": f"{reading.max_seconds}s"},
        )
    try:
        with _only_unavailable():
            safe = await awaited_safe_instant(connection, wanted, reading.patience, reading.on_wait)
            await connection.transaction(isolation="repeatable_read", readonly=True).start()
            query, arguments = await _query(
                connection, table, wanted, in_order_of_days=reading.in_order_of_days
            )
            expected = await _expected(connection, query, arguments)
            cursor = await connection.cursor(query, *arguments)
        chunks = _chunks(cursor, STATEMENTS[table].chunk_items)
        yield Snapshot(chunks, complete_until(wanted, safe), expected)
    finally:
        # Waits until an unfinished query is cancelled on the server.
        with suppress(Exception):
            await connection.close(timeout=_CLOSE_SECONDS)


async def _query(
    connection: asyncpg.Connection,
    table: ExportTable,
    wanted: ExportFilter,
    *,
    in_order_of_days: bool,
) -> tuple[str, Sequence[Any]]:
    statement = STATEMENTS[table]
    query, arguments = statement.rows, [wanted.since, wanted.until]
    if wanted.campaign is not None:
        await connection.execute(BY_KEY)
        query += statement.of_campaign
        arguments += await _campaign(connection, wanted.campaign)
    if in_order_of_days:
        query += statement.in_order_of_days
    return query, arguments


async def _expected(connection: asyncpg.Connection, query: str, arguments: Sequence[Any]) -> int:
    """How many rows the planner expects, which takes it a few milliseconds."""
    plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *arguments)
    rows: int = json.loads(plan)[0]["Plan"]["Plan Rows"]
    return rows


async def _campaign(connection: asyncpg.Connection, campaign: str) -> Sequence[Any]:
    """Routee's id and ours. There may be rows of a campaign that has no row of its own."""
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
    """Raise all errors as DatabaseUnavailable: for a replica, a dropped snapshot is contention."""
    try:
        with translated():
            yield
    except (ValuesRefused, Contended) as error:
        raise DatabaseUnavailable(str(error)) from error
