"""With many events the views read the roll-ups, and of the events only the pending ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from operator import sub
from typing import Any

import asyncpg
import pytest

from app.db.bi.roll_up import _LOCK, MAX_EVENTS, roll_up_events
from app.db.bi.roll_up_statement import roll_up
from app.db.database import Database
from tests.conftest import fresh_database
from tests.database import connect
from tests.db.feed.feed_stage import event, store

MESSAGES = 60_000
REPLIES = 9_000
#: Half of the messages belong to one campaign; every tenth failed instead of being delivered.
FILL = """
INSERT INTO campaigns (tracking_id, submission, name, request)
SELECT 'c-' || n, 'launched', 'name ' || n, convert_to(
    jsonb_build_object('to', (
        SELECT jsonb_agg('+3069' || lpad(m::text, 8, '0')) FROM generate_series(n + 1, n + 300) m
    ))::text,
    'UTF8'
)
FROM generate_series(0, 200) n;

INSERT INTO events
    (message_tracking_id, status_key, provider_status, occurred_at, source,
     campaign_tracking_id, country, sender, recipient, detailed_status)
SELECT
    md5(n::text), status, status,
    '2026-03-01Z'::timestamptz + n % 5000 * interval '10 minutes' + rank * rank * interval '7 s',
    0, 'c-' || CASE WHEN n % 2 = 0 THEN 0 ELSE n % 200 END,
    (array['GR', 'DE', 'CY'])[n % 3 + 1], 'Shop', '+3069' || n,
    CASE WHEN status = 'FAILED' THEN 'Reason ' || n % 7 END
FROM generate_series(1, {messages}) n, LATERAL (
    SELECT rank, CASE WHEN rank = 3 AND n % 10 = 0 THEN 'FAILED'
        ELSE (array['QUEUED', 'SENT', 'DELIVERED', 'SEEN'])[rank] END AS status
    FROM generate_series(1, CASE WHEN n % 10 = 0 THEN 3 ELSE 4 END) rank
) AS reported;

INSERT INTO messages
    (message_tracking_id, campaign_tracking_id, recipient, country, sender, status, status_key,
     provider_status, status_rank, status_at, queued_at, sent_at, delivered_at, seen_at,
     detailed_status)
SELECT
    message_tracking_id, min(campaign_tracking_id), min(recipient), min(country), min(sender),
    status, status, status, max(status_rank), max(occurred_at),
    min(occurred_at) FILTER (WHERE status_rank = 1),
    min(occurred_at) FILTER (WHERE status_rank = 2),
    min(occurred_at) FILTER (WHERE status_rank = 4),
    min(occurred_at) FILTER (WHERE status_rank = 5),
    max(detailed_status)
FROM (
    SELECT e.*, s.rank AS status_rank, first_value(s.status) OVER (
        PARTITION BY message_tracking_id ORDER BY s.rank DESC) AS status
    FROM events AS e JOIN statuses AS s ON s.status = e.status_key
) AS e
GROUP BY message_tracking_id, status;

INSERT INTO campaign_counts
SELECT campaign_tracking_id, status, count(*) FROM messages GROUP BY 1, 2;

INSERT INTO inbound_messages
    (identity, campaign_tracking_id, reference_tracking_id, sender, message)
SELECT int4send(n), CASE WHEN n % 3 = 0 THEN 'c-' || n % 200 END, md5(n::text), '+3069' || n, 'Hi'
FROM generate_series(1, {replies}) n
"""
VIEWS = (
    "SELECT * FROM bi_v1.campaigns",
    "SELECT * FROM bi_v1.delivery_daily",
    "SELECT * FROM bi_v1.delivery_hourly WHERE campaign_tracking_id = 'c-7'",
    "SELECT * FROM bi_v1.failure_reasons",
    "SELECT * FROM bi_v1.failure_reasons_daily",
    "SELECT * FROM bi_v1.delivery_daily WHERE campaign_name = 'name 7' AND campaign_label IS NULL",
    "SELECT campaign_label, sum(price), max(last_event_at) FROM bi_v1.campaigns GROUP BY 1",
)
#: What docs/analysts.md says uses an index: of 60,000 messages a campaign has 300, and 45 replies.
OF_ONE_CAMPAIGN = (
    "SELECT * FROM bi_v1.messages WHERE campaign_tracking_id = 'c-7'",
    "SELECT * FROM bi_v1.inbound_messages WHERE campaign_tracking_id = 'c-7'",
    "SELECT * FROM bi_v1.inbound_messages WHERE campaign_id = (SELECT campaign_id FROM named)",
    """
        SELECT * FROM named AS c JOIN bi_v1.messages AS m
        ON m.campaign_tracking_id = c.campaign_tracking_id
    """,
    """
        SELECT * FROM bi_v1.messages WHERE campaign_tracking_id IN (
            SELECT campaign_tracking_id FROM bi_v1.campaigns WHERE campaign_name = 'name 7'
        )
    """,
    "SELECT * FROM bi_v1.recipients_awaited WHERE campaign_name = 'name 7'",
    "SELECT * FROM bi_v1.message_events WHERE message_tracking_id = md5('7')",
    "SELECT * FROM bi_v1.inbound_messages WHERE message_tracking_id = md5('7')",
)
NAMED = (
    "CREATE TEMP VIEW named AS SELECT campaign_id, campaign_tracking_id FROM bi_v1.campaigns"
    " WHERE campaign_name = 'name 7'"
)
#: Rows of events read one after the other, found by an index, and messages as the first.
READ_SO_FAR = """
SELECT
    sum(seq_tup_read) FILTER (WHERE relname LIKE 'events%'),
    sum(idx_tup_fetch) FILTER (WHERE relname LIKE 'events%'),
    sum(seq_tup_read) FILTER (WHERE relname = 'messages')
