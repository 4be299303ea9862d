"""What the queries of the API ask stays cheap when the tables have grown."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.db import inbound_messages, messages
from app.db.campaign_progress import newest_progress_of_each, page_of_progress
from app.db.campaigns import CampaignFilter, counts_of, find_campaign, page_of_campaigns
from app.db.database import READ_SETTINGS, Database
from app.db.inbound_messages import (
    InboundFilter,
    find_inbound_message,
    page_of_inbound_messages,
    page_of_received_messages,
)
from app.db.messages import (
    CampaignKey,
    MessageFilter,
    awaited_of,
    find_message,
    history_of,
    messages_of,
    page_of_messages,
    page_of_updated_messages,
)
from app.domain.campaign import Submission
from app.domain.status import Status
from tests.conftest import fresh_database
from tests.database import connect
from tests.db.plans import Asked, blocks_of, nodes

MESSAGES = 200_000
#: The last campaign has every second message; the others share the rest.
_LARGE = "c-large"
_FILL = f"""
INSERT INTO campaigns (tracking_id, submission, name, label, created_at)
SELECT 'c-' || n, 'launched', 'name ' || n, 'label ' || n % 7, now() - n * interval '1 hour'
FROM generate_series(1, 500) n UNION ALL SELECT '{_LARGE}', 'launched', 'large', 'x', now();

INSERT INTO messages
    (message_tracking_id, campaign_tracking_id, recipient, label, status, status_key,
     provider_status, status_rank, status_at, updated_at, first_occurred_at, last_occurred_at)
SELECT md5(n::text), CASE WHEN n % 2 = 0 THEN '{_LARGE}' ELSE 'c-' || n % 500 END,
    '+3069' || n % 50000, 'label ' || n % 7,
    CASE WHEN n % 5000 = 0 THEN 'FAILED' ELSE 'SEEN' END, 'SEEN', 'SEEN', 5, now(),
    now() - (2 * {MESSAGES} - 2 * n) * interval '1 second', '2026-03-01Z', '2026-04-01Z'
FROM generate_series(1, {MESSAGES}) n;

INSERT INTO messages
    (message_tracking_id, campaign_id, recipient, status, status_key, provider_status,
     status_rank, status_at, updated_at)
SELECT 'unbound ' || n, '00000000-0000-7000-8000-000000000001', '+3068' || n, 'SENT', 'SENT',
    'SENT', 2, now(), now() - interval '1 year' -- they lie in the gaps of all pages
FROM generate_series(1, 1000) n;

INSERT INTO events
    (message_tracking_id, status_key, occurred_at, source, provider_status)
SELECT md5(n::text), 'SEEN', '2026-03-01Z', 0, 'SEEN' FROM generate_series(1, 20000) n;

INSERT INTO inbound_messages
    (identity, sender, campaign_tracking_id, reference_tracking_id, message, received_at)
SELECT n::text::bytea, '+3069' || n % 5000,
    CASE WHEN n % 20 <> 0 THEN 'c-' || n % 500 END, md5(n::text), 'text',
    now() - (100000 - n) * interval '1 minute'
FROM generate_series(1, 100000) n;

INSERT INTO campaign_progress (ordered_at, identity, campaign_tracking_id, status, payload)
SELECT now() - n * interval '1 minute', n::text::bytea,
    CASE WHEN n % 2 = 0 THEN '{_LARGE}' ELSE 'c-' || n % 500 END, 'Running',
    convert_to(repeat('x', 400), 'UTF8')
FROM generate_series(1, 100000) n;

