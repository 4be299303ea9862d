"""Campaigns are finished once, by their counts or by the time, and the feed tells it."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import TextClause

from app.db import finishing
from app.db.bi.roll_up import roll_up_events
from app.db.database import Database
from app.db.feed.pages import FeedFilter, NoticeItem
from app.db.finishing import finish_some
from app.domain.feed import FeedItemType
from app.services.finishing import finish_due
from tests.db.feed.feed_stage import Reader, event, feed_database, store

GROW = """
WITH known AS (
    INSERT INTO campaigns (tracking_id, submission, finished_at)
    SELECT 'c' || at, 'launched', CASE WHEN at % 50 <> 0 THEN now() END
    FROM generate_series(1, 20000) AS at
),
counted AS (
    INSERT INTO campaign_counts SELECT 'c' || at, word, 1
    FROM generate_series(1, 20000) AS at, unnest(ARRAY['SENT', 'SEEN']) AS word
)
INSERT INTO messages (message_tracking_id, status, status_key, provider_status, status_rank,
    status_at, campaign_tracking_id)
SELECT 'm' || at, 'SENT', 'SENT', 'SENT', 2, now(), 'c' || at % 500
FROM generate_series(1, 20000) AS at
"""
LONG_AGO = datetime.now(UTC) - timedelta(days=16)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with feed_database(url, pool_items=4) as database:
        yield database


async def _campaign(
    connection: asyncpg.Connection,
    tracking_id: str | None = "c",
    *,
    submission: str = "launched",
    **columns: Any,  # noqa: ANN401
) -> UUID:
    given = {"tracking_id": tracking_id, "submission": submission, **columns}
    places = ", ".join(f"${at}" for at in range(1, len(given) + 1))
    query = f"INSERT INTO campaigns ({', '.join(given)}) VALUES ({places}) RETURNING id"  # noqa: S608
    made: UUID = await connection.fetchval(query, *given.values())
    return made


async def _finished_at(connection: asyncpg.Connection, campaign: UUID) -> datetime | None:
    at: datetime | None = await connection.fetchval(
        "SELECT finished_at FROM campaigns WHERE id = $1", campaign
    )
    return at


async def _told(database: Database, kind: FeedItemType | None = None) -> list[str]:
    """The type of each notice, and its message or the number of overdue ones."""
    items = await Reader(
        database, FeedFilter(tuple(FeedItemType) if kind is None else (kind,))
    ).read()
    return [
        f"{item.notice.type} {item.notice.message_tracking_id or item.notice.data.get('overdue')}"
        for item in items
        if isinstance(item, NoticeItem)
    ]


async def test_a_campaign_is_finished_when_every_expected_message_has_a_final_status(
    connection: asyncpg.Connection, database: Database
) -> None:
    campaign = await _campaign(connection, expected_messages=3)
    await store(connection, event("m1", "DELIVERED"), event("m2", "FAILED"), event("m3", "SENT"))
    await finish_due(database)
    assert await _finished_at(connection, campaign) is None
    await store(connection, event("m3", "SEEN"))
    await finish_due(database)
    assert await _finished_at(connection, campaign) is not None
    assert await _told(database) == ["campaign.finished 0"]


@pytest.mark.parametrize(
    ("expected", "statuses"),
    [
        (None, ["DELIVERED"]),  # nobody knows how many
        (2, ["DELIVERED"]),  # one is awaited
        (1, ["DELIVERED", "QUEUED"]),  # more came than were announced
        (1, ["SENT"]),
        (1, ["NEW WORD OF ROUTEE"]),
        (1, []),
    ],
)
async def test_a_young_campaign_is_not_finished_while_something_is_missing(
    connection: asyncpg.Connection, database: Database, expected: int | None, statuses: list[str]
) -> None:
    campaign = await _campaign(connection, expected_messages=expected)
    await store(connection, *(event(f"m{at}", one) for at, one in enumerate(statuses)))
    await finish_due(database)
    assert await _finished_at(connection, campaign) is None
    assert await _told(database) == []


@pytest.mark.parametrize(
    ("age", "ttl_seconds", "scheduled", "is_over"),
    [
        (timedelta(days=15, hours=15), None, None, False),
        (timedelta(days=15, hours=17), None, None, True),
        (timedelta(hours=40), 300, None, False),
        (timedelta(hours=41), 300, None, True),
        (timedelta(hours=41), 86400, None, False),
        (timedelta(days=9), 300, timedelta(hours=30), False),  # scheduled for so long ago
        (timedelta(days=9), 300, timedelta(hours=41), True),
    ],
)
async def test_a_campaign_whose_time_is_over_is_finished_and_counts_what_is_overdue(  # noqa: PLR0913, PLR0917
    connection: asyncpg.Connection,
    database: Database,
    age: timedelta,
    ttl_seconds: int | None,
    scheduled: timedelta | None,
    is_over: bool,  # noqa: FBT001
) -> None:
    now = datetime.now(UTC)
    campaign = await _campaign(
        connection,
        expected_messages=5,
        created_at=now - age,
        ttl_seconds=ttl_seconds,
        scheduled_at=None if scheduled is None else now - scheduled,
    )
    await store(connection, event("m1", "SEEN"), event("m2", "SENT"), event("m3", "QUEUED"))
    await finish_due(database)
    assert (await _finished_at(connection, campaign) is not None) == is_over
    assert await _told(database) == (
        ["message.overdue m2", "message.overdue m3", "campaign.finished 4"] if is_over else []
    )


async def test_messages_that_are_created_later_put_the_end_of_a_campaign_off(
    connection: asyncpg.Connection, database: Database
) -> None:
    young = await _campaign(connection, "young", submission="observed", created_at=LONG_AGO)
    old = await _campaign(connection, "old", submission="observed", created_at=LONG_AGO)
    nameless = await _campaign(connection, None, created_at=LONG_AGO)
    now, ahead = datetime.now(UTC), datetime.now(UTC) + timedelta(days=400)
    await store(
        connection,
        event("m1", campaign="young")._replace(created_at=LONG_AGO),
        event("m2", campaign="young")._replace(created_at=now - timedelta(days=3)),
        event("m3", campaign="old")._replace(created_at=LONG_AGO),
        event("m4", campaign="old")._replace(created_at=ahead),
        event("m5", campaign="old")._replace(created_at=None),
        event("m6", campaign=None, campaign_id=nameless)._replace(created_at=now),
    )
    await roll_up_events(database)
    await finish_due(database)
    assert await _finished_at(connection, young) is None
    assert await _finished_at(connection, nameless) is None
    assert await _finished_at(connection, old) is not None


async def test_late_callbacks_change_neither_the_time_nor_the_feed(
    connection: asyncpg.Connection, database: Database
) -> None:
    campaign = await _campaign(connection, expected_messages=2, created_at=LONG_AGO)
    await store(connection, event("m1", "SENT"))
    await finish_due(database)
    at = await _finished_at(connection, campaign)
    told = await _told(database)
    assert told == ["message.overdue m1", "campaign.finished 2"]
    await store(connection, event("m1", "DELIVERED"), event("m2", "SENT"), event("m9", "QUEUED"))
    await finish_due(database)
    assert await _finished_at(connection, campaign) == at
    assert await _told(database) == told


@pytest.mark.parametrize("submission", ["launching", "unconfirmed"])
async def test_a_launch_that_is_not_settled_is_not_finished(
    connection: asyncpg.Connection, database: Database, submission: str
) -> None:
    campaign = await _campaign(connection, None, submission=submission, created_at=LONG_AGO)
    await finish_due(database)
    assert await _finished_at(connection, campaign) is None


@pytest.mark.parametrize("submission", ["rejected", "cancelled"])
async def test_a_campaign_that_is_rejected_or_cancelled_is_finished_at_once(
    connection: asyncpg.Connection, database: Database, submission: str
) -> None:
    campaign = await _campaign(connection, None, submission="unconfirmed", expected_messages=4)
    for _ in range(2):
        await connection.execute("UPDATE campaigns SET submission = $1", submission)
    at = await _finished_at(connection, campaign)
    assert at is not None
    await finish_due(database)
    assert await _finished_at(connection, campaign) == at
    assert await _told(database) == [f"campaign.{submission} None"]


async def test_a_rejected_campaign_that_a_callback_proves_to_be_launched_is_not_finished(
    connection: asyncpg.Connection, database: Database
) -> None:
    campaign = await _campaign(connection, None, submission="unconfirmed", expected_messages=1)
    for submission in ("rejected", "launched"):
        await connection.execute("UPDATE campaigns SET submission = $1", submission)
    assert await _finished_at(connection, campaign) is None
    await connection.execute("UPDATE campaigns SET tracking_id = 'c'")
    await store(connection, event("m", "SEEN"))
    await finish_due(database)
    assert await _told(database) == [
        "campaign.rejected None",
        "campaign.launched None",
        "campaign.finished 0",
    ]


async def test_what_is_overdue_is_told_in_parts_and_once_though_it_is_interrupted(
    connection: asyncpg.Connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "CHUNK_ITEMS", 4)
    campaign = await _campaign(connection, created_at=LONG_AGO)
    words = ["SENT", "SEEN", "QUEUED"]
    await store(connection, *(event(f"m{at:02}", words[at % 3]) for at in range(20)))
    assert await finish_some(database, campaign)
    assert await finish_some(database, campaign)
    assert await _finished_at(connection, campaign) is None
    await asyncio.gather(*(finish_due(database) for _ in range(3)))
    overdue = [f"message.overdue m{at:02}" for at in range(20) if at % 3 != 1]
    assert await _told(database) == [*overdue, f"campaign.finished {len(overdue)}"]
    assert not await finish_some(database, campaign)


@pytest.mark.slow
async def test_all_campaigns_are_examined_however_many_there_are(
    connection: asyncpg.Connection, database: Database
) -> None:
    await connection.execute(
        "INSERT INTO campaigns (tracking_id, submission, created_at)"
        " SELECT 'c' || at, 'observed', CASE WHEN at % 2 = 0 THEN now() ELSE $1::timestamptz END"
        " FROM generate_series(1, 2500) AS at",
        LONG_AGO,
    )
    await finish_due(database)
    assert await connection.fetchval("SELECT count(finished_at) FROM campaigns") == 1250
    assert len(await _told(database, FeedItemType.FINISHED)) == 1250


async def test_a_message_of_a_campaign_without_a_tracking_id_is_overdue_too(
    connection: asyncpg.Connection, database: Database
) -> None:
    campaign = await _campaign(connection, None, created_at=LONG_AGO)
    await store(connection, event("m", campaign=None, campaign_id=campaign))
    await finish_due(database)
    assert await _told(database, FeedItemType.OVERDUE) == ["message.overdue m"]


async def test_finishing_reads_no_table_as_a_whole(connection: asyncpg.Connection) -> None:
    for name, setting in finishing.PLANNER.items():
        await connection.execute(f"SET {name} = {setting}")
    statements = {
        "due": str(finishing._DUE).replace(":after", f"'{UUID(int=0)}'"),
        "examine": _filled(finishing._EXAMINE),
        "of a trackingId": _filled(finishing._OF_TRACKING_ID),
        "of ours": _filled(finishing._OF_OURS),
    }
    for grown in (False, True):
        if grown:
            await connection.execute(GROW)
            await connection.execute("ANALYZE")
        for name, statement in statements.items():
            plan = "\n".join([row[0] for row in await connection.fetch(f"EXPLAIN {statement}")])
            assert "Seq Scan" not in plan, name + plan
            assert "Disabled" not in plan, name + plan
            if name == "due":
                assert "campaigns_unfinished_idx" in plan


def _filled(statement: TextClause) -> str:
    given = {"id": f"'{UUID(int=0)}'", "tracking_id": "'c7'", "upto": "''", "most": "2000"}
    text = str(statement)
    for name, value in given.items():
        text = re.sub(rf"(?<!:):{name}\b", value, text)
    return text
