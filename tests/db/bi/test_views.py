"""The views say what a recount says: before anything is rolled up, in between, and after."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.db.bi import roll_up
from app.db.bi.roll_up import roll_up_chunk, roll_up_events
from app.db.bi.view_settings import ViewSettings, write_view_settings
from app.db.database import Database
from app.db.ingest import append_events, append_inbound, append_progress
from app.domain.campaign_progress import CampaignProgress
from app.domain.event import DeliveryEvent
from app.domain.message import Message
from app.domain.retention import retention_of_days
from app.domain.status import FAILURES, Status
from app.routee.translate import translate
from app.services.retention import PurgeJob
from tests.database import connect
from tests.db.bi import recount
from tests.db.bi.recount import Counts, known_campaigns, messages_of, stored_events
from tests.db.bi.story import START, make_campaigns, store_in_batches, story, teach
from tests.db.feed.feed_stage import reply
from tests.promises.load import reply as answer
from tests.promises.load import report, stories
from tests.services.kept_stage import Kept

pytestmark = pytest.mark.usefixtures("roles")

_STATUSES = [status.value for status in Status]
_MOST_OFF = 0.05


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests")
    yield database
    await database.close()


async def _pivoted(connection: asyncpg.Connection, view: str, period: str) -> Counts:
    rows = await connection.fetch(f"SELECT * FROM bi_v1.{view}")  # noqa: S608
    keys = [period, "campaign_id", "campaign_tracking_id", "country", "sender", "label"]
    found: Counts = Counter()
    for row in rows:
        assert row["events"] == sum(row[status.lower()] for status in _STATUSES)
        for status in _STATUSES:
            if row[status.lower()]:
                key = (*(row[name] for name in keys), status)
                assert key not in found
                found[key] = row[status.lower()]
    return found


async def _first_days_agree(connection: asyncpg.Connection, expected: Counts) -> None:
    keys = ["day", "campaign_id", "campaign_tracking_id", "country", "sender", "label"]
    counted = ["messages", "messages_delivered_or_seen", "messages_seen", "messages_failed"]
    found = {
        (*(row[name] for name in keys), name): row[name]
        for row in await connection.fetch("SELECT * FROM bi_v1.delivery_daily")
        for name in counted
        if row[name]
    }
    assert found == expected


async def _daily_reasons_agree(connection: asyncpg.Connection, expected: Counts) -> None:
    rows = await connection.fetch("SELECT * FROM bi_v1.failure_reasons_daily")
    assert {(row["day"], *_reason(row)): row["messages"] for row in rows} == expected


async def _reasons_agree(connection: asyncpg.Connection, expected: Counts) -> None:
    rows = await connection.fetch("SELECT * FROM bi_v1.failure_reasons")
    assert {_reason(row): row["messages"] for row in rows} == expected
    for row in rows:
        total = sum(n for key, n in expected.items() if key[:2] == _reason(row)[:2])
        assert row["share"] == _rate(row["messages"], total)


def _reason(row: asyncpg.Record) -> tuple[Any, ...]:
    names = ["campaign_id", "campaign_tracking_id", "status", "detailed_status", "description"]
    return tuple(row[name] for name in names)


def _is_near(found: float | None, exact: float | None) -> bool:
    if found is None or exact is None:
        return found is exact
    return abs(found - exact) <= max(_MOST_OFF * exact, 0.001)


def _percentiles_agree(row: asyncpg.Record, messages: Iterable[Message]) -> None:
    measures = {"deliver": recount.seconds_to_deliver, "see": recount.seconds_to_see}
    for name, seconds_of in measures.items():
        values = [value for value in map(seconds_of, messages) if value is not None]
        for share, suffix in ((0.5, "p50"), (0.95, "p95")):
            found = row[f"seconds_to_{name}_{suffix}"]
            assert _is_near(found, recount.percentile(values, share))


def _rate(part: int, whole: int) -> float | None:
    return float(round(Decimal(part) / whole, 6)) if whole else None


def _campaign_agrees(row: asyncpg.Record, messages: list[Message]) -> None:
    count = {status: sum(it.status is status for it in messages) for status in Status}
    arrived = count[Status.DELIVERED] + count[Status.SEEN]
    assert {status: row[status.lower()] for status in Status} == count
    assert (row["messages"], row["delivered_or_seen"]) == (len(messages), arrived)
    assert row["delivery_rate"] == _rate(arrived, len(messages))
    assert row["seen_rate"] == _rate(count[Status.SEEN], arrived)
    assert row["failure_rate"] == _rate(sum(count[it] for it in FAILURES), len(messages))
    prices = [message.price for message in messages if message.price is not None]
    assert row["price"] == (sum(prices) if prices else None)
    _percentiles_agree(row, messages)


async def _campaigns_agree(
    connection: asyncpg.Connection, messages: list[Message], known: recount.Known
) -> None:
    for row in await connection.fetch("SELECT * FROM bi_v1.campaigns"):
        of_it = [
            message
            for message in messages
            if known.of(message.campaign_tracking_id, message.campaign_id)[0] == row["campaign_id"]
        ]
        _campaign_agrees(row, of_it)


async def _spans_agree(
    connection: asyncpg.Connection, events: list[DeliveryEvent], known: recount.Known
) -> None:
    query = "SELECT campaign_id, first_event_at, last_event_at FROM bi_v1.campaigns"
    for campaign, first, last in await connection.fetch(query):
        times = [
            event.occurred_at
            for event in events
            if known.of(event.campaign_tracking_id, event.campaign_id)[0] == campaign
            and event.occurred_at.year > 1970
        ]
        # An event that was first reported for another campaign counts there as well.
        assert (first is None) <= (not times)
        assert all(first <= time <= last for time in times)


async def _opted_out_agree(connection: asyncpg.Connection, expected: Counts) -> None:
    rows = await connection.fetch("SELECT * FROM bi_v1.recipients_opted_out")
    by_failure = [row for row in rows if row["opted_out_by"] == "failure"]
    found = {(row["recipient"], row["sender"]): row["messages"] for row in by_failure}
    assert found == expected


async def everything_agrees(connection: asyncpg.Connection) -> None:
    events, known = await stored_events(connection), await known_campaigns(connection)
    messages, hours = messages_of(events), recount.hourly(events, known)
    assert await _pivoted(connection, "delivery_hourly", "hour") == hours
    assert await _pivoted(connection, "delivery_daily", "day") == recount.daily(hours)
    await _first_days_agree(connection, recount.by_first_day(messages, known))
    await _reasons_agree(connection, recount.reasons(messages, known))
    await _daily_reasons_agree(connection, recount.reasons_by_day(messages, known))
    await _campaigns_agree(connection, messages, known)
    await _spans_agree(connection, events, known)
    await _opted_out_agree(connection, recount.opted_out(messages))


async def _roll_up_all(database: Database) -> None:
    while await roll_up_events(database):
        pass


async def _pending(connection: asyncpg.Connection) -> int:
    return int(
        await connection.fetchval(
            "SELECT pending_events + pending_corrections FROM bi_v1.freshness"
        )
    )


@pytest.mark.parametrize("seed", range(6))
async def test_the_views_equal_a_recount_whatever_is_rolled_up(
    database: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(roll_up, "MAX_EVENTS", 37)
    rng = random.Random(seed)  # noqa: S311
    ours = await make_campaigns(connection)
    events = story(ours, seed)
    for part, at in enumerate(range(0, len(events), 60)):
        await store_in_batches(connection, events[at : at + 60], rng)
        if part == 3:
            await teach(database, ours[1], "learnt late")
        await everything_agrees(connection)
        for _ in range(rng.randint(0, 3)):
            await roll_up_chunk(database)
            await everything_agrees(connection)
    await _roll_up_all(database)
    assert await _pending(connection) == 0
    await everything_agrees(connection)
    await teach(database, ours[2], "learnt at last")
    await everything_agrees(connection)
    await _roll_up_all(database)
    await everything_agrees(connection)


async def test_rolling_up_while_others_write_loses_nothing_and_counts_nothing_twice(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll_up, "MAX_EVENTS", 20)
    writers = [await connect(url) for _ in range(3)]
    ours = await make_campaigns(writers[0])
    events = story(ours, 99, messages=200)
    rng = random.Random(99)  # noqa: S311
    orders = [rng.sample(events, len(events)) for _ in writers]
    writing = asyncio.gather(
        *(store_in_batches(*each, rng) for each in zip(writers, orders, strict=True)),
        teach(database, ours[1], "learnt late"),
    )
    while not writing.done():
        await asyncio.gather(roll_up_chunk(database), roll_up_chunk(database))
    await writing
    await everything_agrees(writers[0])
    await _roll_up_all(database)
    assert await _pending(writers[0]) == 0
    await everything_agrees(writers[0])
    for writer in writers:
        await writer.close()


async def test_an_open_transaction_holds_back_the_roll_up_and_not_the_views(
    database: Database, connection: asyncpg.Connection, url: str
) -> None:
    ours = await make_campaigns(connection)
    first, second, *rest = story(ours, 5)
    slow = await connect(url)
    async with slow.transaction():
        await append_events(slow, [first])
        await append_events(
            connection,
            [it for it in rest if it.message_tracking_id != first.message_tracking_id][:50],
        )
        assert await roll_up_events(database) == 0
        await everything_agrees(connection)
    await everything_agrees(connection)
    assert await roll_up_events(database) > 1
    await append_events(slow, [second])
    await everything_agrees(connection)
    await slow.close()


async def test_what_retention_removes_stays_counted(
    database: Database, connection: asyncpg.Connection
) -> None:
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, 7), random.Random(7))  # noqa: S311
    await _roll_up_all(database)
    daily = """
        SELECT to_jsonb(d) FROM bi_v1.delivery_daily AS d
        UNION ALL SELECT to_jsonb(f) FROM bi_v1.failure_reasons_daily AS f ORDER BY 1
    """
    days = await connection.fetch(daily)
    before = [await _pivoted(connection, "delivery_daily", "day"), await _reasons(connection)]
    await connection.execute("DELETE FROM events")
    await connection.execute("DELETE FROM messages")
    assert [
        await _pivoted(connection, "delivery_daily", "day"),
        await _reasons(connection),
    ] == before
    assert await connection.fetch(daily) == days


async def test_what_retention_removes_stays_counted_by_campaign(
    connection: asyncpg.Connection, url: str
) -> None:
    kept = Kept(url, connection)
    answers = [answer("old-0", "one"), answer("old-0", "two"), answer("old-1", "three")]
    await kept.store([*stories("old", 3), *answers], days_ago=200)
    await kept.store([*stories("new", 1), answer("new-0", "four")])
    await append_inbound(connection, [reply(campaign="nobody's")])
    # The sender of a campaign that was not launched here is known from its messages alone.
    query = "SELECT to_jsonb(c) - 'sender' FROM bi_v1.campaigns AS c ORDER BY campaign_id"
    before = await connection.fetch(query)
    counted = [json.loads(row[0]) for row in before]
    assert {(row["messages"], row["replies"]) for row in counted} == {(3, 3), (1, 1)}
    retention = retention_of_days(raw=None, events=100, messages=100, inbound=100)
    assert await PurgeJob(url, retention).run()
    assert await connection.fetchval("SELECT count(*) FROM messages") == 1
    assert await connection.fetchval("SELECT count(*) FROM inbound_messages") == 2
    assert await connection.fetch(query) == before
    await connection.execute("DELETE FROM inbound_messages")
    assert await connection.fetch(query) == before


async def _reasons(connection: asyncpg.Connection) -> set[tuple[Any, ...]]:
    rows = await connection.fetch("SELECT * FROM bi_v1.failure_reasons")
    return {tuple(row.values()) for row in rows}


async def test_messages_and_their_events_are_shown_as_they_are_stored(
    connection: asyncpg.Connection,
) -> None:
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, 3), random.Random(3))  # noqa: S311
    events, known = await stored_events(connection), await known_campaigns(connection)
    rows = await connection.fetch("SELECT * FROM bi_v1.messages ORDER BY message_tracking_id")
    expected = sorted(messages_of(events), key=lambda it: it.message_tracking_id)
    assert [row["message_tracking_id"] for row in rows] == [
        it.message_tracking_id for it in expected
    ]
    for row, message in zip(rows, expected, strict=True):
        _message_agrees(row, message, known)
    shown = await connection.fetch("SELECT * FROM bi_v1.message_events")
    assert sorted(map(_event_shown, shown), key=str) == sorted(map(_event_stored, events), key=str)


def _message_agrees(row: asyncpg.Record, message: Message, known: recount.Known) -> None:
    times = ["created_at", "queued_at", "sent_at", "delivered_at", "seen_at", "failed_at"]
    same = [*times, "sender", "country", "label", "price", "recipient", "detailed_status"]
    assert [row[name] for name in same] == [getattr(message, name) for name in same]
    assert row["status"] == message.status
    assert row["status_at"] == (message.status_at if message.status_at.year > 1970 else None)
    assert (row["campaign_id"], row["campaign_tracking_id"]) == (
        known.of(message.campaign_tracking_id, message.campaign_id)[0],
        message.campaign_tracking_id,
    )
    if row["seconds_to_deliver"] is None or row["seconds_to_deliver"] >= 0:
        assert row["seconds_to_deliver"] == recount.seconds_to_deliver(message)


def _event_shown(row: asyncpg.Record) -> tuple[Any, ...]:
    return (row["message_tracking_id"], row["provider_status"], row["occurred_at"], row["source"])


def _event_stored(event: DeliveryEvent) -> tuple[Any, ...]:
    at = event.occurred_at if event.occurred_at.year > 1970 else None
    return (event.message_tracking_id, event.provider_status, at, event.source.name.lower())


async def test_a_campaign_shows_what_its_launch_answered(connection: asyncpg.Connection) -> None:
    await make_campaigns(connection)
    rows = {
        row["campaign_name"]: row for row in await connection.fetch("SELECT * FROM bi_v1.campaigns")
    }
    assert rows["spring"]["sender"] == "Shop"
    assert rows["spring"]["scheduled_at"].isoformat() == "2026-04-01T10:00:00+00:00"
    assert str(rows["spring"]["cost"]) == "12.345"
    assert rows["late"]["scheduled_at"] is rows["never"]["scheduled_at"] is None


async def test_a_campaign_shows_the_word_of_its_newest_report(
    connection: asyncpg.Connection,
) -> None:
    await make_campaigns(connection)
    bodies = [
        report("known", "Running", updatedDate="2026-03-01T10:01:00Z"),
        report("known", "Queued", updatedDate="2026-03-01T10:00:00Z"),
    ]
    read = [record for it in bodies for record in translate(it.body).records]
    await append_progress(connection, [it for it in read if isinstance(it, CampaignProgress)])
    rows = await connection.fetch(
        "SELECT campaign_tracking_id, campaign_status FROM bi_v1.campaigns"
    )
    words = {row["campaign_tracking_id"]: row["campaign_status"] for row in rows}
    assert words.pop("known") == "Running"
    assert set(words.values()) == {None}


#: Whatever shows campaigns.
_OF_CAMPAIGNS = """
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = 'bi_v1'::regnamespace
    AND c.relname NOT IN ('freshness', 'received_daily', 'recipients_opted_out')