FROM pg_stat_xact_user_tables
"""


async def _filled(url: str) -> None:
    connection = await connect(url)
    for statement in FILL.format(messages=MESSAGES, replies=REPLIES).split(";\n"):
        await connection.execute(statement)
    database = Database(url, name="tests")
    while await roll_up_events(database):
        pass
    await connection.execute("ANALYZE")
    await database.close()
    await connection.close()


@pytest.fixture(scope="module")
def many(server_url: str) -> Iterator[str]:
    """A database with more than 200,000 events, rolled up."""
    with fresh_database(server_url) as url:
        asyncio.run(_filled(url))
        yield url


@pytest.fixture
async def asking(many: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction that is taken back."""
    connection = await connect(many)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _read(node: dict[str, Any]) -> int:
    return int(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))


@pytest.mark.slow
@pytest.mark.parametrize("query", VIEWS)
async def test_a_view_reads_the_roll_ups_and_no_events(
    asking: asyncpg.Connection, query: str
) -> None:
    assert await asking.fetchval("SELECT pending_events FROM bi_v1.freshness") == 0
    answer = await asking.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
    nodes = list(_nodes(json.loads(answer)[0]["Plan"]))
    tables = {node.get("Relation Name", "") for node in nodes}
    assert not any(table == "events" or table.startswith("events_") for table in tables)
    assert any(table.startswith(("bi_", "campaign_counts")) for table in tables)
    of_messages = [_read(node) for node in nodes if node.get("Relation Name") == "messages"]
    assert sum(of_messages) < 1000 + REPLIES  # and what is answered, one by one


@pytest.mark.slow
@pytest.mark.parametrize("query", OF_ONE_CAMPAIGN)
async def test_a_question_about_one_campaign_or_message_reads_little_else(
    asking: asyncpg.Connection, query: str
) -> None:
    await asking.execute(NAMED)
    await asking.execute("SET LOCAL random_page_cost = 1.1")  # so small a table is soon read whole
    assert await asking.fetch(query)
    answer = await asking.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
    nodes = list(_nodes(json.loads(answer)[0]["Plan"]))
    read: dict[str, int] = {}
    for node in nodes:
        table = node.get("Relation Name", "").partition("_20")[0]
        read[table] = read.get(table, 0) + _read(node)
    assert read.get("messages", 0) + read.get("events", 0) < 2000
    assert read.get("inbound_messages", 0) <= REPLIES + 500  # few enough to be read at most once


@pytest.mark.slow
@pytest.mark.parametrize("query", VIEWS)
async def test_pending_events_are_found_by_their_position(
    asking: asyncpg.Connection, query: str
) -> None:
    await store(asking, *(event(f"new {number}", campaign="c-7") for number in range(20)))
    (before,) = await asking.fetch(READ_SO_FAR)
    await asking.fetch(query)
    (after,) = await asking.fetch(READ_SO_FAR)
    scanned, found, messages_scanned = map(sub, after.values(), before.values())
    assert (scanned, messages_scanned) == (0, 0)
    assert 20 <= found <= 100


@pytest.mark.slow
async def test_a_run_of_the_duty_without_pending_events_reads_no_row(
    asking: asyncpg.Connection,
) -> None:
    (before,) = await asking.fetch(READ_SO_FAR)
    for _ in range(10):  # whatever was planned first
        assert await asking.fetchval("SELECT bi_is_pending()") is False
    (after,) = await asking.fetch(READ_SO_FAR)
    assert list(map(sub, after.values(), before.values())) == [0, 0, 0]


@pytest.mark.slow
async def test_rolling_up_looks_up_each_message_by_a_plan_that_was_made_when_none_was_counted(
    connection: asyncpg.Connection,
) -> None:
    for statement in FILL.format(messages=30_000, replies=1).split(";\n"):
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute(f"PREPARE roll_up AS {roll_up(MAX_EVENTS)}")
    for _ in range(6):
        async with connection.transaction():
            await connection.execute(_LOCK.replace(":lock", "1"))
            plan = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE roll_up")
        assert max(map(_read, _nodes(json.loads(plan)[0]["Plan"]))) < 3 * MAX_EVENTS


@pytest.mark.slow
async def test_rolling_up_reads_little_by_a_plan_that_was_made_when_all_was_empty(
    connection: asyncpg.Connection,
) -> None:
    await connection.execute(f"PREPARE roll_up AS {roll_up(MAX_EVENTS)}")
    async with connection.transaction():
        await connection.execute(_LOCK.replace(":lock", "1"))
        await connection.execute("EXECUTE roll_up")
    for statement in FILL.format(messages=30_000, replies=1).split(";\n"):
        await connection.execute(statement)
    for _ in range(3):
        async with connection.transaction():
            await connection.execute(_LOCK.replace(":lock", "1"))
            plan = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE roll_up")
        assert max(map(_read, _nodes(json.loads(plan)[0]["Plan"]))) < 3 * MAX_EVENTS
