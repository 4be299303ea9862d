import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import pytest

from app.buffer.connection import Buffer
from app.buffer.message import BufferedBatch, BufferedBody, encoded
from app.db.ingest import IngestSession
from app.observability.metrics import Metrics
from app.services.buffer.storing import BatchStorage
from app.services.buffer.worker import Worker
from app.services.callbacks.reading import Reader
from app.services.callbacks.storing import Store
from tests.nats import jetstream, unsafe_buffer
from tests.promises.load import callback
from tests.promises.stage import eventually

_PATH = "/callbacks/***/status"


@pytest.fixture
def stream() -> str:
    return f"w-{secrets.token_hex(4)}"


@pytest.fixture
async def buffer(nats_url: str, stream: str) -> AsyncIterator[Buffer]:
    buffer = unsafe_buffer(nats_url, stream)
    await buffer.check()
    yield buffer
    await buffer.close()


class _Storage(BatchStorage):
    """Storage that does what a test wants before it stores."""

    before: Callable[[], object] = staticmethod(lambda: None)

    async def stored(self, message: bytes, *, gives_up: bool) -> bool:
        self.before()
        return await super().stored(message, gives_up=gives_up)


@asynccontextmanager
async def _working(
    buffer: Buffer, url: str, *, before: Callable[[], object] | None = None
) -> AsyncIterator[Metrics]:
    metrics = Metrics()
    store = Store(IngestSession(url, statement_timeout_seconds=30), metrics)
    storage = _Storage(Reader(metrics), store, metrics)
    if before is not None:
        storage.before = before
    worker = Worker(buffer, storage, metrics)
    working = asyncio.create_task(worker.run())
    try:
        yield metrics
    finally:
        worker.stop()
        await asyncio.wait_for(working, 10)
        await store.close()


async def _publish(buffer: Buffer, *messages: str) -> None:
    bodies = [BufferedBody(callback(one).body, _PATH, None, None) for one in messages]
    await buffer.publish(encoded(BufferedBatch(bodies, datetime.now(UTC))))


async def _are_stored(connection: asyncpg.Connection, buffer: Buffer, messages: int) -> None:
    async def _are() -> bool:
        stored = await connection.fetchval("SELECT count(*) FROM messages")
        return bool(stored == messages) and (await buffer.check()).messages == 0

    await eventually(_are)


async def test_batches_are_removed_once_they_are_stored(
    buffer: Buffer, url: str, connection: asyncpg.Connection
) -> None:
    await _publish(buffer, "m1", "m2")
    async with _working(buffer, url) as metrics:
        await _are_stored(connection, buffer, 2)
        await _publish(buffer, "m3")
        await _are_stored(connection, buffer, 3)
    assert metrics.buffer_batches.labels("stored")._value.get() == 2


async def test_two_workers_share_the_batches(
    buffer: Buffer, url: str, connection: asyncpg.Connection
) -> None:
    for at in range(30):
        await _publish(buffer, f"m{at}", f"n{at}")
    async with _working(buffer, url), _working(buffer, url):
        await _are_stored(connection, buffer, 60)


async def test_a_batch_waits_while_the_database_is_away(
    buffer: Buffer, url: str, connection: asyncpg.Connection
) -> None:
    await _publish(buffer, "m1")
    async with _working(buffer, "postgresql://nobody@127.0.0.1:9/nowhere") as metrics:

        async def _is_postponed() -> bool:
            postponed: float = metrics.buffer_batches.labels("postponed")._value.get()
            return postponed >= 2

        await eventually(_is_postponed)
    assert (await buffer.check()).messages == 1
    async with _working(buffer, url):
        await _are_stored(connection, buffer, 1)


async def test_an_unforeseen_error_of_the_worker_does_not_end_it(
    buffer: Buffer, url: str, connection: asyncpg.Connection
) -> None:
    failures = iter([ZeroDivisionError(), KeyError("x")])

    def _fail_at_first() -> None:
        for failure in failures:
            raise failure

    await _publish(buffer, "m1")
    async with _working(buffer, url, before=_fail_at_first):
        await _are_stored(connection, buffer, 1)


async def test_a_consumer_that_is_deleted_under_a_worker_is_made_again(
    buffer: Buffer, url: str, connection: asyncpg.Connection, nats_url: str, stream: str
) -> None:
    async with _working(buffer, url), jetstream(nats_url) as context:
        await _publish(buffer, "m1")
        await _are_stored(connection, buffer, 1)
        await context.delete_consumer(stream, "work")
        await _publish(buffer, "m2")
        await _are_stored(connection, buffer, 2)
