import asyncio
import json
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.db.database import Database
from app.db.feed.positions import floor_of, refuse_expired
from app.db.retention import purges
from app.db.retention.partitions import add_months
from app.db.retention.runs import long_work
from app.domain.erasure import ErasureKeys
from app.domain.feed import Position
from app.domain.retention import retention_of_days
from app.errors import CursorExpired
from app.services import retention as service
from app.services.callbacks.intake import Receipt
from app.services.callbacks.screening import Screen
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.retention import Purged, PurgeJob
from tests.database import connect
from tests.promises.load import Callback, callback, reply, report, stories
from tests.services.kept_stage import ADD_MARCH_2026, Kept

LONG_AGO = 200
COUNTS = """
SELECT status, sum(messages)::int FROM (
    SELECT status, messages FROM campaign_counts
    UNION ALL SELECT status, messages FROM campaign_count_deltas
) AS parts GROUP BY status
"""
ALL = retention_of_days(raw=100, events=100, messages=100, inbound=100)


@pytest.fixture
def kept(url: str, connection: asyncpg.Connection) -> Kept:
    return Kept(url, connection)


def _recent(message: str) -> Callback:
    """What happened yesterday."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    document = json.loads(callback(message).body)
    document["status"]["updatedDate"] = yesterday.isoformat()
    return Callback((message, "DELIVERED"), json.dumps(document).encode())


async def _retain(
    kept: Kept,
    *,
    raw: int | None = None,
    events: int | None = None,
    messages: int | None = None,
    inbound: int | None = None,
) -> dict[str, int]:
    """Run once; how many rows went, by what they are."""
    retention = retention_of_days(raw=raw, events=events, messages=messages, inbound=inbound)
    removed = await PurgeJob(kept.url, retention).run()
    assert removed is not None
    return _rows(removed)


def _rows(removed: Purged) -> dict[str, int]:
    rows = {item.name: item.rows for item in removed.items if item.rows}
    return rows | {month.name: month.rows for month in removed.months}


async def test_payloads_are_purged_and_events_keep_their_positions(kept: Kept) -> None:
    await kept.store([*stories("old", 3), reply("old-0", "thanks")], days_ago=LONG_AGO)
    await kept.store(stories("new", 1))
    positions = "SELECT feed_epoch, xid, id FROM events ORDER BY 1, 2, 3"
    before = await kept.connection.fetch(positions)
    assert await _retain(kept, raw=100) == {
        "payloads of events": 12,
        "payloads of inbound_messages": 1,
    }
    assert await kept.connection.fetch(positions) == before
    assert await kept.number("SELECT count(payload) FROM events") == 4
    assert await kept.number("SELECT xid::text::bigint FROM feed_floor") == 0
    assert await _retain(kept, raw=100) == {}


async def test_reports_of_campaigns_are_purged_with_payloads_and_events(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purges, "BODIES_CHUNK_ITEMS", 2)
    old = [report("c", "Running", messageStatuses={"Queued": at}) for at in range(5)]
    await kept.store(old, days_ago=LONG_AGO)
    await kept.store([report("c", "Finished")])
    found = await PurgeJob(kept.url, ALL).preview()
    assert _rows(found) == {"payloads of campaign_progress": 5, "campaign_progress": 5}
    assert await _retain(kept, raw=100) == {"payloads of campaign_progress": 5}
    assert await kept.number("SELECT count(*) FROM campaign_progress") == 6
    assert await kept.number("SELECT count(payload) FROM campaign_progress") == 1
    assert await _retain(kept, raw=100, events=100) == {"campaign_progress": 5}
    assert await kept.texts("SELECT status FROM campaign_progress") == ["Finished"]
    assert await _retain(kept, raw=100, events=100) == {}


async def test_notices_are_purged_with_the_events_and_the_feed_says_so(kept: Kept) -> None:
    for _ in range(3):
        await kept.connection.execute(
            "INSERT INTO notices (type, received_at)"
            " VALUES ('message.overdue', now() - interval '200 days')"
        )
    await kept.store([_recent("new")])
    await kept.connection.execute("INSERT INTO notices (type) VALUES ('recipient.erased')")
    last = await kept.number("SELECT max(id) FROM notices WHERE type = 'message.overdue'")
    assert await _retain(kept, inbound=100) == {}
    assert _rows(await PurgeJob(kept.url, ALL).preview()) == {"notices": 3}
    assert await _retain(kept, events=100) == {"notices": 3}
    assert await kept.texts("SELECT type FROM notices") == ["recipient.erased"]
    assert await kept.number("SELECT id FROM feed_floor") == last


async def test_a_report_that_may_have_been_purged_is_not_stored_again(kept: Kept) -> None:
    old = report("c", updatedDate="2026-03-01T10:00:00Z")
    await kept.store([old], days_ago=LONG_AGO)
    await _retain(kept, events=100)
    screen = Screen(ErasedRecipients(ErasureKeys([])), ALL)
    assert await kept.store([old], screen=screen) == {Receipt.QUARANTINED}
    assert await kept.texts("SELECT reason FROM quarantine") == ["expired"]
    assert await kept.store([report("c", "Finished")], screen=screen) == {Receipt.STORED}


async def test_a_month_that_is_all_old_is_emptied_at_once_and_takes_events_again(
    kept: Kept,
) -> None:
    await kept.connection.execute(ADD_MARCH_2026)
    await kept.store(stories("old", 3), days_ago=LONG_AGO)
    await kept.store([_recent("new")])
    assert await _retain(kept, events=100) == {"events_2026_03": 12}
    assert await kept.texts("SELECT message_tracking_id FROM events") == ["new"]
    assert await kept.store(stories("late", 1)) == {Receipt.STORED}
    assert await kept.number("SELECT count(*) FROM events_2026_03") == 4


async def test_of_a_month_that_is_not_all_old_only_the_old_events_go(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purges, "CHUNK_ITEMS", 5)
    await kept.store(stories("old", 4), days_ago=LONG_AGO)
    await kept.store(stories("new", 2))
    assert await _retain(kept, events=100) == {"events": 16}
    left = "SELECT DISTINCT message_tracking_id FROM events ORDER BY 1"
    assert await kept.texts(left) == ["new-0", "new-1"]


async def _age(kept: Kept, days: int) -> None:
    """As if so many days had passed."""
    age = timedelta(days=days)
    for table, column in (
        ("events", "received_at"),
        ("inbound_messages", "received_at"),
        ("messages", "updated_at"),
        ("quarantine", "last_received_at"),
    ):
        await kept.connection.execute(f"UPDATE {table} SET {column} = {column} - $1::interval", age)  # noqa: S608


async def test_a_reply_below_the_floor_is_purged_when_its_own_time_has_come(
    kept: Kept,
) -> None:
    await kept.store([reply("a-0", "the first")], days_ago=LONG_AGO)
    await kept.store(stories("a", 2), days_ago=LONG_AGO)
    await kept.store([callback("last")], days_ago=LONG_AGO)
    await kept.store(stories("new", 1))
    # The floor of the feed is beyond the reply now, and the reply stays for a year.
    assert "events_2026_03" not in await _retain(kept, events=30, inbound=365)
    assert await kept.texts("SELECT message FROM inbound_messages") == ["the first"]
    await _age(kept, 200)
    removed = await _retain(kept, events=30, inbound=365)
    assert removed["inbound_messages"] == 1


async def test_payloads_are_purged_in_their_own_time_when_replies_go_before(kept: Kept) -> None:
    await kept.store([*stories("a", 1), reply("a-0", "the first")], days_ago=40)
    await kept.store([reply("b", "the last")])
    for _ in range(2):  # the first run raises the floor, the second one begins beyond it
        await _retain(kept, raw=90, inbound=30)
    assert await kept.number("SELECT count(payload) FROM events") == 4
    await _age(kept, 60)
    assert (await _retain(kept, raw=90, inbound=30))["payloads of events"] == 4


async def test_a_row_that_was_received_late_in_the_order_goes_when_it_is_old_enough(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purges, "CHUNK_ITEMS", 2)
    await kept.store(stories("old", 4), days_ago=LONG_AGO)
    await kept.store(stories("new", 1))
    await kept.connection.execute(
        "UPDATE events SET received_at = now() - interval '50 days'"
        " WHERE message_tracking_id = 'old-1'"
    )
    assert (await _retain(kept, events=100))["events"] == 12
    await _age(kept, 60)
    assert (await _retain(kept, events=100))["events"] == 4
    assert await kept.texts("SELECT DISTINCT message_tracking_id FROM events") == ["new-0"]


async def test_a_cursor_below_what_was_removed_is_refused_and_one_beyond_is_not(
    kept: Kept,
) -> None:
    await kept.store(stories("old", 1), days_ago=LONG_AGO)
    await kept.store(stories("new", 1))
    query = "SELECT feed_epoch, xid, id FROM events WHERE message_tracking_id = 'old-0'"
    places = sorted(Position(*row) for row in await kept.connection.fetch(query))
    await _retain(kept, events=100)
    database = Database(kept.url, name="tests")
    async with database.reading() as session:
        assert await floor_of(session) == places[-1]
        await refuse_expired(session, places[-1])
        with pytest.raises(CursorExpired):
            await refuse_expired(session, places[-2])
    await database.close()


async def test_messages_go_when_their_events_are_gone_and_the_counts_stay(kept: Kept) -> None:
    await kept.store([*stories("old", 3), callback("both")], days_ago=LONG_AGO)
    await kept.store([callback("both", "SEEN"), callback("new")])
    before = {tuple(row) for row in await kept.connection.fetch(COUNTS)}
    hours = await kept.number("SELECT sum(events) FROM bi_rollup_hourly")
    assert (await _retain(kept, events=100, messages=100))["messages"] == 3
    left = "SELECT message_tracking_id FROM messages ORDER BY 1"
    assert await kept.texts(left) == ["both", "new"]
    assert {tuple(row) for row in await kept.connection.fetch(COUNTS)} == before
    assert await kept.number("SELECT sum(events) FROM bi_rollup_hourly") == hours
    assert await kept.number("SELECT count(*) FROM bi_counted_messages") == 2


async def test_replies_and_the_quarantine_go_by_one_horizon(kept: Kept) -> None:
    await kept.store([reply("m", "old"), Callback(("q", "old"), b"old")], days_ago=LONG_AGO)
    await kept.store([reply("m", "new"), Callback(("q", "new"), b"new")])
    assert await _retain(kept, inbound=100) == {"inbound_messages": 1, "quarantine": 1}
    assert await kept.texts("SELECT message FROM inbound_messages") == ["new"]
    assert await kept.number("SELECT count(*) FROM quarantine WHERE body = 'new'") == 1


async def test_locked_rows_are_left_to_the_next_run(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_PAUSE_SECONDS", 0)
    await kept.store(stories("old", 2), days_ago=LONG_AGO)
    await kept.store(stories("new", 1))
    held = await connect(kept.url)
    async with held.transaction():
        await held.execute("SELECT FROM events WHERE message_tracking_id = 'old-1' FOR UPDATE")
        assert await _retain(kept, events=100) == {"events": 4}
    await held.close()
    assert await _retain(kept, events=100) == {"events": 4}


async def test_a_month_in_use_is_purged_in_chunks_without_waiting(kept: Kept) -> None:
    await kept.connection.execute(ADD_MARCH_2026)
    await kept.store(stories("old", 2), days_ago=LONG_AGO)
    reading = await connect(kept.url)
    async with reading.transaction():
        await reading.execute("SELECT FROM events_2026_03")
        # Rows are purged in chunks; a later run gives the disk space of the month back.
        assert await _retain(kept, events=100) == {"events": 8}
    await reading.close()
    assert await _retain(kept, events=100) == {"events_2026_03": 0}


async def test_a_dry_run_counts_what_would_go_and_removes_nothing(kept: Kept) -> None:
    await kept.store([*stories("old", 2), reply("old-0", "x")], days_ago=LONG_AGO)
    await kept.store(stories("new", 1))
    found = await PurgeJob(kept.url, ALL).preview()
    assert _rows(found) == {
        "payloads of events": 8,
        "payloads of inbound_messages": 1,
        "events": 8,
        "messages": 2,
        "inbound_messages": 1,
    }
    assert all(item.bytes for item in found.items if item.rows)
    assert await kept.number("SELECT count(*) FROM events") == 12


async def test_purged_messages_are_not_stored_again(kept: Kept) -> None:
    old = [*stories("old", 2), reply("old-0", "thanks")]
    await kept.store(old, days_ago=LONG_AGO)
    await _retain(kept, events=100, messages=100, inbound=100)
    screen = Screen(ErasedRecipients(ErasureKeys([])), ALL)
    assert await kept.store(old, screen=screen) == {Receipt.QUARANTINED}
    assert await kept.number("SELECT count(*) FROM events") == 0
    assert await kept.number("SELECT count(*) FROM messages") == 0
    assert set(await kept.texts("SELECT reason FROM quarantine")) == {"expired"}
    assert await kept.store([_recent("new")], screen=screen) == {Receipt.STORED}


async def test_a_process_without_the_settings_knows_what_another_one_has_removed(
    kept: Kept,
) -> None:
    old = [*stories("old", 1), reply("old-0", "thanks")]
    await kept.store(old, days_ago=LONG_AGO)
    erased = ErasedRecipients(ErasureKeys([]))
    screen = Screen(erased, retention_of_days(raw=None, events=None, messages=None, inbound=None))
    assert await kept.store([callback("before")], screen=screen) == {Receipt.STORED}
    await _retain(kept, events=100, messages=100, inbound=100)
    erased._read_at -= 10
    assert await kept.store(old, screen=screen) == {Receipt.QUARANTINED}
    assert await kept.store([_recent("new")], screen=screen) == {Receipt.STORED}


async def test_one_process_removes_at_a_time_and_once_a_day(kept: Kept) -> None:
    await kept.store(stories("old", 2), days_ago=LONG_AGO)
    retaining = [PurgeJob(kept.url, ALL) for _ in range(3)]
    ran = await asyncio.gather(*(one.run() for one in retaining))
    assert sum(one is not None for one in ran) >= 1
    await kept.store(stories("more", 2), days_ago=LONG_AGO)
    await retaining[0].run_daily()
    assert await kept.number("SELECT count(*) FROM events") == 8


async def test_months_are_added_and_take_over_the_events_of_their_time(kept: Kept) -> None:
    far = json.loads(callback("far").body)
    far["status"]["updatedDate"] = "2033-02-03T00:00:00Z"
    await kept.store([Callback(("far", "DELIVERED"), json.dumps(far).encode())])
    assert await kept.number("SELECT count(*) FROM events_after") == 1
    stored = await kept.connection.fetchrow("SELECT xid, id, received_at, payload FROM events")
    now = datetime.now(UTC)
    first = now.year * 12 + now.month + 12
    async with long_work(kept.url, name="tests") as database:
        assert await add_months(database, now=now) == []
        added = await add_months(database, now=datetime(2032, 6, 9, tzinfo=UTC))
        months = range(first, 2033 * 12 + 6)
        assert added == [f"events_{month // 12}_{month % 12 + 1:02}" for month in months]
        assert await add_months(database, now=datetime(2032, 6, 9, tzinfo=UTC)) == []
    assert await kept.number("SELECT count(*) FROM events_2033_02") == 1
    moved = await kept.connection.fetchrow("SELECT xid, id, received_at, payload FROM events")
    assert moved == stored
    assert await kept.store(stories("new", 1)) == {Receipt.STORED}
