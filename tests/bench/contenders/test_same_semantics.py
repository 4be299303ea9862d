import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final

import asyncpg
import pytest

from app.db.ingest import append_events
from app.db.payloads import opened
from app.domain.event import DeliveryEvent
from app.domain.message import Message
from app.routee.translate import translate
from tests.bench.callbacks import Callbacks
from tests.bench.cluster import PLAIN_TABLES
from tests.bench.contenders import idiomatic_app
from tests.bench.contenders.postgrest import FUNCTION
from tests.database import connect

ITEMS: Final = 400

#: Everything but when and as what a row was written.
STORED: Final = {
    "messages": f"SELECT {', '.join(Message._fields)}, status FROM messages ORDER BY 1",  # noqa: S608
    "events": "SELECT message_tracking_id, status_key, occurred_at, provider_status,"
    " detailed_status, description, campaign_tracking_id, recipient, sender, country, label, price,"
    " created_at, source FROM events ORDER BY 1, 2, 3",
    "counts": "SELECT campaign_tracking_id, status, sum(messages) FROM campaign_count_deltas"
    " GROUP BY 1, 2 HAVING sum(messages) <> 0 ORDER BY 1, 2",
}
_PAYLOADS: Final = """
SELECT message_tracking_id, status_key, payload, payload_dictionary FROM events ORDER BY 1, 2
"""
_FORGET_COUNTS: Final = "TRUNCATE campaign_count_deltas"

Tables = Mapping[str, list[Any]]
Store = Callable[[str, list[bytes]], Coroutine[Any, Any, None]]


def _bodies() -> list[bytes]:
    bodies = list(islice(Callbacks("0123abcd-4567"), ITEMS))
    random.Random(7).shuffle(bodies)  # noqa: S311 (the same every time)
    return bodies


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def _by_ours(url: str, bodies: list[bytes]) -> None:
    events = [record for body in bodies for record in translate(body).records]
    async with _connected(url) as connection:
        await append_events(connection, [e for e in events if isinstance(e, DeliveryEvent)])


async def _by_function(url: str, bodies: list[bytes]) -> None:
    async with _connected(url) as connection:
        await connection.execute(FUNCTION.read_text())
        for body in bodies:
            await connection.execute("SELECT bench.bench_receive($1::json)", body.decode())


async def _by_orm(url: str, bodies: list[bytes]) -> None:
    async with idiomatic_app.connected(url):
        for body in bodies:
            await idiomatic_app.store(idiomatic_app.Callback.model_validate_json(body), body)


async def _tables(url: str, *, schema: str = "receiver") -> Tables:
    async with _connected(url) as connection:
        await connection.execute(f"SET search_path = {schema}, receiver")
        tables = {name: await connection.fetch(query) for name, query in STORED.items()}
        payloads = [
            (message, status, opened(payload, dictionary))
            for message, status, payload, dictionary in await connection.fetch(_PAYLOADS)
        ]
    return {**tables, "payloads": payloads}


async def _plain_tables_made(url: str) -> None:
    async with _connected(url) as connection:
        await connection.execute(PLAIN_TABLES.read_text())
        await connection.execute(_FORGET_COUNTS)


@pytest.mark.parametrize("store", [_by_function, _by_orm])
async def test_a_contender_stores_what_the_service_stores(url: str, store: Store) -> None:
    await _by_ours(url, _bodies())
    expected = await _tables(url)
    await _plain_tables_made(url)
    await store(url, _bodies())
    assert await _tables(url, schema="plain") == expected
    assert all(expected.values())
