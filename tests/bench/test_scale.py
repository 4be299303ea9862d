"""What is loaded quickly is what the callback path would have stored."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.db.database import migrate_database
from app.db.ingest import append_events
from app.db.payloads import opened
from app.domain.event import DeliveryEvent, Source
from tests.bench.scale_load import load
from tests.bench.scale_story import last_months
from tests.database import connect
from tests.promises.stage import Postgres

EVENTS = 3_000
#: Ingest takes these from its clock, which says now.
_RECEIVED = {"first_received_at", "updated_at"}
_EVENTS = f"SELECT {', '.join(DeliveryEvent._fields)} FROM events ORDER BY id"  # noqa: S608
_MESSAGES = "SELECT * FROM messages ORDER BY message_tracking_id"
_COUNTS = """
SELECT campaign_tracking_id, status, sum(messages)
FROM (SELECT campaign_tracking_id, status, messages FROM campaign_counts
      UNION ALL SELECT campaign_tracking_id, status, messages FROM campaign_count_deltas) AS all_
GROUP BY 1, 2 HAVING sum(messages) <> 0 ORDER BY 1, 2
"""


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    """One whose settings may be changed."""
    postgres = Postgres(tmp_path)
    await postgres.start()
    yield postgres
    await postgres.stop()


async def _rows(connection: asyncpg.Connection, query: str) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name not in _RECEIVED}
        for row in await connection.fetch(query)
    ]


def _event(row: asyncpg.Record) -> DeliveryEvent:
    event = DeliveryEvent(*row)
    return event._replace(
        source=Source(event.source),
        payload=opened(event.payload, event.payload_dictionary),
        payload_dictionary=0,
    )


@pytest.mark.parametrize("largest", [0, 400])
def test_each_campaign_has_as_many_messages_as_it_says(largest: int) -> None:
    plan = last_months("test", EVENTS, 20, largest=largest)
    messages = Counter(map(plan.campaign_of, range(plan.messages)))
    assert messages == {number: plan.campaign(number).messages for number in range(20)}
    assert messages[19] == (largest or plan.messages / 20)


@pytest.mark.slow
async def test_what_is_loaded_is_what_ingest_would_have_stored(
    postgres: Postgres, connection: asyncpg.Connection
) -> None:
    await migrate_database(postgres.url)
    await load(postgres.url, last_months("test", EVENTS, 20))
    loaded = await connect(postgres.url)
    events = [_event(row) for row in await loaded.fetch(_EVENTS)]
    assert len(events) == EVENTS
    for first in range(0, EVENTS, 100):
        await append_events(connection, events[first : first + 100])
    assert sorted(map(_event, await connection.fetch(_EVENTS))) == sorted(events)
    assert await _rows(loaded, _MESSAGES) == await _rows(connection, _MESSAGES)
    assert await _rows(loaded, _COUNTS) == await _rows(connection, _COUNTS)
    await loaded.close()
