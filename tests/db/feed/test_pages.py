import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.feed import pages
from app.db.feed.pages import CampaignKeys, FeedFilter, NoticeItem, StatusItem, page_of_feed
from app.db.feed.positions import newest_position, oldest_position, position_before, raise_floor
from app.db.ingest import append_events
from app.domain.event import UNKNOWN_TIME, DeliveryEvent
from app.domain.feed import BEGINNING, FeedItemType, Position
from app.domain.history import Effect
from app.domain.inbound_message import InboundMessage
from app.domain.status import Status
from app.errors import CursorExpired
from tests.database import connect
from tests.db.feed.feed_stage import (
    EVERYTHING,
    Notice,
    Reader,
    days,
    event,
    feed_database,
    names,
    notice,
    reply,
    store,
)

WRITERS = 8


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with feed_database(url) as database:
        yield database


async def _aged(connection: asyncpg.Connection, when: dict[str, datetime]) -> None:
    """Let the events of each message have been received at that time."""
    for message, at in when.items():
        await connection.execute(
            "UPDATE events SET received_at = $2 WHERE message_tracking_id = $1", message, at
        )


async def _write_at_random(
    url: str, records: list[DeliveryEvent | InboundMessage | Notice], seed: int
) -> None:
    """Transactions of one to three records that stay open for a while."""
    rng = random.Random(seed)  # noqa: S311
    connection = await connect(url)
    while records:
        size = rng.randint(1, 3)
        now, records = records[:size], records[size:]
        async with connection.transaction():
            for record in now:
                await store(connection, record)
                await asyncio.sleep(rng.choice([0, 0, 0.001, 0.03]))
    await connection.close()


def _record(prefix: str, at: int) -> DeliveryEvent | InboundMessage | Notice:
    """A reply and a notice for every two events."""
    if at % 4 == 0:
        return reply(f"{prefix}-{at + 1}")
    return notice(f"{prefix}-{at - 1}") if at % 4 == 2 else event(f"{prefix}-{at}")


