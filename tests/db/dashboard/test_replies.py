"""Replies to a campaign: those that name it, and those that answer a message of it."""

import asyncpg
import pytest

from app.db.dashboard import replies
from app.db.dashboard.replies import replies_to
from app.db.database import Database

_FILL = """
INSERT INTO campaigns (tracking_id, submission) VALUES ('c', 'launched'), ('d', 'launched');
INSERT INTO messages (message_tracking_id, campaign_tracking_id, status, status_key,
    provider_status, status_rank, status_at)
SELECT of_campaign || n, of_campaign, 'SENT', 'SENT', 'SENT', 2, now()
FROM generate_series(1, 10) n, unnest(array['c', 'd']) of_campaign;
INSERT INTO inbound_messages (identity, campaign_tracking_id, reference_tracking_id, message)
SELECT int4send(n), CASE WHEN n % 3 = 0 THEN 'c' END,
    CASE WHEN n % 3 <> 2 THEN (array['c', 'd'])[n % 2 + 1] || n % 12 END, 'reply ' || n
FROM generate_series(1, 60) n
"""
#: Removed ones stay counted.
_REMOVE_ONE = """
DELETE FROM inbound_messages
WHERE id = (SELECT min(id) FROM inbound_messages WHERE campaign_tracking_id = 'c')
"""


@pytest.fixture
async def database(connection: asyncpg.Connection, database: Database) -> Database:
    await connection.execute(_FILL)
    return database


async def test_their_number_is_that_of_the_view_and_the_newest_come_first(
    database: Database, connection: asyncpg.Connection
) -> None:
    for _ in range(2):
        found = await replies_to(database, "c", limit=7)
        shown = await connection.fetchval(
            "SELECT replies FROM bi_v1.campaigns WHERE campaign_tracking_id = 'c'"
        )
        assert (found.number, found.is_more) == (shown, False)
        newest = [reply.row.id for reply in found.newest]
        assert len(newest) == 7
        assert newest == sorted(newest, reverse=True)
        assert all(reply.campaign_tracking_id == "c" for reply in found.newest)
        await connection.execute(_REMOVE_ONE)


async def test_more_than_are_counted_are_said_to_be_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "MAX_COUNTED", 3)
    found = await replies_to(database, "c", limit=2)
    assert (len(found.newest), found.number, found.is_more) == (2, 3, True)


async def test_a_campaign_without_replies_has_none(database: Database) -> None:
    assert await replies_to(database, "x", limit=2) == ((), 0, False)
