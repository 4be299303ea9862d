import secrets
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from app.buffer.connection import Buffer
from app.db.database import Database
from app.errors import BufferUnsafe, CannotStore
from app.observability.metrics import Metrics
from app.services.buffer.watch import BufferWatch
from app.services.readiness import Readiness
from tests.nats import unsafe_buffer

_FRESHNESS = "SELECT buffered_batches, buffered_since, buffer_measured_at FROM bi_v1.freshness"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_items=2)
    yield database
    await database.close()


@pytest.fixture
async def away() -> AsyncIterator[Database]:
    database = Database("postgresql://nobody@127.0.0.1:9/nowhere", pool_items=1)
    yield database
    await database.close()


@pytest.fixture
async def buffer(nats_url: str) -> AsyncIterator[Buffer]:
    buffer = unsafe_buffer(nats_url, f"w-{secrets.token_hex(4)}")
    yield buffer
    await buffer.close()


async def _freshness(connection: asyncpg.Connection) -> tuple[int, Any, Any]:
    """How many batches wait, since when, and when that was measured."""
    (row,) = await connection.fetch(_FRESHNESS)
    return row[0], row[1], row[2]


async def test_the_backlog_is_shown_to_analysts_and_as_metrics(
    buffer: Buffer, database: Database, connection: asyncpg.Connection
) -> None:
    metrics = Metrics()
    watch = BufferWatch(buffer, database, metrics)
    assert await _freshness(connection) == (0, None, None)
    await watch.poll()
    batches, since, measured_at = await _freshness(connection)
    assert (batches, since) == (0, None)
    assert measured_at is not None
    await buffer.publish(b"one")
    await watch.poll()
    batches, since, measured_again_at = await _freshness(connection)
    assert batches == metrics.buffer_messages._value.get() == watch.backlog.messages == 1
    assert measured_at <= since <= measured_again_at
    assert metrics.buffer_bytes._value.get() > 0
    assert watch.lag_seconds() >= metrics.buffer_lag_seconds._value.get() >= 0


async def test_with_a_buffer_a_process_is_ready_while_the_database_is_away(
    buffer: Buffer, away: Database
) -> None:
    watch = BufferWatch(buffer, away, Metrics())
    await watch.poll()
    readiness = Readiness(away, buffer=watch)
    await readiness.require()
    for _ in range(2):
        readiness.flushes.note_failure()
    with pytest.raises(CannotStore, match="last callbacks could not be stored"):
        await readiness.require()


async def test_a_process_whose_buffer_is_not_durable_is_not_ready(
    nats_url: str, database: Database
) -> None:
    buffer = Buffer([nats_url], stream=f"w-{secrets.token_hex(4)}", max_bytes=1024**2)
    watch = BufferWatch(buffer, database, Metrics())
    await watch.begin()
    with pytest.raises(CannotStore, match="not durable"):
        await Readiness(database, buffer=watch).require()
    with pytest.raises(BufferUnsafe):
        await watch.poll()
    await buffer.close()
