"""
One snapshot of the database, read row by row by the server's own cursor.

The connection is the export's own: an export takes minutes, and what polls has a pool of few.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

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
    # The filters that are not given drop out of the plan.
    "plan_cache_mode": "force_custom_plan",
    # The rows are wanted all, not the first few soon.
    "cursor_tuple_fraction": "1",
    # What is fetched in parts has no workers, and a plan should not count on them.
    "max_parallel_workers_per_gather": "0",
    # Waiting for a migration's lock would end only with the migration.
    "lock_timeout": "5s",
    "statement_timeout": "0",
    # It is idle while the reader takes what it has.
    "idle_in_transaction_session_timeout": "0",
    # A reader that was killed must not keep the snapshot, nor a sort that nobody waits for.
    "client_connection_check_interval": "5s",
}


class Reading(NamedTuple):
    """How a snapshot is to be read."""

    #: That needs a sort, and room for it on the server.
    in_order_of_days: bool = False
    #: When the server gives up; 0: never.
    max_seconds: int = 0
    #: How long to wait before the snapshot for what may still be committed into the wanted time.
    patience: timedelta = timedelta(0)
    #: Told once how long that will be, if it is to be waited for.
    on_wait: Callable[[timedelta], None] = lambda _lacking: None


class Snapshot(NamedTuple):
    """The rows of one moment."""

    chunks: AsyncIterator[Records]
    #: Before this instant no wanted row can come any more that is not here; None: it is not known.
    complete_until: datetime | None
    #: How many rows the server expects.
    expected_rows: int


@asynccontextmanager
async def snapshot_of(
    url: str, table: ExportTable, wanted: ExportFilter, reading: Reading
) -> AsyncIterator[Snapshot]:
    """
    The rows of *table*; leaving the block ends the query, wherever it is.

    Raises:
        DatabaseUnavailable: it cannot be read, or can no longer.
    """
    with _only_unavailable():
        connection = await asyncpg.connect(
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
        # Waits until a query that was given up is cancelled on the server.
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
    told = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *arguments)
    rows: int = json.loads(told)[0]["Plan"]["Plan Rows"]
    return rows


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
