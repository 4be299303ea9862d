import gzip
import json
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import asyncpg
import pytest

from app.buffer.message import BufferedBatch, BufferedBody, encoded
from app.db.ingest import IngestSession
from app.errors import DatabaseUnavailable
from app.observability.metrics import Metrics
from app.services.buffer.storing import BatchStorage
from app.services.callbacks.flush import PendingRecord
from app.services.callbacks.reading import Body, Reader
from app.services.callbacks.storing import Store
from tests.promises.load import Callback, callback, reply, report, stories

_AT = datetime(2026, 7, 5, 10, 28, 44, 566000, tzinfo=UTC)
_PATH = "/callbacks/***/status"
_TABLES = ("events", "inbound_messages", "campaign_progress", "quarantine")
_MESSAGES = """
SELECT message_tracking_id, status, status_at, recipient, price, queued_at, sent_at, delivered_at,
    seen_at FROM messages ORDER BY 1
"""
_COUNTS = """
SELECT campaign_tracking_id, status, sum(messages) FROM campaign_count_deltas
GROUP BY 1, 2 HAVING sum(messages) <> 0 ORDER BY 1, 2
"""


class _Stumbling(Reader):
    """Fails on bodies with a certain word, as a reader with an error in its code would."""

    def read(self, body: Body) -> Sequence[PendingRecord]:
        if b"stumble" in body.octets:
            raise ZeroDivisionError
        return super().read(body)


def _storage(url: str) -> tuple[BatchStorage, Store]:
    metrics = Metrics()
    store = Store(IngestSession(url, statement_timeout_seconds=30), metrics)
    return BatchStorage(_Stumbling(metrics), store, metrics), store


@pytest.fixture
async def storage(url: str) -> AsyncIterator[BatchStorage]:
    storage, store = _storage(url)
    yield storage
    await store.close()


def _message(*octets: bytes, content: tuple[str, str] | None = None) -> bytes:
    bodies = [BufferedBody(one, _PATH, None, content) for one in octets]
    return encoded(BufferedBatch(bodies, _AT))


async def _reasons(connection: asyncpg.Connection) -> list[tuple[str, bytes]]:
    rows = await connection.fetch("SELECT reason, body FROM quarantine ORDER BY reason")
    return [(row["reason"], row["body"]) for row in rows]


async def test_a_batch_is_stored_as_received_when_it_was_buffered(
    storage: BatchStorage, connection: asyncpg.Connection
) -> None:
    bodies = [callback("m1").body, reply("m1", "Yes").body, report("c1").body, b"not JSON"]
    assert await storage.stored(_message(*bodies), gives_up=False)
    for table in _TABLES:
        assert await connection.fetchval(f"SELECT received_at FROM {table}") == _AT  # noqa: S608
    assert await storage.stored(_message(*bodies), gives_up=False)
    for table in _TABLES:
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 1  # noqa: S608


async def test_large_and_compressed_bodies_are_read_as_they_are_when_posted(
    storage: BatchStorage, connection: asyncpg.Connection
) -> None:
    items = [json.loads(callback(f"m{at}").body) for at in range(1500)]
    assert await storage.stored(_message(json.dumps(items).encode()), gives_up=False)
    compressed = gzip.compress(callback("zipped").body)
    assert await storage.stored(_message(compressed, content=("", "gzip")), gives_up=False)
    assert await connection.fetchval("SELECT count(*) FROM messages") == 1501


async def test_a_damaged_message_goes_to_the_quarantine_byte_for_byte(
    storage: BatchStorage, connection: asyncpg.Connection
) -> None:
    message = bytearray(_message(callback("m1").body))
    message[-1] ^= 1
    assert await storage.stored(bytes(message), gives_up=False)
    assert await _reasons(connection) == [("damaged-buffer-message", bytes(message))]


async def test_a_body_that_meets_an_unforeseen_error_is_set_aside_alone_and_only_at_last(
    storage: BatchStorage, connection: asyncpg.Connection
) -> None:
    message = _message(callback("m1").body, b'{"a": "stumble"}', callback("m2").body)
    assert not await storage.stored(message, gives_up=False)
    assert await connection.fetchval("SELECT count(*) FROM messages") == 2
    assert await _reasons(connection) == []
    assert await storage.stored(message, gives_up=True)
    assert await _reasons(connection) == [("unforeseen-error", b'{"a": "stumble"}')]


async def test_a_database_that_is_away_blames_no_body() -> None:
    storage, store = _storage("postgresql://nobody@127.0.0.1:9/nowhere")
    for message in (_message(callback("m1").body), b"damaged"):
        with pytest.raises(DatabaseUnavailable):
            await storage.stored(message, gives_up=True)
    await store.close()


async def test_any_order_and_any_repetition_of_batches_gives_the_same_result(
    url: str, connection: asyncpg.Connection
) -> None:
    callbacks = stories("m", 12, campaigns=3)
    shuffled = random.Random(7)  # noqa: S311 (a test)
    results = []
    for _ in range(3):
        await connection.execute("TRUNCATE events, messages, campaign_count_deltas")
        storage, store = _storage(url)
        batches = _in_batches(callbacks, shuffled)
        for batch in [*batches, *shuffled.choices(batches, k=3)]:
            assert await storage.stored(_message(*batch), gives_up=False)
        await store.close()
        messages = [tuple(row) for row in await connection.fetch(_MESSAGES)]
        counts = [tuple(row) for row in await connection.fetch(_COUNTS)]
        results.append((messages, counts))
    assert results[0] == results[1] == results[2]
    assert len(results[0][0]) == 12


def _in_batches(callbacks: Sequence[Callback], shuffled: random.Random) -> list[list[bytes]]:
    bodies = [one.body for one in callbacks]
    shuffled.shuffle(bodies)
    size = shuffled.randrange(1, 9)
    return [bodies[at : at + size] for at in range(0, len(bodies), size)]
