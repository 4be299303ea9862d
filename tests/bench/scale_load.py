"""
Fills a database with what `append_events` would have left there, in a fraction of the time.

Rows are copied in, many to a transaction, with all indexes in place: an index that is built at
once is denser than one that has grown. Nothing is synced until the end.
"""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

import asyncpg

from app.domain.campaign import Submission
from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.message import Message
from tests.bench.scale_payloads import stored_payload
from tests.bench.scale_story import EVENTS_PER_MESSAGE, Plan, Teller, replies_of
from tests.database import connect

_EVENTS_PER_TRANSACTION: Final = 20_000
#: Only while rows are copied in: a crash meanwhile would leave nothing that can be used.
_WHILE_LOADING: Final = {
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "16GB",
    "synchronous_commit": "off",
}
_CAMPAIGN: Final = """
INSERT INTO campaigns (id, tracking_id, name, label, submission, expected_messages, created_at,
    updated_at)
SELECT uuidv7(created_at - now()), tracking_id, name, label, $6, messages, created_at, created_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
    AS given(tracking_id, name, label, messages, created_at)
"""
_COUNTS: Final = """
INSERT INTO campaign_counts (campaign_tracking_id, status, messages)
SELECT campaign_tracking_id, status, count(*) FROM messages
WHERE campaign_tracking_id IS NOT NULL GROUP BY campaign_tracking_id, status
"""

_EVENT_COLUMNS: Final = (*DeliveryEvent._fields, "received_at")
_MESSAGE_COLUMNS: Final = (*Message._fields, "status", "first_received_at", "updated_at")
_INBOUND_COLUMNS: Final = (*InboundMessage._fields, "received_at")

#: From its status to our door.
_UNDER_WAY: Final = timedelta(milliseconds=350)

Row = list[Any]


async def load(url: str, plan: Plan) -> None:
    """Fill the database at *url*, which has its tables and nothing in them."""
    async with _unsynced(url):
        await _copy_all(url, plan)
        await _complete(url, plan)
    await _settle(url)


async def _copy_all(url: str, plan: Plan) -> None:
    workers = os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        shares = [pool.submit(_copy_share, url, plan, each, workers) for each in range(workers)]
        await asyncio.gather(*map(asyncio.wrap_future, shares))


def _copy_share(url: str, plan: Plan, worker: int, workers: int) -> None:
    asyncio.run(_copy(url, plan, worker, workers))


async def _copy(url: str, plan: Plan, worker: int, workers: int) -> None:
    """Every chunk of messages whose turn it is."""
    connection = await connect(url)
    teller, messages = Teller(plan), _EVENTS_PER_TRANSACTION // EVENTS_PER_MESSAGE
    for first in range(worker * messages, plan.messages, workers * messages):
        numbers = range(first, min(first + messages, plan.messages))
        await _copy_chunk(connection, *_made(teller, numbers))
    await connection.close()


async def _copy_chunk(
    connection: asyncpg.Connection, messages: Sequence[Row], steps: Sequence[Sequence[Row]]
) -> None:
    async with connection.transaction():
        await _into(connection, "messages", _MESSAGE_COLUMNS, messages)
        await _into(connection, "events", _EVENT_COLUMNS, list(chain.from_iterable(steps)))


async def _into(
    connection: asyncpg.Connection, table: str, columns: Sequence[str], rows: Sequence[Any]
) -> None:
    await connection.copy_records_to_table(table, records=rows, columns=list(columns))


def _made(teller: Teller, numbers: Sequence[int]) -> tuple[list[Row], list[list[Row]]]:
    """Messages, and their events as they arrive: the first ones of all, the second ones, …"""
    messages: list[Row] = []
    steps: list[list[Row]] = [[] for _ in range(EVENTS_PER_MESSAGE)]
    for number in numbers:
        story = teller.story(number)
        for step, event in zip(steps, story, strict=True):
            step.append(_row(event, event.occurred_at + _UNDER_WAY))
        received = [story[at].occurred_at + _UNDER_WAY for at in (0, -1)]
        messages.append([*teller.message(number, story), *received])
    return messages, steps


def _row(record: DeliveryEvent | InboundMessage, received_at: datetime) -> Row:
    """The last three values of either kind are the payload's."""
    return [*record[:-3], *stored_payload(record.payload), record[-1], received_at]


async def _complete(url: str, plan: Plan) -> None:
    connection = await connect(url)
    campaigns = [plan.campaign(number) for number in range(plan.campaigns)]
    await connection.execute(_CAMPAIGN, *zip(*campaigns, strict=True), Submission.LAUNCHED)
    replies = [_row(*reply) for reply in replies_of(plan)]
    await _into(connection, "inbound_messages", _INBOUND_COLUMNS, replies)
    await connection.execute(_COUNTS)
    await connection.close()


async def _settle(url: str) -> None:
    """As autovacuum and the checkpointer leave it when they have come round."""
    connection = await connect(url, timeout=60)
    for index in await _brin_indexes(connection):
        await connection.execute("SELECT brin_summarize_new_values($1::text::regclass)", index)
    await connection.execute("VACUUM (ANALYZE)")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _brin_indexes(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_am a ON a.oid = c.relam"
        " WHERE a.amname = 'brin' AND c.relkind = 'i'"
    )
    return [row[0] for row in rows]


@asynccontextmanager
async def _unsynced(url: str) -> AsyncIterator[None]:
    """Settings of the whole server that make it quick and forgetful, for the block."""
    connection = await connect(url)
    try:
        for name, value in _WHILE_LOADING.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await connection.execute("SELECT pg_reload_conf()")
        yield
    finally:
        await _restore(connection)
        await connection.close()


async def _restore(connection: asyncpg.Connection) -> None:
    for name in _WHILE_LOADING:
        await connection.execute(f"ALTER SYSTEM RESET {name}")
    await connection.execute("SELECT pg_reload_conf()")
