from datetime import UTC, datetime, timedelta

import asyncpg

from app.db.ingest import IngestSession
from app.observability.metrics import Metrics
from app.services.callbacks.flush import Receipt
from app.services.callbacks.reading import Body, Reader
from app.services.callbacks.storing import Store
from tests.promises.load import callback, reply, report

_EARLIER = datetime(2026, 7, 5, 10, 28, 44, tzinfo=UTC)
_TABLES = ("events", "inbound_messages", "campaign_progress", "quarantine")


async def test_what_is_stored_for_an_earlier_time_was_received_then(
    url: str, connection: asyncpg.Connection
) -> None:
    metrics = Metrics()
    store = Store(IngestSession(url, statement_timeout_seconds=30), metrics)
    reader = Reader(metrics)
    bodies = [callback("m1").body, reply("m1", "Yes").body, report("c1").body, b"not JSON"]
    batch = [one for body in bodies for one in reader.read(Body(body, "/callbacks/-/status", None))]
    outcomes = await store.store(batch, received_at=_EARLIER)
    assert outcomes == [Receipt.STORED] * 3 + [Receipt.QUARANTINED]
    for table in _TABLES:
        assert await connection.fetchval(f"SELECT received_at FROM {table}") == _EARLIER  # noqa: S608
    await store.store(batch)
    for table in _TABLES:
        assert await connection.fetchval(f"SELECT received_at FROM {table}") == _EARLIER  # noqa: S608
    assert await connection.fetchval("SELECT last_received_at > $1 FROM quarantine", _EARLIER)
    await store.close()


async def test_only_what_was_received_long_ago_is_left_out_of_searches_for_instants(
    url: str, connection: asyncpg.Connection
) -> None:
    metrics = Metrics()
    store = Store(IngestSession(url, statement_timeout_seconds=30), metrics)
    reader = Reader(metrics)
    for message, age in (("now", timedelta(seconds=1)), ("then", timedelta(minutes=5))):
        batch = reader.read(Body(callback(message).body, "/callbacks/-/status", None))
        await store.store(batch, received_at=datetime.now(UTC) - age)
    noted = await connection.fetch(
        "SELECT message_tracking_id FROM events JOIN feed_replays USING (feed_epoch, xid)"
    )
    assert [row[0] for row in noted] == ["then"]
    await store.close()
