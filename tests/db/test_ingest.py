import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.ingest import (
    Appended,
    IngestSession,
    append_events,
    append_inbound,
    append_progress,
    stored_identities,
)
from app.db.rebuild.messages import reported
from app.domain.event import DeliveryEvent, Source
from app.domain.message import Message, project
from app.routee.translate import Record, translate
from tests.conftest import fresh_database
from tests.domain.strategies import deliveries
from tests.promises.load import callback, reply, report

WRITERS = 4
_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'"

T = TypeVar("T")
Append = Callable[[asyncpg.Connection, Any], Coroutine[None, None, Appended]]

in_postgres = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _prefixed(events: Iterable[DeliveryEvent], prefix: str) -> list[DeliveryEvent]:
    """The same events of other messages and campaigns, so that examples do not meet."""
    return [
        event._replace(
            message_tracking_id=f"{prefix}{event.message_tracking_id}",
            campaign_tracking_id=event.campaign_tracking_id
            and f"{prefix}{event.campaign_tracking_id}",
        )
        for event in events
    ]


def _batches(events: list[DeliveryEvent], rng: random.Random) -> Iterator[list[DeliveryEvent]]:
    while events:
        size = rng.randint(1, 5)
        yield events[:size]
        events = events[size:]


def _expected(events: Iterable[DeliveryEvent]) -> dict[str, Message]:
    by_message: dict[str, list[DeliveryEvent]] = {}
    for event in events:
        by_message.setdefault(event.message_tracking_id, []).append(event)
    return {message: project(stored) for message, stored in by_message.items()}


#: What a rebuild makes of the stored events.
REPORTED = reported("starts_with(message_tracking_id, $1)")


async def _messages(
    connection: asyncpg.Connection, prefix: str, *, of: str = "messages"
) -> dict[str, Message]:
    rows = await connection.fetch(
        f"SELECT {', '.join(Message._fields)} FROM {of} AS m"  # noqa: S608
        " WHERE starts_with(message_tracking_id, $1)",
        prefix,
    )
    return {row["message_tracking_id"]: Message._make(row.values()) for row in rows}


async def _events(connection: asyncpg.Connection, prefix: str) -> list[DeliveryEvent]:
    rows = await connection.fetch(
        f"SELECT {', '.join(DeliveryEvent._fields)} FROM events"  # noqa: S608
        " WHERE starts_with(message_tracking_id, $1)",
        prefix,
    )
    return [
        DeliveryEvent._make(row.values())._replace(source=Source(row["source"])) for row in rows
    ]


async def _counts(connection: asyncpg.Connection, prefix: str) -> dict[tuple[str, str], int]:
    rows = await connection.fetch(
        "SELECT campaign_tracking_id, status, sum(messages)::int FROM campaign_count_deltas"
        " WHERE starts_with(campaign_tracking_id, $1) GROUP BY 1, 2 HAVING sum(messages) <> 0",
        prefix,
    )
    return {(campaign, status): count for campaign, status, count in rows}


def _recount(messages: Iterable[Message]) -> Counter[tuple[str, str]]:
    return Counter(
        (message.campaign_tracking_id, message.status.value)
        for message in messages
        if message.campaign_tracking_id is not None
    )


class Database:
    """Writers on a loop of their own: hypothesis runs many examples within one test."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._sessions = [IngestSession(url, statement_timeout_seconds=20) for _ in range(WRITERS)]
        self.writers = [self.run(self._connection(session)) for session in self._sessions]

    def run(self, doing: Coroutine[None, None, T]) -> T:
        return self._runner.run(doing)

    def close(self) -> None:
        for session in self._sessions:
            self.run(session.close())
        self._runner.close()

    async def _connection(self, session: IngestSession) -> asyncpg.Connection:
        async with session.connected() as connection:
            return connection


@pytest.fixture
def database(server_url: str) -> Iterator[Database]:
    with fresh_database(server_url) as url:
        database = Database(url)
        yield database
        database.close()


async def _hammer(
    writers: list[asyncpg.Connection], events: list[DeliveryEvent], seed: int
) -> None:
    """Every writer writes all events, in an order and in batches of its own."""

    async def _write(writer: asyncpg.Connection, rng: random.Random) -> None:
        shuffled = rng.sample(events, len(events))
        for batch in _batches(shuffled, rng):
            await append_events(writer, batch)

    await asyncio.gather(
        *(_write(writer, random.Random(seed + at)) for at, writer in enumerate(writers))  # noqa: S311
    )


async def _everything_agrees(
    connection: asyncpg.Connection, delivered: list[DeliveryEvent], prefix: str
) -> None:
    found = await _messages(connection, prefix)
    assert found == _expected(delivered)
    stored = await _events(connection, prefix)
    assert len(stored) == len({event.identity for event in delivered})
    assert _expected(stored) == found
    assert await _messages(connection, prefix, of=f"({REPORTED})") == found
    assert await _counts(connection, prefix) == _recount(found.values())


def test_any_order_any_repetition_same_result_in_postgres(
    database: Database,
) -> None:
    prefixes = iter(f"{number}:" for number in range(10_000))

    @in_postgres
    @given(deliveries(), st.integers(min_value=0, max_value=2**32))
    def _holds(delivered: list[DeliveryEvent], seed: int) -> None:
        prefix = next(prefixes)
        events = _prefixed(delivered, prefix)
        database.run(_hammer(database.writers, events, seed))
        database.run(_everything_agrees(database.writers[0], events, prefix))

    _holds()


async def _known(connection: asyncpg.Connection, append: Append, record: Record) -> None:
    await append(connection, [record])


async def _found(connection: asyncpg.Connection, _: Append, record: Record) -> None:
    assert not isinstance(record, DeliveryEvent)
    assert await stored_identities(connection, [record.identity]) == {record.identity}


@pytest.mark.parametrize(
    ("append", "record", "again"),
    [
        (append_events, translate(callback("m").body).records[0], _known),
        (append_inbound, translate(reply("m", "hello").body).records[0], _known),
        (append_inbound, translate(reply("m", "hello").body).records[0], _found),
        (append_progress, translate(report("campaign").body).records[0], _known),
        (append_progress, translate(report("campaign").body).records[0], _found),
    ],
)
async def test_what_is_known_already_is_acknowledged_with_a_commit_of_its_own(
    connection: asyncpg.Connection,
    append: Append,
    record: Record,
    again: Callable[[asyncpg.Connection, Append, Record], Coroutine[None, None, None]],
) -> None:
    """A transaction without an id, or without WAL, would not wait for a synchronous standby."""
    await append(connection, [record])
    async with connection.transaction():
        before = await connection.fetchval(_WAL)
        await again(connection, append, record)
        assert await connection.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        assert await connection.fetchval(_WAL) > before
