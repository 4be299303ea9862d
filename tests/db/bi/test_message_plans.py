"""Analysts find a message and its events by an index, whatever its id is, and months by months."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from app.db.forms import Forms
from app.db.ingest import append_events
from app.domain.event import UNKNOWN_TIME, DeliveryEvent
from tests.conftest import fresh_database
from tests.db.bi.plans import nodes_of, read_by_table
from tests.db.bi_stage import analyst, connected
from tests.db.feed_stage import START, event

MESSAGES = 3000
CAMPAIGNS = 900
STATUSES = ("QUEUED", "SENT", "DELIVERED")
UUIDS = [str(UUID(int=at << 90 | at)) for at in range(MESSAGES)]
#: One that is a UUID, and one that only looks like one.
IDS = (UUIDS[8], UUIDS[11].upper())


def _events() -> Iterator[DeliveryEvent]:
    """Of two months; three of each message, every second one of which has an id that is no UUID."""
    for at, uuid in enumerate(UUIDS):
        message = uuid.upper() if at % 2 else uuid
        for status in STATUSES:
            when = START + timedelta(minutes=29 * at)
            yield event(message, status, campaign=f"c{at % CAMPAIGNS}", at=when)
    yield event(IDS[0], "SEEN", campaign="c8", at=UNKNOWN_TIME)


async def _fill(url: str) -> None:
    events = list(_events())
    async with connected(url) as connection:
        await append_events(connection, events[:1000])
        await append_events(connection, events[1000:], Forms(min_messages=1))
        await append_events(connection, events[:90], Forms(min_messages=1))
        await connection.execute("VACUUM ANALYZE")


@pytest.fixture(scope="module")
def stored(server_url: str) -> Iterator[str]:
    """A database with some thousand events, most of them packed."""
    with fresh_database(server_url) as url:
        asyncio.run(_fill(url))
        yield url


@pytest.fixture
async def reader(stored: str) -> AsyncIterator[asyncpg.Connection]:
    """An analyst."""
    async with analyst(stored) as own_url, connected(own_url) as session:
        yield session


@pytest.mark.parametrize("message", IDS)
async def test_a_message_is_found_by_its_id(reader: asyncpg.Connection, message: str) -> None:
    query = f"SELECT * FROM bi_v1.messages WHERE tracking_id = '{message}'"  # noqa: S608
    assert [row["tracking_id"] for row in await reader.fetch(query)] == [message]
    assert read_by_table(await nodes_of(reader, query))["messages"] == 1


@pytest.mark.parametrize("message", IDS)
async def test_the_events_of_a_message_are_found_by_its_id(
    reader: asyncpg.Connection, message: str
) -> None:
    query = f"SELECT * FROM bi_v1.message_events WHERE message_tracking_id = '{message}'"  # noqa: S608
    rows = await reader.fetch(query)
    assert {row["message_tracking_id"] for row in rows} == {message}
    assert len(rows) == 3 + (message == IDS[0])
    read = read_by_table(await nodes_of(reader, query))
    assert read["messages"] <= 2  # in two parts
    assert read["events"] <= 5
    assert read["event_forms"] <= 5


async def test_several_messages_are_found_by_their_ids(reader: asyncpg.Connection) -> None:
    ids = "', '".join((*IDS, "unknown"))
    for view, column, rows in (
        ("messages", "tracking_id", 2),
        ("message_events", "message_tracking_id", 7),
    ):
        query = f"SELECT * FROM bi_v1.{view} WHERE {column} IN ('{ids}')"  # noqa: S608
        assert len(await reader.fetch(query)) == rows
        assert read_by_table(await nodes_of(reader, query)).total() < 50


@pytest.mark.parametrize(
    "query",
    [
        """
        SELECT * FROM bi_v1.message_events WHERE message_tracking_id = ANY (
            ARRAY(SELECT tracking_id FROM bi_v1.messages WHERE campaign_tracking_id = 'c8')
        )
        """,
        """
        SELECT e.* FROM bi_v1.messages AS m, LATERAL (
            SELECT * FROM bi_v1.message_events WHERE message_tracking_id = m.tracking_id OFFSET 0
        ) AS e
        WHERE m.campaign_tracking_id = 'c8'
        """,
    ],
    ids=["an array", "lateral"],
)
async def test_the_events_of_a_campaign_are_found_message_by_message(
    reader: asyncpg.Connection, query: str
) -> None:
    of_campaign = len(UUIDS[8::CAMPAIGNS])
    assert len(await reader.fetch(query)) == len(STATUSES) * of_campaign + 1
    read = read_by_table(await nodes_of(reader, query))
    assert read["messages"] <= 3 * of_campaign
    assert read["events"] <= 20
    assert read["event_forms"] <= 20


async def _months(reader: asyncpg.Connection, columns: str, condition: str) -> set[str]:
    """The tables that the plan names."""
    query = f"SELECT {columns} FROM bi_v1.message_events WHERE {condition}"  # noqa: S608
    return {node.get("Relation Name", "") for node in await nodes_of(reader, query)} - {""}


@pytest.mark.parametrize(
    "condition",
    [
        "occurred_at >= '2026-04-01Z' AND occurred_at < '2026-05-01Z'",
        "occurred_at BETWEEN '2026-04-05Z' AND '2026-04-06Z' AND status = 'SENT'",
    ],
)
async def test_a_condition_on_times_reads_its_months_alone(
    reader: asyncpg.Connection, condition: str
) -> None:
    assert await _months(reader, "count(*)", condition) == {"events_2026_04"}
    # Joined with what is asked for, and with nothing else.
    assert await _months(reader, "status, country", condition) == {"events_2026_04", "event_forms"}
    assert await _months(reader, "*", condition) == {
        *("events_2026_04", "event_forms", "messages", "campaigns")
    }


async def test_events_without_a_time_are_looked_for_where_they_are(
    reader: asyncpg.Connection,
) -> None:
    assert await _months(reader, "count(*)", "occurred_at IS NULL") <= {"events_before"}
    query = "SELECT status FROM bi_v1.message_events WHERE occurred_at IS NULL"
    assert [row["status"] for row in await reader.fetch(query)] == ["SEEN"]