class _NaiveReader:
    """What people write: everything beyond the last id."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.ids: list[int] = []

    async def read(self) -> None:
        rows = await self._connection.fetch(
            "SELECT id FROM events WHERE id > $1 UNION ALL"
            " SELECT id FROM inbound_messages WHERE id > $1 UNION ALL"
            " SELECT id FROM notices WHERE id > $1 ORDER BY id",
            self.ids[-1] if self.ids else 0,
        )
        self.ids += [row[0] for row in rows]


async def test_the_feed_never_skips_and_never_repeats(
    url: str, connection: asyncpg.Connection, database: Database
) -> None:
    writers = [
        asyncio.create_task(
            _write_at_random(
                url,
                [_record(f"m{writer}", at) for at in range(60)],
                seed=writer,
            )
        )
        for writer in range(WRITERS)
    ]
    reader, naive = Reader(database), _NaiveReader(connection)
    while not all(writer.done() for writer in writers):
        await reader.read()
        await naive.read()
        await asyncio.sleep(0.002)
    await asyncio.gather(*writers)
    await reader.read()
    await naive.read()
    rows = await connection.fetch(
        "SELECT id FROM events UNION ALL SELECT id FROM inbound_messages"
        " UNION ALL SELECT id FROM notices"
    )
    stored = sorted(row[0] for row in rows)
    assert len(stored) == WRITERS * 60
    read = [item.position.id for item in reader.items]
    assert sorted(read) == stored
    assert [item.position for item in reader.items] == sorted(
        item.position for item in reader.items
    )
    # The test could fail: the order of the ids is not the order of the commits.
    assert set(naive.ids) < set(stored)


async def test_items_of_older_transactions_are_waited_for(
    url: str, connection: asyncpg.Connection, database: Database
) -> None:
    reader = Reader(database)
    slow = await connect(url)
    transaction = slow.transaction()
    await transaction.start()
    await store(slow, event("slow"))
    await store(connection, event("quick"))
    assert await reader.read() == []
    await transaction.commit()
    assert names(await reader.read()) == ["slow SENT", "quick SENT"]
    await slow.close()


async def test_a_late_event_of_an_old_month_is_seen(
    connection: asyncpg.Connection, database: Database
) -> None:
    reader = Reader(database)
    await store(connection, event("m", at=days(200)))
    await reader.read()
    await store(connection, event("m", "QUEUED", at=days(-20)))
    await store(connection, event("m", "SEEN", at=UNKNOWN_TIME))
    assert names(await reader.read()) == ["m QUEUED", "m SEEN"]


async def test_each_item_says_what_it_changed_and_the_current_status_of_its_message(
    connection: asyncpg.Connection, database: Database
) -> None:
    await store(
        connection,
        event("m", "SENT", at=days(1)),
        event("m", "DELIVERED", at=days(40)),
        event("m", "QUEUED", at=days(0)),
        event("m", "SENT", at=days(2)),
        event("m", "SENT", at=days(70)),
    )
    items = await Reader(database, limit=2).read()
    assert all(isinstance(item, StatusItem) for item in items)
    shown = [
        (item.event.status_key, item.effect, item.message_status)
        for item in items
        if isinstance(item, StatusItem)
    ]
    assert shown == [
        ("SENT", Effect.ADVANCED, Status.DELIVERED),
        ("DELIVERED", Effect.ADVANCED, Status.DELIVERED),
        ("QUEUED", Effect.FILLED, Status.DELIVERED),
        ("SENT", Effect.LATE, Status.DELIVERED),
        ("SENT", Effect.LOWER_RANK, Status.DELIVERED),
    ]


async def test_an_event_whose_message_was_removed_is_still_served(
    connection: asyncpg.Connection, database: Database
) -> None:
    await store(connection, event("m", "SENT"), event("m", "SEEN", at=days(40)))
    await connection.execute("DELETE FROM messages")
    items = await Reader(database).read()
    assert names(items) == ["m SENT", "m SEEN"]
    assert all(isinstance(item, StatusItem) and item.message_status is None for item in items)


async def test_a_client_that_applies_the_changes_ends_like_the_messages_table(
    url: str, connection: asyncpg.Connection, database: Database
) -> None:
    events = [
        event(f"m{at}", status, at=at_time)
        for at in range(40)
        for status, at_time in [
            ("QUEUED", days(at % 3)),
            ("SENT", days(1)),
            ("FAILED", days(2)),
            ("DELIVERED", days(35)),
            ("SEEN" if at % 2 else "EXPIRED", UNKNOWN_TIME if at % 5 else days(3)),
        ]
    ]
    rng = random.Random(5)  # noqa: S311

    async def _write(seed: int) -> None:
        writer = await connect(url)
        shuffled = random.Random(seed).sample(events, len(events))  # noqa: S311
        for first in range(0, len(shuffled), 4):
            await append_events(writer, shuffled[first : first + 4])
            await asyncio.sleep(rng.choice([0, 0.002]))
        await writer.close()

    await asyncio.gather(*map(_write, range(6)))
    applied: dict[str, str] = {}
    for item in await Reader(database, limit=11).read():
        assert isinstance(item, StatusItem)
        if item.effect.changed:
            applied[item.event.message_tracking_id] = item.event.status_key
    rows = await connection.fetch("SELECT message_tracking_id, status FROM messages")
    assert len(rows) == 40
    assert applied == {row[0]: row[1] for row in rows}


async def test_changed_follows_the_order_of_the_feed_when_two_batches_compete(
    url: str, connection: asyncpg.Connection, database: Database
) -> None:
    """The one that began first stores second: its position is the earlier, its id the greater."""
    first, second = await connect(url), connection
    transaction = first.transaction()
    await transaction.start()
    await store(first, event("other"))
    await store(second, event("m", "SENT"))
    await store(first, event("m", "DELIVERED"))
    await transaction.commit()
    await first.close()
    items = [item for item in await Reader(database).read() if isinstance(item, StatusItem)]
    assert names(items) == ["other SENT", "m DELIVERED", "m SENT"]
    assert items[1].event.id > items[2].event.id
    assert [item.effect.changed for item in items] == [True, True, False]


async def test_one_kind_alone_can_be_read_and_its_cursor_goes_on_past_the_other(
    connection: asyncpg.Connection, database: Database
) -> None:
    first, second = reply("m1"), reply()
    await store(connection, event("m1"), first, event("m2"), second, event("m3"))
    statuses = Reader(database, FeedFilter((FeedItemType.STATUS,)), limit=2)
    replies = Reader(database, FeedFilter((FeedItemType.INBOUND,)), limit=1)
    assert names(await statuses.read()) == ["m1 SENT", "m2 SENT", "m3 SENT"]
    assert names(await replies.read()) == [first.message, second.message]
    assert replies.position == statuses.position == await newest_position(database)
    await store(connection, reply())
    await statuses.read()
    assert statuses.position == await newest_position(database)


async def test_a_campaign_alone_can_be_read_wherever_it_is_named(
    connection: asyncpg.Connection, database: Database
) -> None:
    ours = await connection.fetchval(
        "INSERT INTO campaigns (tracking_id, submission) VALUES ('wanted', 'launched') RETURNING id"
    )
    nameless = await connection.fetchval(
        "INSERT INTO campaigns (submission) VALUES ('unconfirmed') RETURNING id"
    )
    by_message, by_itself = reply("m1"), reply(campaign="wanted")
    await store(
        connection,
        event("m1", campaign="wanted"),
        event("m2", campaign="other"),
        by_message,
        event("m1", "SEEN", campaign=None),
        reply("m2"),
        by_itself,
        event("m3", campaign=None, campaign_id=nameless),
        event("m4", campaign="copy", campaign_id=ours),
    )
    wanted = FeedFilter(campaigns=(CampaignKeys("wanted", ours),))
    assert names(await Reader(database, wanted, limit=2).read()) == [
        "m1 SENT",
        by_message.message,
        "m1 SEEN",
        by_itself.message,
    ]
    await store(connection, reply(), event("m5", campaign=None))
    unlearnt = FeedFilter(campaigns=(CampaignKeys(None, nameless),))
    assert names(await Reader(database, unlearnt).read()) == ["m3 SENT"]


NOTICES = sorted(set(FeedItemType) - {FeedItemType.STATUS, FeedItemType.INBOUND})


@pytest.mark.parametrize("kind", NOTICES)
async def test_one_type_of_notice_alone_can_be_read_and_its_cursor_goes_on_past_all_else(
    connection: asyncpg.Connection, database: Database, kind: FeedItemType
) -> None:
    others = [other for other in NOTICES if other is not kind]
    await store(connection, event("m1"), *(notice(f"n{at}", kind=kind) for at in range(5)))
    await store(connection, *(notice("x", kind=other) for other in others), reply("m1"))
    reader = Reader(database, FeedFilter((kind,)), limit=2)
    assert names(await reader.read()) == [f"{kind} n{at}" for at in range(5)]
    assert reader.position == await newest_position(database)
    await store(connection, notice("x", kind=others[0]))
    assert await reader.read() == []
    assert reader.position == await newest_position(database)


async def test_the_notices_of_a_campaign_are_read_with_it_also_before_its_tracking_id_is_known(
    connection: asyncpg.Connection, database: Database
) -> None:
    ours, other = [
        await connection.fetchval(
            "INSERT INTO campaigns (submission) VALUES ('unconfirmed') RETURNING id"
        )
        for _ in range(2)
    ]
    await connection.execute("UPDATE campaigns SET submission = 'launched'")
    await store(connection, notice("m1", campaign="c"), notice("m2", campaign="d"))
    unlearnt = FeedFilter(campaigns=(CampaignKeys(None, ours),))
    assert names(await Reader(database, unlearnt).read()) == ["campaign.launched"]
    await connection.execute("UPDATE campaigns SET tracking_id = 'c' WHERE id = $1", ours)
    await connection.execute("UPDATE campaigns SET tracking_id = 'd' WHERE id = $1", other)
    learnt = Reader(database, FeedFilter(campaigns=(CampaignKeys("c", ours),)), limit=1)
    assert names(await learnt.read()) == ["campaign.launched", "message.overdue m1"]
    assert {item.campaign_tracking_id for item in learnt.items if isinstance(item, NoticeItem)} == {
        "c"
    }


async def test_a_rare_campaign_is_scanned_page_by_page(
    connection: asyncpg.Connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_SCANNED_ITEMS", 5)
    rare = reply(campaign="rare")
    for number in range(12):
        await store(connection, event(f"a{number}"))
    await store(connection, event("r1", campaign="rare"), event("r2", campaign="rare"), rare)
    for _ in range(12):
        await store(connection, reply())
    wanted = FeedFilter(campaigns=(CampaignKeys("rare", None),))
    page = await page_of_feed(database, wanted, after=BEGINNING, limit=10)
    assert (page.items, page.is_last) == ([], False)
    assert page.end > BEGINNING
    reader = Reader(database, wanted, limit=1)
    assert names(await reader.read()) == ["r1 SENT", "r2 SENT", rare.message]
    assert reader.position == await newest_position(database)


async def test_an_empty_feed_has_a_position_too(database: Database) -> None:
    assert await newest_position(database) == BEGINNING
    assert await position_before(database, datetime.now(UTC)) == BEGINNING
    page = await page_of_feed(database, EVERYTHING, after=BEGINNING, limit=10)
    assert (page.items, page.end, page.is_last) == ([], BEGINNING, True)


async def _remove_before(
    connection: asyncpg.Connection, database: Database, horizon: datetime
) -> None:
    """What retention does: remove what was received before, and record how far that goes."""
    removed = await connection.fetch(
        "DELETE FROM events WHERE received_at < $1 RETURNING feed_epoch, xid, id", horizon
    )
    async with database.writing() as session:
        await raise_floor(session, max(Position(*row) for row in removed))


async def test_a_cursor_below_the_floor_is_expired_and_an_instant_resumes(
    connection: asyncpg.Connection, database: Database
) -> None:
    now = datetime.now(UTC)
    for number in range(60):
        await store(connection, event(f"m{number:02}"))
    received = {f"m{number:02}": now - timedelta(days=60 - number) for number in range(60)}
    await _aged(connection, received)
    reader = Reader(database)
    page = await page_of_feed(database, EVERYTHING, after=BEGINNING, limit=10)
    last_read = page.items[-1]
    assert isinstance(last_read, StatusItem)
    await _remove_before(connection, database, now - timedelta(days=30, hours=12))
    with pytest.raises(CursorExpired, match="after=<instant>"):
        await reader.read()
    with pytest.raises(CursorExpired):
        await page_of_feed(database, EVERYTHING, after=page.end, limit=10)
    resumed = Reader(database, after=await position_before(database, last_read.event.received_at))
    kept = [f"m{number:02} SENT" for number in range(30, 60)]
    assert names(await resumed.read()) == kept
    assert names(await Reader(database, after=await oldest_position(database)).read()) == kept


async def test_the_floor_is_never_lowered(database: Database) -> None:
    for position in (Position(1, 900, 5), Position(1, 800, 9), Position(1, 900, 4)):
        async with database.writing() as session:
            await raise_floor(session, position)
    assert await oldest_position(database) == Position(1, 900, 5)


async def test_a_removal_while_a_page_is_read_is_noticed(
    connection: asyncpg.Connection, database: Database
) -> None:
    await store(connection, event("m1"), event("m2"))
    newest = await newest_position(database)
    async with database.writing() as session:
        await raise_floor(session, newest)
    with pytest.raises(CursorExpired):
        await page_of_feed(database, EVERYTHING, after=BEGINNING, limit=10)
    page = await page_of_feed(database, EVERYTHING, after=newest, limit=10)
    assert page.is_last


async def test_an_event_that_is_removed_while_its_page_is_read_is_noticed(
    connection: asyncpg.Connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(connection, event("m1"), event("m2"))
    newest, steps_in = await newest_position(database), pages._effects_in

    async def _after_a_removal(session: AsyncSession, page: Sequence[Any]) -> Mapping[int, Any]:
        await connection.execute("DELETE FROM events WHERE message_tracking_id = 'm2'")
        async with database.writing() as removing:
            await raise_floor(removing, newest)
        return await steps_in(session, page)

    monkeypatch.setattr(pages, "_effects_in", _after_a_removal)
    with pytest.raises(CursorExpired):
        await page_of_feed(database, EVERYTHING, after=BEGINNING, limit=10)


@pytest.mark.parametrize("since", range(-1, 31, 3))
async def test_an_instant_leads_to_all_that_was_received_since(
    connection: asyncpg.Connection, database: Database, since: int
) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    for number in range(30):
        await store(connection, event(f"m{number:02}"))
    # Nearly in order, as transactions that had to wait are: up to 40 seconds late.
    await _aged(
        connection,
        {
            f"m{number:02}": begin + timedelta(minutes=number, seconds=-40 * (number % 2))
            for number in range(30)
        },
    )
    instant = begin + timedelta(minutes=since)
    after = await position_before(database, instant)
    read = names(await Reader(database, after=after).read())
    rows = await connection.fetch(
        "SELECT message_tracking_id || ' SENT' FROM events WHERE received_at >= $1", instant
    )
    assert {row[0] for row in rows} <= set(read)
    assert len(read) <= len(rows) + 3


async def test_an_instant_is_found_across_epochs(
    connection: asyncpg.Connection, database: Database
) -> None:
    begin = datetime.now(UTC) - timedelta(days=9)
    for number in range(9):
        await store(connection, event(f"m{number}"))
    await _aged(connection, {f"m{number}": begin + timedelta(days=number) for number in range(9)})
    # As after a restore: the transaction ids of the newer epochs are lower.
    await connection.execute("UPDATE feed_state SET epoch = 4")
    for epoch, first, last in ((2, 3, 5), (4, 6, 8)):
        await connection.execute(
            "UPDATE events"
            " SET feed_epoch = $1::int, xid = (xid::text::bigint - 100 * $1::int)::text::xid8"
            " WHERE message_tracking_id BETWEEN 'm' || $2::int AND 'm' || $3::int",
            epoch,
            first,
            last,
        )
    for since in range(9):
        after = await position_before(database, begin + timedelta(days=since))
        read = names(await Reader(database, after=after).read())
        assert read == [f"m{number} SENT" for number in range(since, 9)]
