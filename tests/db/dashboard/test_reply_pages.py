"""Lists of replies: the newest first, of all campaigns or of one, each reply on one page."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.db.dashboard import reply_pages
from app.db.dashboard.reply_pages import (
    ReplyPosition,
    ReplyTimes,
    page_of_newest_replies,
    page_of_newest_replies_to,
)
from app.db.database import Database

_START = datetime(2026, 3, 1, tzinfo=UTC)
_ALL = ReplyTimes()
#: Every third reply names the campaign, every third answers a message of it, every third neither.
_FILL = """
INSERT INTO messages (message_tracking_id, campaign_tracking_id, status, status_key,
    provider_status, status_rank, status_at)
SELECT of_campaign || n, of_campaign, 'SENT', 'SENT', 'SENT', 2, now()
FROM generate_series(1, 10) n, unnest(array['c', 'd']) of_campaign;
INSERT INTO inbound_messages
    (identity, campaign_tracking_id, reference_tracking_id, message, received_at)
SELECT int4send(n), CASE WHEN n % 3 = 0 THEN 'c' END,
    CASE n % 3 WHEN 1 THEN 'c' || n % 10 + 1 WHEN 2 THEN 'd' || n % 10 + 1 END, 'reply ' || n,
    $1::timestamptz + n % 20 * interval '1 hour'
FROM generate_series(1, 60) n
"""


@pytest.fixture
async def database(connection: asyncpg.Connection, database: Database) -> Database:
    messages, replies = _FILL.split(";")
    await connection.execute(messages)
    await connection.execute(replies, _START)
    return database


async def _received(database: Database, times: ReplyTimes, limit: int) -> list[ReplyPosition]:
    """Where the replies of all pages are."""
    found: list[ReplyPosition] = []
    before: ReplyPosition | None = None
    while True:
        page = await page_of_newest_replies(database, times, before=before, limit=limit)
        found += [ReplyPosition(reply.row.received_at, reply.row.id) for reply in page.replies]
        if page.end is None:
            return found
        before = page.end


async def _to_campaign(database: Database, times: ReplyTimes, limit: int) -> list[int]:
    found: list[int] = []
    above: int | None = None
    while True:
        page = await page_of_newest_replies_to(database, "c", times, above=above, limit=limit)
        assert all(reply.campaign_tracking_id == "c" for reply in page.replies)
        found += [reply.row.id for reply in page.replies]
        if page.end is None:
            return found
        above = page.end


@pytest.mark.parametrize("limit", [1, 7, 20, 60, 100])
async def test_each_reply_is_on_one_page_the_last_received_first(
    database: Database, limit: int
) -> None:
    found = await _received(database, _ALL, limit)
    assert len(found) == 60
    assert found == sorted(set(found), reverse=True)


async def test_replies_are_those_of_a_time(database: Database) -> None:
    times = ReplyTimes(_START + timedelta(hours=3), _START + timedelta(hours=5))
    found = await _received(database, times, 4)
    assert {one.received_at - _START for one in found} == {timedelta(hours=3), timedelta(hours=4)}
    assert len(found) == 6


@pytest.mark.parametrize("scanned", [2, 5, 10_000])
@pytest.mark.parametrize("limit", [1, 7, 40, 100])
async def test_each_reply_to_a_campaign_is_on_one_page_the_newest_first(
    database: Database, monkeypatch: pytest.MonkeyPatch, limit: int, scanned: int
) -> None:
    monkeypatch.setattr(reply_pages, "MAX_SCANNED_ITEMS", scanned)
    found = await _to_campaign(database, _ALL, limit)
    assert len(found) == 40
    assert found == sorted(set(found), reverse=True)


async def test_replies_to_a_campaign_are_those_of_a_time(database: Database) -> None:
    times = ReplyTimes(_START + timedelta(hours=3), _START + timedelta(hours=5))
    assert len(await _to_campaign(database, times, 3)) == 4


async def test_a_campaign_without_replies_has_none(database: Database) -> None:
    page = await page_of_newest_replies_to(database, "x", _ALL, above=None, limit=5)
    assert page == ((), None)