ORDER BY c.relname
"""
_NAMED = "campaign_id, campaign_tracking_id, campaign_name, campaign_label"


async def test_one_filter_suits_every_view_that_belongs_to_campaigns(
    connection: asyncpg.Connection,
) -> None:
    ours = await make_campaigns(connection)
    await connection.execute(
        "UPDATE campaigns SET label = 'sale', request = $1 WHERE id = $2",
        b'{"to": ["+306900000001"]}',
        ours[0],
    )
    sent = next(it for it in story(ours, 3) if it.campaign_tracking_id == "known")
    failed = sent._replace(message_tracking_id="f", status_key="FAILED", provider_status="Failed")
    await append_events(connection, [sent, failed])
    await append_inbound(connection, [reply(campaign="known"), reply(failed.message_tracking_id)])
    await connection.execute(
        "INSERT INTO quarantine (sha256, reason, path, body, campaign_id)"
        " VALUES ('x', 'not-json', '/', 'x', $1)",
        ours[0],
    )
    views = [row[0] for row in await connection.fetch(_OF_CAMPAIGNS)]
    assert len(views) >= 9
    for view in views:
        rows = await connection.fetch(
            f"SELECT {_NAMED} FROM bi_v1.{view}"  # noqa: S608
            " WHERE campaign_name = 'spring' AND campaign_label ILIKE 'SAL%'"
            " AND campaign_id ILIKE $1 AND campaign_tracking_id = 'known'",
            str(ours[0]).upper(),
        )
        assert {tuple(row) for row in rows} == {(str(ours[0]), "known", "spring", "sale")}, view


async def test_a_campaign_without_a_tracking_id_has_its_name_in_every_row_of_it(
    connection: asyncpg.Connection,
) -> None:
    ours = await make_campaigns(connection)
    unbound = next(it for it in story(ours, 3) if it.campaign_id == ours[1])
    await append_events(connection, [unbound])
    await append_inbound(connection, [reply(unbound.message_tracking_id)])
    for view in ("messages", "message_events", "inbound_messages", "delivery_daily"):
        rows = await connection.fetch(f"SELECT {_NAMED} FROM bi_v1.{view}")  # noqa: S608
        assert [tuple(row) for row in rows] == [(str(ours[1]), None, "late", None)], view


@pytest.mark.parametrize("source", ["report", "reply"])
async def test_a_campaign_that_was_not_launched_here_is_called_as_its_callbacks_call_it(
    database: Database, connection: asyncpg.Connection, source: str
) -> None:
    ours = await make_campaigns(connection)
    key = "seen elsewhere"
    sent = next(it for it in story(ours, 3) if it.campaign_tracking_id == key)
    if source == "report":
        body = report(key, "Running", name="Autumn").body
        read = [it for it in translate(body).records if isinstance(it, CampaignProgress)]
        await append_progress(connection, read)
    else:
        await append_inbound(
            connection,
            [reply(campaign=key)._replace(campaign_name=name) for name in (None, "Autumn")],
        )
    await append_events(connection, [sent._replace(label=None)])
    await _roll_up_all(database)
    await append_events(connection, [sent._replace(message_tracking_id="later", label="sale")])
    await _roll_up_all(database)
    for view in ("campaigns", "messages", "delivery_hourly"):
        rows = await connection.fetch(
            f"SELECT DISTINCT campaign_name, campaign_label FROM bi_v1.{view}"  # noqa: S608
            " WHERE campaign_tracking_id = $1",
            key,
        )
        assert [tuple(row) for row in rows] == [("Autumn", "sale")], view
    await connection.execute("DELETE FROM inbound_messages")
    await connection.execute("DELETE FROM messages")
    query = "SELECT campaign_name, campaign_label FROM bi_v1.campaigns WHERE campaign_id = $1"
    assert tuple(await connection.fetchrow(query, str(ours[3])) or ()) == ("Autumn", "sale")


async def test_a_campaign_shows_when_its_first_and_its_last_event_occurred(
    database: Database, connection: asyncpg.Connection
) -> None:
    ours = await make_campaigns(connection)
    sent = next(it for it in story(ours, 3) if it.campaign_tracking_id == "known")
    query = """
        SELECT first_event_at - $1, last_event_at - $1 FROM bi_v1.campaigns
        WHERE campaign_tracking_id = 'known'
    """
    for hours, first, last in ((5, 5, 5), (9, 5, 9), (2, 2, 9), (7, 2, 9)):
        at = START + timedelta(hours=hours)
        await append_events(
            connection, [sent._replace(message_tracking_id=f"{at}", occurred_at=at)]
        )
        for _ in range(2):
            found = await connection.fetchrow(query, START)
            assert tuple(found or ()) == (timedelta(hours=first), timedelta(hours=last))
            await _roll_up_all(database)
    early = sent._replace(message_tracking_id="early", occurred_at=START, campaign_tracking_id=None)
    await append_events(connection, [early])
    await _roll_up_all(database)
    await append_events(connection, [early._replace(campaign_tracking_id="known")])
    for _ in range(2):
        found = await connection.fetchrow(query, START)
        assert tuple(found or ()) == (timedelta(0), timedelta(hours=9))
        await _roll_up_all(database)


async def test_recipients_of_ours_are_awaited_until_a_callback_of_their_message_comes(
    connection: asyncpg.Connection,
) -> None:
    ours = await make_campaigns(connection)
    request = b'{"to": ["+306900000001", "0030 690 000 0002", 306900000003, "alias", ""]}'
    await connection.execute(
        "UPDATE campaigns SET request = $1 WHERE id = ANY($2)", request, ours[:2]
    )
    await connection.execute("UPDATE campaigns SET request = 'no JSON' WHERE id = $1", ours[2])
    query = """
        SELECT recipient FROM bi_v1.recipients_awaited WHERE campaign_id = $1 ORDER BY recipient
    """

    async def awaited(campaign: UUID) -> list[str]:
        return [row[0] for row in await connection.fetch(query, str(campaign))]

    everyone = ["+306900000001", "+306900000002", "+306900000003", "alias"]
    assert await awaited(ours[0]) == await awaited(ours[1]) == everyone
    sent = story(ours, 3)[0]._replace(recipient="+306900000002", campaign_id=None)
    await append_events(connection, [sent._replace(campaign_tracking_id="known")])
    unbound = sent._replace(message_tracking_id="u", campaign_tracking_id=None, recipient="alias")
    await append_events(connection, [unbound._replace(campaign_id=ours[1])])
    assert await awaited(ours[0]) == ["+306900000001", "+306900000003", "alias"]
    assert await awaited(ours[1]) == everyone[:3]
    await connection.execute("UPDATE campaigns SET submission = 'rejected' WHERE id = $1", ours[1])
    assert await awaited(ours[1]) == []


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"text": "Hi [~name]"}', ("text", "Hi [~name]", False, False, False, False)),
        (
            '{"text": "Hi", "imageURL": "https://a/b", "action": {"caption": "Go"}}',
            ("text+image+button", "Hi", True, True, False, False),
        ),
        ('{"viberFile": {"fileName": "a"}}', ("file", None, False, False, True, False)),
        ('{"viberVideo": {}, "text": null}', ("video", None, False, False, False, True)),
        ("[1]", (None, None, False, False, False, False)),
        ("no JSON", (None, None, None, None, None, None)),
    ],
)
async def test_what_a_campaign_says_is_shown_by_its_parts(
    connection: asyncpg.Connection, body: str, shown: tuple[Any, ...]
) -> None:
    ours = await make_campaigns(connection)
    request = f'{{"body": {body}}}'.encode()
    await connection.execute("UPDATE campaigns SET request = $1 WHERE id = $2", request, ours[0])
    row = await connection.fetchrow(
        "SELECT kind, text, has_image, has_button, has_file, has_video"
        " FROM bi_v1.campaign_contents WHERE campaign_id = $1",
        str(ours[0]),
    )
    assert row is not None
    assert tuple(row) == shown


async def test_bodies_in_the_quarantine_are_counted_by_day_and_reason(
    connection: asyncpg.Connection,
) -> None:
    await connection.execute("""
        INSERT INTO quarantine (sha256, reason, path, body, received_at, times) VALUES
            ('a', 'not-json', '/', 'a', '2026-03-01T00:00:00Z', 1),
            ('b', 'not-json', '/', 'b', '2026-03-01T23:59:59Z', 5),
            ('c', 'expired', '/', 'c', '2026-03-02T00:00:00Z', 2)
    """)
    rows = await connection.fetch(
        "SELECT day::text, reason, bodies, repetitions FROM bi_v1.quarantine_daily ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [
        ("2026-03-01", "not-json", 2, 4),
        ("2026-03-02", "expired", 1, 1),
    ]


async def test_the_settings_of_the_service_change_what_the_views_show(
    database: Database, connection: asyncpg.Connection
) -> None:
    ours = await make_campaigns(connection)
    await append_events(connection, story(ours, 3)[:1])
    query = "SELECT currency FROM bi_v1.{} LIMIT 1"
    views = ("campaigns", "messages", "message_events")
    assert [await connection.fetchval(query.format(it)) for it in views] == [None] * 3
    settings = ViewSettings(mask_labels=True, currency="EUR", opt_out_words=("basta",))
    for _ in range(2):
        await write_view_settings(database, settings)
        assert [await connection.fetchval(query.format(it)) for it in views] == ["EUR"] * 3
        assert await connection.fetchval("SELECT mask_labels FROM bi_settings")


async def test_who_replies_with_a_word_for_it_has_opted_out(
    database: Database, connection: asyncpg.Connection
) -> None:
    texts = ["STOP", " stop!\n", "Στοπ", "στοπ.", "don't stop", "STOP IT", "", None, "στόπ"]
    replies = [
        reply()._replace(message=text, sender=f"+30690000000{at}") for at, text in enumerate(texts)
    ]
    await append_inbound(connection, replies)
    query = (
        "SELECT recipient FROM bi_v1.recipients_opted_out WHERE opted_out_by = 'reply' ORDER BY 1"
    )
    assert [row[0][-1] for row in await connection.fetch(query)] == ["0", "1", "2", "3"]
    words = ("don't stop", "ΣΤΌΠ")
    await write_view_settings(
        database, ViewSettings(mask_labels=False, currency=None, opt_out_words=words)
    )
    assert [row[0][-1] for row in await connection.fetch(query)] == ["4", "8"]


async def test_replies_belong_to_the_campaign_they_name_or_answer(
    connection: asyncpg.Connection,
) -> None:
    ours = await make_campaigns(connection)
    sent = next(it for it in story(ours, 3) if it.campaign_tracking_id == "known")
    unbound = next(it for it in story(ours, 3) if it.campaign_id == ours[1])
    await append_events(connection, [sent, unbound])
    replies = [
        reply(campaign="known"),
        reply(sent.message_tracking_id),
        reply(unbound.message_tracking_id),
        reply(),
        reply("nobody knows it"),
        reply("nobody knows it")._replace(campaign_id=ours[1]),
    ]
    await append_inbound(connection, replies)
    rows = await connection.fetch("SELECT campaign_id, replies FROM bi_v1.campaigns")
    assert {row["campaign_id"]: row["replies"] for row in rows if row["replies"]} == {
        str(ours[0]): 2,
        str(ours[1]): 2,
    }
    shown = await connection.fetch("SELECT * FROM bi_v1.inbound_messages ORDER BY message")
    assert [row["message"] for row in shown] == sorted(it.message or "" for it in replies)
    by_campaign = [row["campaign_id"] for row in shown]
    assert by_campaign.count(str(ours[0])) == by_campaign.count(str(ours[1])) == 2


async def test_freshness_shows_how_far_the_data_reaches_and_what_is_pending(
    database: Database, connection: asyncpg.Connection
) -> None:
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, 8), random.Random(8))  # noqa: S311
    events = await stored_events(connection)
    before = await connection.fetchrow("SELECT * FROM bi_v1.freshness")
    await _roll_up_all(database)
    after = await connection.fetchrow("SELECT * FROM bi_v1.freshness")
    assert before is not None
    assert after is not None
    assert before["pending_events"] == len(events)
    assert before["rolled_up_to"] is None
    assert before["newest_occurred_at"] == max(it.occurred_at for it in events)
    assert before["newest_received_at"] == after["newest_received_at"] == after["rolled_up_to"]
    assert after["newest_occurred_at"] == before["newest_occurred_at"]
    assert (after["pending_events"], after["pending_corrections"]) == (0, 0)
    assert (after["buffered_batches"], after["feed_held_back_transactions"]) == (0, 0)


async def test_only_one_process_rolls_up_at_a_time(
    database: Database, connection: asyncpg.Connection
) -> None:
    ours = await make_campaigns(connection)
    await append_events(connection, story(ours, 2))
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", roll_up.ROLL_UP_LOCK)
        assert await roll_up_events(database) == 0
    assert await roll_up_events(database) > 0


async def test_events_and_corrections_are_pending_once_they_can_be_rolled_up(
    database: Database, connection: asyncpg.Connection, url: str
) -> None:
    is_pending = "SELECT bi_is_pending()"
    first, *others = story(await make_campaigns(connection), 2)
    assert await connection.fetchval(is_pending) is False
    assert await roll_up_events(database) == 0
    slow = await connect(url)
    async with slow.transaction():
        await append_events(slow, [first])
        await append_events(connection, others[:1])
        assert await connection.fetchval(is_pending) is False  # held back by the open transaction
    assert await connection.fetchval(is_pending) is True
    await _roll_up_all(database)
    assert await connection.fetchval(is_pending) is False
    await append_events(slow, [first._replace(country="AA")])
    assert await connection.fetchval("SELECT count(*) FROM bi_event_corrections") > 0
    assert await connection.fetchval(is_pending) is True
    await _roll_up_all(database)
    assert await connection.fetchval(is_pending) is False
    await everything_agrees(connection)
    await slow.close()


async def test_one_run_of_the_duty_is_bounded(
    database: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll_up, "MAX_EVENTS", 10)
    monkeypatch.setattr(roll_up, "MAX_CHUNKS", 3)
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, 2), random.Random(2))  # noqa: S311
    assert await roll_up_events(database) == 30