INSERT INTO campaign_counts
SELECT 'c-' || n, s, 1 FROM generate_series(1, 5000) n, unnest(array['SENT', 'SEEN']) s;
INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
SELECT 'c-' || n % 500, 'SEEN', 1 FROM generate_series(1, 20000) n;
"""  # noqa: S608 (made of constants)

_FILLED = (
    "campaigns",
    "messages",
    "inbound_messages",
    "campaign_progress",
    "campaign_counts",
    "campaign_count_deltas",
)
Query = Callable[[Database], Awaitable[object]]
_NOW = datetime.now(UTC)
_UNBOUND = CampaignKey(None, "00000000-0000-7000-8000-000000000001")  # type: ignore[arg-type]
_IDS = [hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest() for n in range(1, 1001)]
_NUMBERS = [f"+3069{number}" for number in range(1000)]


def _messages(after: str | None = None, **wanted: Any) -> Query:  # noqa: ANN401
    return lambda database: page_of_messages(
        database, MessageFilter(**wanted), after=after, limit=100
    )


def _replies(after: int | None = None, **wanted: Any) -> Query:  # noqa: ANN401
    return lambda database: page_of_inbound_messages(
        database, InboundFilter(**wanted), after=after, limit=100
    )


def _received(**wanted: Any) -> Query:  # noqa: ANN401
    return lambda database: page_of_received_messages(
        database, InboundFilter(**wanted), after=None, limit=100
    )


def _campaigns(**wanted: Any) -> Query:  # noqa: ANN401
    return lambda database: page_of_campaigns(
        database, CampaignFilter(**wanted), before=None, limit=100
    )


async def _history(database: Database) -> None:
    message = await find_message(database, "c4ca4238a0b923820dcc509a6f75849b")
    assert message is not None
    assert await history_of(database, message)


#: Each with how many blocks it may touch: far fewer than the table has.
QUERIES: dict[str, tuple[Query, int]] = {
    "one message": (lambda database: find_message(database, "x"), 20),
    "a thousand messages": (
        lambda database: messages_of(database, _IDS),
        4_000,
    ),
    "a history": (_history, 200),
    "all": (_messages(), 300),
    # Ten thousand rows in the order of their random ids: each on a page of its own.
    "status": (_messages(statuses=(Status.FAILED,)), 25_000),
    "to": (_messages(recipient="+306977"), 200),
    "to, status": (_messages(recipient="+306977", statuses=(Status.FAILED,)), 200),
    "to, campaign": (_messages(recipient="+306977", campaign=CampaignKey(_LARGE)), 200),
    "to, label, updated": (
        _messages(recipient="+306977", label="label 1", updated_after=_NOW),
        200,
    ),
    "label": (_messages(label="label 3"), 300),
    "label, on": (_messages("7f", label="label 3"), 300),
    "label, status": (_messages("7f", label="label 3", statuses=(Status.FAILED,)), 25_000),
    "label, updated": (_messages(label="label 3", updated_after=_NOW), 25_000),
    "label, reason, country, time": (
        _messages(label="label 3", detailed_status="Opted Out", country="GR", received_before=_NOW),
        25_000,
    ),
    "campaign": (_messages(campaign=CampaignKey(_LARGE)), 300),
    "campaign, on": (_messages("7f", campaign=CampaignKey(_LARGE)), 300),
    "campaign, status": (
        _messages(campaign=CampaignKey(_LARGE), statuses=(Status.FAILED,)),
        25_000,
    ),
    "campaign, label": (_messages(campaign=CampaignKey("c-7"), label="label 3"), 2_500),
    "campaign without trackingId": (_messages(campaign=_UNBOUND), 400),
    "awaited of a large campaign": (
        lambda database: awaited_of(database, CampaignKey(_LARGE), _NUMBERS, after=0, limit=100),
        15_000,
    ),
    "awaited of a small campaign": (
        lambda database: awaited_of(database, CampaignKey("c-7"), _NUMBERS, after=0, limit=100),
        15_000,
    ),
    "updated": (
        lambda database: page_of_updated_messages(
            database, _NOW - timedelta(minutes=5), (), after=None, limit=100
        ),
        400,
    ),
    "updated, status, on": (
        lambda database: page_of_updated_messages(
            database,
            _NOW - timedelta(hours=1),
            (Status.SEEN,),
            after=(_NOW - timedelta(minutes=5), "x"),
            limit=100,
        ),
        400,
    ),
    "one reply": (lambda database: find_inbound_message(database, 1), 20),
    "replies": (_received(), 800),
    "replies, since": (_received(received_since=_NOW - timedelta(hours=1)), 800),
    "replies, before": (_received(received_before=_NOW - timedelta(days=30)), 800),
    "replies of a campaign": (_replies(campaign_tracking_id="c-7"), 45_000),
    "replies of a campaign, since": (
        _replies(campaign_tracking_id="c-7", received_since=_NOW - timedelta(days=3)),
        45_000,
    ),
    "replies to a message": (_replies(reference_tracking_id="x"), 200),
    "replies of a sender": (_replies(sender="+306977"), 200),
    "replies of a sender in a campaign": (
        _replies(sender="+306977", campaign_tracking_id="c-7"),
        400,
    ),
    "one campaign": (lambda database: find_campaign(database, _LARGE), 20),
    "counts": (lambda database: counts_of(database, "c-7"), 200),
    "the progress of a thousand campaigns": (
        lambda database: newest_progress_of_each(
            database, [_LARGE, *(f"c-{number}" for number in range(1000))]
        ),
        8_000,
    ),
    "the history of a campaign": (
        lambda database: page_of_progress(
            database, _LARGE, after=(_NOW - timedelta(days=30), 1), limit=100, with_payload=True
        ),
        300,
    ),
    "campaigns": (_campaigns(), 300),
    "campaigns, filtered": (
        _campaigns(label="label 3", submissions=(Submission.LAUNCHED,), created_since=_NOW),
        300,
    ),
    "campaigns, created": (_campaigns(created_before=_NOW - timedelta(days=10)), 800),
}


async def _plans(
    connection: asyncpg.Connection, database: Database, query: Query
) -> list[dict[str, Any]]:
    """What the server does for each statement of *query*."""
    asked = Asked(database)
    await query(database)
    return await asked.explained(connection)


async def _fill(url: str, *, has_statistics: bool) -> None:
    connection = await connect(url)
    for table in _FILLED:
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await connection.execute("SET synchronous_commit = off")
    await connection.execute(_FILL)
    await connection.execute("SELECT brin_summarize_new_values('messages_updated_idx')")
    if has_statistics:
        await connection.execute("VACUUM ANALYZE")
    await connection.close()


@pytest.fixture(scope="module")
def grown(server_url: str) -> Iterator[str]:
    """A database with very many messages."""
    with fresh_database(server_url) as url:
        asyncio.run(_fill(url, has_statistics=True))
        yield url


@pytest.fixture(scope="module")
def unanalyzed(server_url: str) -> Iterator[str]:
    """The same before PostgreSQL has statistics of it."""
    with fresh_database(server_url) as url:
        asyncio.run(_fill(url, has_statistics=False))
        yield url


@asynccontextmanager
async def _explaining(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the settings of the reads."""
    connection = await connect(url, server_settings={**READ_SETTINGS, "jit": "off"})
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _reads(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests", pool_items=1, session_settings=READ_SETTINGS)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def explaining(grown: str) -> AsyncIterator[asyncpg.Connection]:
    async with _explaining(grown) as connection:
        yield connection


@pytest.fixture
async def database(grown: str) -> AsyncIterator[Database]:
    async with _reads(grown) as database:
        yield database


async def _assert_scans_no_table(
    explaining: asyncpg.Connection, database: Database, what: str, *, factor: int = 1
) -> None:
    query, most_blocks = QUERIES[what]
    plans = await _plans(explaining, database, query)
    assert plans
    for plan in plans:
        scans = [node for node in nodes(plan) if "Seq Scan" in node["Node Type"]]
        # The five hundred campaigns are a small table: scanning it takes ten blocks.
        assert {scan["Relation Name"] for scan in scans} <= {"campaigns"}, json.dumps(
            plan, indent=1
        )
    blocks = sum(map(blocks_of, plans))
    assert blocks <= factor * most_blocks, json.dumps(plans, indent=1)


@pytest.mark.parametrize("what", QUERIES)
async def test_no_query_scans_a_table(
    explaining: asyncpg.Connection, database: Database, what: str
) -> None:
    await _assert_scans_no_table(explaining, database, what)


@pytest.mark.slow
@pytest.mark.parametrize("what", QUERIES)
async def test_no_query_scans_a_table_without_statistics(unanalyzed: str, what: str) -> None:
    """Of two indexes the planner may then take the worse one, but never the table."""
    async with _explaining(unanalyzed) as connection, _reads(unanalyzed) as database:
        await _assert_scans_no_table(connection, database, what, factor=20)


async def test_each_read_is_planned_for_the_tables_as_they_are(database: Database) -> None:
    """A plan that was made for a small table is not kept until the table has grown."""
    async with database.driver() as connection:
        changed = await connection.fetch(
            "SELECT name, setting FROM pg_settings WHERE source = 'client'"
            " AND (name LIKE 'enable\\_%' OR name = 'plan_cache_mode')"
        )
    assert [tuple(row) for row in changed] == [("plan_cache_mode", "force_custom_plan")]


async def test_a_lookup_is_one_query_for_256_messages(database: Database) -> None:
    for items, queries in ((1, 1), (256, 1), (257, 2), (1000, 4)):
        asked = Asked(database)
        assert len(await messages_of(database, _IDS[:items])) == items
        assert len(asked.statements) == queries


async def test_a_page_looks_at_so_many_and_goes_on_behind_them(database: Database) -> None:
    wanted = MessageFilter(campaign=CampaignKey(_LARGE), statuses=(Status.FAILED,))
    found: list[str] = []
    after: str | None = None
    pages = 0
    while pages == 0 or after is not None:
        page = await page_of_messages(database, wanted, after=after, limit=3)
        found += [row.message_tracking_id for row in page.rows]
        after, pages = page.end, pages + 1
    assert len(found) == len(set(found)) == MESSAGES // 5000
    assert found == sorted(found)
    assert pages >= MESSAGES / 2 / messages.MAX_SCANNED_ITEMS


async def test_replies_of_a_campaign_are_found_by_name_and_by_what_they_answer(
    database: Database, explaining: asyncpg.Connection
) -> None:
    wanted = InboundFilter(campaign_tracking_id=_LARGE)
    found: list[int] = []
    after: int | None = None
    while not found or after is not None:
        page = await page_of_inbound_messages(database, wanted, after=after, limit=1000)
        found += [reply.row.id for reply in page.replies]
        after = page.end
    expected = await explaining.fetch(
        "SELECT i.id FROM inbound_messages i JOIN messages m"
        " ON m.message_tracking_id = i.reference_tracking_id"
        " WHERE coalesce(i.campaign_tracking_id, m.campaign_tracking_id) = $1 ORDER BY i.id",
        _LARGE,
    )
    assert found == [row["id"] for row in expected]
    assert len(found) == 100_000 // 20
    assert len(found) < inbound_messages.MAX_SCANNED_ITEMS


async def test_updates_of_messages_touch_no_index(grown: str) -> None:
    """Heap-only, but for those whose page has no room."""
    connection = await connect(grown)
    async with connection.transaction():
        await connection.execute(
            "UPDATE messages SET status = 'SEEN', status_rank = 5, updated_at = now()"
            " WHERE message_tracking_id IN"
            " (SELECT md5(n::text) FROM generate_series(1, 20000, 10) n)"
        )
        row = await connection.fetchrow(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables"
            " WHERE relname = 'messages'"
        )
    await connection.close()
    assert row is not None
    assert row["n_tup_upd"] == 2000
    assert row["n_tup_hot_upd"] > 1900


_CAMPAIGN_OF = """
INSERT INTO campaigns (tracking_id, submission) VALUES ('{id}', 'launched');
INSERT INTO messages (message_tracking_id, campaign_tracking_id, recipient, status, status_key,
    provider_status, status_rank, status_at)
SELECT '{id}-' || n, '{id}', '+30' || n, 'SEEN', 'SEEN', 'SEEN', 5, now()
FROM generate_series(1, {recipients}) n;
INSERT INTO campaign_counts SELECT '{id}', s, {recipients} / 9 FROM unnest(array['SENT', 'SEEN']) s
"""


@pytest.mark.slow
async def test_a_million_recipients_cost_as_many_blocks_as_a_thousand(url: str) -> None:
    connection = await connect(url, server_settings={**READ_SETTINGS, "jit": "off"})
    for name, recipients in (("thousand", 1_000), ("million", 1_000_000)):
        await connection.execute(_CAMPAIGN_OF.format(id=name, recipients=recipients))
    await connection.execute("VACUUM ANALYZE")
    database = Database(url, name="tests", pool_items=1, session_settings=READ_SETTINGS)
    blocks = {}
    for name in ("thousand", "million"):
        queries: list[Query] = [
            lambda it, name=name: find_campaign(it, name),  # type: ignore[misc]
            lambda it, name=name: counts_of(it, name),  # type: ignore[misc]
        ]
        plans = [plan for query in queries for plan in await _plans(connection, database, query)]
        blocks[name] = [blocks_of(plan) for plan in plans]
        page = await _plans(connection, database, _messages(campaign=CampaignKey(name)))
        assert sum(map(blocks_of, page)) < 300
    assert blocks["million"] == blocks["thousand"]
    await database.close()
    await connection.close()
