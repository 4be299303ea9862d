"""Messages by their newest event: each once, and nothing twice while more is stored."""

import random
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.db.dashboard import activity
from app.db.dashboard.activity import ActivityFilter, Walk, page_of_activity
from app.db.database import Database
from app.domain.status import Status
from tests.db.bi.story import make_campaigns, store_in_batches, story

ALL = ActivityFilter()
#: Of each message the newest event of those that count, the newest first.
_EXPECTED = """
SELECT m.message_tracking_id FROM messages AS m CROSS JOIN LATERAL (
    SELECT feed_epoch, xid, id FROM events
    WHERE message_tracking_id = m.message_tracking_id AND received_at >= $1 AND received_at < $2
    ORDER BY feed_epoch DESC, xid DESC, id DESC LIMIT 1
) AS e
WHERE {condition}
ORDER BY e.feed_epoch DESC, e.xid DESC, e.id DESC
"""
_EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


async def _stored(connection: asyncpg.Connection, seed: int, *, messages: int = 60) -> None:
    ours = await make_campaigns(connection)
    events = story(ours, seed, messages)
    await store_in_batches(connection, events, random.Random(seed))  # noqa: S311


async def _expected(
    connection: asyncpg.Connection,
    condition: str = "true",
    between: tuple[datetime, datetime] = _EVER,
) -> list[str]:
    rows = await connection.fetch(_EXPECTED.format(condition=condition), *between)
    return [row[0] for row in rows]


async def _walked(database: Database, wanted: ActivityFilter = ALL, *, limit: int = 7) -> list[str]:
    found: list[str] = []
    walk: Walk | None = None
    while not found or walk is not None:
        page = await page_of_activity(database, wanted, walk=walk, limit=limit)
        found += [item.message.message_tracking_id for item in page.items]
        if page.end is None:
            break
        walk = page.end
    return found


@pytest.mark.parametrize("steps", [(500, 2_000, 7_500), (3, 5), (1,)])
@pytest.mark.parametrize("seed", range(2))
async def test_each_message_is_on_one_page_where_its_newest_event_is(
    database: Database,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    steps: tuple[int, ...],
    seed: int,
) -> None:
    monkeypatch.setattr(activity, "_STEPS", steps)
    await _stored(connection, seed)
    expected = await _expected(connection)
    assert len(expected) == 60
    found: list[str] = []
    walk: Walk | None = None
    for _ in range(2000):
        page = await page_of_activity(database, ALL, walk=walk, limit=7)
        assert page.looked_at <= sum(steps)
        found += [item.message.message_tracking_id for item in page.items]
        walk = page.end
        if walk is None:
            break
    assert found == expected


@pytest.mark.parametrize(
    ("wanted", "condition"),
    [
        (ActivityFilter((Status.DELIVERED, Status.UNSENT)), "status IN ('DELIVERED', 'UNSENT')"),
        (ActivityFilter(detailed_status="Opted Out"), "detailed_status = 'Opted Out'"),
        (ActivityFilter(country="GR"), "country = 'GR'"),
        (
            ActivityFilter((Status.SEEN,), country="DE"),
            "country = 'DE' AND status = 'SEEN'",
        ),
    ],
)
async def test_only_what_is_wanted_is_listed(
    database: Database, connection: asyncpg.Connection, wanted: ActivityFilter, condition: str
) -> None:
    await _stored(connection, 3)
    expected = await _expected(connection, condition)
    assert expected
    assert await _walked(database, wanted) == expected


async def test_what_is_stored_meanwhile_moves_no_message_to_another_page(
    database: Database, connection: asyncpg.Connection
) -> None:
    await _stored(connection, 4)
    expected = await _expected(connection)
    first = await page_of_activity(database, ALL, walk=None, limit=20)
    await connection.execute("""
        INSERT INTO events (message_tracking_id, status_key, occurred_at, source, provider_status)
        SELECT message_tracking_id, 'MORE', coalesce(last_occurred_at, 'epoch'), 0, 'More'
        FROM messages
    """)
    second = await page_of_activity(database, ALL, walk=first.end, limit=100)
    found = [item.message.message_tracking_id for item in (*first.items, *second.items)]
    assert found == expected
    assert second.end is None


async def test_only_events_of_the_wanted_time_count(
    database: Database, connection: asyncpg.Connection
) -> None:
    await _stored(connection, 5)
    await connection.execute("""
        UPDATE events SET received_at = now() - interval '10 days' + place * interval '10 minutes'
        FROM (SELECT id AS of_id, row_number() OVER (ORDER BY xid, id) AS place FROM events) AS e
        WHERE e.of_id = events.id
    """)
    now = datetime.now(UTC)
    since, before = now - timedelta(days=9, hours=14), now - timedelta(days=9, hours=4)
    expected = await _expected(connection, between=(since, before))
    assert 10 < len(expected) < 60
    wanted = ActivityFilter(received_since=since, received_before=before)
    assert await _walked(database, wanted) == expected
    page = await page_of_activity(database, wanted, walk=None, limit=100)
    assert all(since <= item.received_at < before for item in page.items)
    assert page.looked_at < await connection.fetchval("SELECT count(*) FROM events")


async def test_a_page_looks_at_so_many_events_and_says_so(
    database: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "_STEPS", (10, 20))
    await _stored(connection, 6)
    page = await page_of_activity(database, ActivityFilter(country="nowhere"), walk=None, limit=9)
    assert (page.items, page.looked_at) == ([], 30)
    assert page.end is not None
    assert page.end.at < page.end.top


async def test_nothing_is_listed_of_an_empty_database(database: Database) -> None:
    for wanted in (ALL, ActivityFilter(received_since=_EVER[0], received_before=_EVER[1])):
        page = await page_of_activity(database, wanted, walk=None, limit=9)
        assert (list(page.items), page.end, page.looked_at) == ([], None, 0)
