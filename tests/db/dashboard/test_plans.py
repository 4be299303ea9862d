"""No page of the dashboard reads a table whole, however large that has become."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.db.dashboard.activity import ActivityFilter, Walk, page_of_activity
from app.db.dashboard.campaigns import (
    CampaignSearch,
    newest_unconfirmed,
    newest_unfinished,
    page_of_listed_campaigns,
)
from app.db.dashboard.figures import figures_of
from app.db.dashboard.names import names_of_campaigns
from app.db.dashboard.quarantine import find_first_octets
from app.db.dashboard.received import received_of_late
from app.db.dashboard.replies import replies_to
from app.db.dashboard.reply_pages import (
    ReplyPosition,
    ReplyTimes,
    page_of_newest_replies,
    page_of_newest_replies_to,
)
from app.db.dashboard.search import has_label
from app.db.dashboard.standing import (
    count_pending,
    count_unconfirmed,
    count_unstored,
    standing_since,
)
from app.db.database import READ_SETTINGS, Database
from app.db.quarantine import QuarantineFilter, page_of_quarantine
from app.domain.feed import Position
from app.domain.quarantine import Reason
from app.domain.status import Status
from tests.conftest import fresh_database
from tests.database import connect
from tests.db.plans import Asked, blocks_of, most_rows, nodes

MESSAGES = 120_000
_PENDING = 2_000
_FILL = f"""
INSERT INTO campaigns (id, tracking_id, submission, name, label, created_at, finished_at, request)
SELECT uuidv7(-n * interval '1 hour'), 'c-' || n,
    CASE WHEN n % 100 = 0 THEN 'unconfirmed' ELSE 'launched' END, 'name ' || n, 'label ' || n % 7,
    now() - n * interval '1 hour', CASE WHEN n > 10 THEN now() END,
    convert_to(repeat('to', 1000), 'UTF8')
FROM generate_series(1, 3000) n;

INSERT INTO events
    (feed_epoch, xid, id, message_tracking_id, status_key, provider_status, occurred_at,
     received_at, source, campaign_tracking_id, country, payload)
SELECT 1, (3 + n / 10)::text::xid8, 2 * n + rank, md5(n::text), status, status, at, at, 0,
    'c-' || n % 50, (array['GR', 'DE'])[n % 2 + 1], convert_to(repeat('x', 80), 'UTF8')
FROM generate_series(1, {MESSAGES}) n, LATERAL (
    SELECT rank, (array['QUEUED', 'SEEN'])[rank + 1] AS status,
        now() - ({MESSAGES} - n + rank) * interval '7 s' AS at
    FROM generate_series(0, 1) rank
) AS reported;

INSERT INTO messages
    (message_tracking_id, campaign_tracking_id, recipient, label, country, status, status_key,
     provider_status, status_rank, status_at, first_occurred_at, last_occurred_at, detailed_status)
SELECT md5(n::text), 'c-' || n % 50, '+3069' || n % 50000, 'label ' || n % 7,
    (array['GR', 'DE'])[n % 2 + 1], CASE WHEN n % 5000 = 0 THEN 'FAILED' ELSE 'SEEN' END, 'SEEN',
    'SEEN', 5, at, at, at + interval '7 s', CASE WHEN n % 5000 = 0 THEN 'Opted Out' END
FROM generate_series(1, {MESSAGES}) n, LATERAL (
    SELECT now() - ({MESSAGES} - n) * interval '7 s' AS at
) AS times;

INSERT INTO bi_counted_messages (message_tracking_id, campaign_key, day, status, deliver_bucket)
SELECT message_tracking_id, campaign_tracking_id, current_date, status, 50 FROM messages;
UPDATE bi_rollup_state
SET feed_epoch = 1, xid = (3 + ({MESSAGES} - {_PENDING}) / 10)::text::xid8, id = 0;
INSERT INTO bi_rollup_hourly
SELECT date_bin('1 hour', now(), 'epoch') - hour * interval '1 hour', gen_random_uuid(), campaign,
    country, 'Shop', NULL, status, 5
FROM generate_series(1, 2000) hour, unnest(array['QUEUED', 'SEEN']) status, LATERAL (
    SELECT 'c-' || (hour + n) % 50, (array['GR', 'DE'])[n % 2 + 1] FROM generate_series(1, 4) n
    UNION ALL SELECT 'c-long', 'GR'
) AS counted (campaign, country)
ORDER BY hour DESC;
INSERT INTO bi_failure_reasons
SELECT gen_random_uuid(), 'c-' || n % 3000, current_date, 'FAILED', 'reason ' || n % 9, NULL, 1
FROM generate_series(1, 30000) n;
INSERT INTO bi_durations
SELECT 'c-' || n, measure, bucket, 5
FROM generate_series(1, 500) n, generate_series(1, 2) measure, generate_series(1, 90) bucket;
INSERT INTO bi_spends SELECT 'c-' || n, 5, 3 FROM generate_series(1, 3000) n;

INSERT INTO campaign_counts
SELECT 'c-' || n, s, 1 FROM generate_series(1, 3000) n, unnest(array['SENT', 'SEEN']) s;
INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
SELECT 'c-' || n % 500, 'SEEN', 1 FROM generate_series(1, 20000) n;

INSERT INTO inbound_messages
    (identity, sender, campaign_tracking_id, reference_tracking_id, message, received_at)
SELECT int4send(n), '+3069' || n % 5000, CASE WHEN n % 3 <> 0 THEN 'c-' || n % 50 END,
    md5(n::text), 'text', now() - (50000 - n) * interval '1 minute'
FROM generate_series(1, 50000) n;

INSERT INTO quarantine (sha256, reason, path, body, replay_outcome)
SELECT int4send(n), 'not-json', '/', convert_to(repeat('x', 300), 'UTF8'), 'stored'
FROM generate_series(1, 40000) n;

INSERT INTO received_lately
SELECT date_bin('5 minutes', now(), 'epoch') - step * interval '5 minutes', 'answer', 'a' || n, 7
FROM generate_series(1, 2300) step, generate_series(1, 40) n;
"""  # noqa: S608 (made of constants)

#: Of these, no row is read that is not looked up or within a limit.
_LARGE = (
    *("events", "messages", "inbound_messages", "bi_counted_messages", "campaign_count_deltas"),
    *("quarantine", "received_lately", "campaigns", "campaign_counts"),
)
Query = Callable[[Database], Awaitable[object]]
_NOW = datetime.now(UTC)
_MIDDLE = Position(1, MESSAGES // 20, 0)


def _active(walk: Walk | None = None, wanted: ActivityFilter | None = None) -> Query:
    return lambda database: page_of_activity(
        database, wanted or ActivityFilter(), walk=walk, limit=50
    )


def _campaigns(wanted: CampaignSearch) -> Query:
    return lambda database: page_of_listed_campaigns(database, wanted, before=None, limit=50)


def _quarantined(wanted: QuarantineFilter, after: int | None = None) -> Query:
    return lambda database: page_of_quarantine(
        database, wanted, after=after, limit=50, is_newest_first=True
    )


#: Each with how many blocks it may touch at most, and how many rows one of its nodes may read.
QUERIES: dict[str, tuple[Query, int, int]] = {
    "received in an hour": (lambda it: received_of_late(it, timedelta(hours=1)), 600, 600),
    "received in a day": (lambda it: received_of_late(it, timedelta(days=1)), 1_000, 13_000),
    "standing": (lambda it: standing_since(it, _NOW - timedelta(days=7)), 15_000, 25_000),
    "unstored": (count_unstored, 3_000, 10_001),
    "unconfirmed": (count_unconfirmed, 200, 1_001),
    "pending": (count_pending, 500, 10_001),
    "newest unfinished": (lambda it: newest_unfinished(it, 10), 200, 100),
    "newest unconfirmed": (lambda it: newest_unconfirmed(it, 10), 200, 100),
    "campaigns": (_campaigns(CampaignSearch()), 600, 100),
    "campaigns by text": (_campaigns(CampaignSearch(text="ME 17")), 15_000, 10_001),
    "campaigns by label": (_campaigns(CampaignSearch(label="nothing")), 15_000, 10_001),
    "campaigns by time": (
        _campaigns(CampaignSearch(created_since=_NOW - timedelta(days=1))),
        1_000,
        100,
    ),
    # Pending are two events of each of the messages; each is looked up and counted as it was.
    "figures": (lambda it: figures_of(it, ["c-7", "ours:x"]), 60_000, 3 * 2 * _PENDING),
    # A fifth of all hours is this campaign's: the others are not read through for it.
    "figures of long": (lambda it: figures_of(it, ["c-long", "ours:x"]), 60_000, 3 * 2 * _PENDING),
    "replies": (lambda it: replies_to(it, "c-7", limit=10), 50_000, 10_001),
    "newest replies": (
        lambda it: page_of_newest_replies(it, ReplyTimes(), before=None, limit=50),
        2_000,
        100,
    ),
    "older replies of a time": (
        lambda it: page_of_newest_replies(
            it,
            ReplyTimes(_NOW - timedelta(days=9), _NOW - timedelta(days=2)),
            before=ReplyPosition(_NOW - timedelta(days=5), 10**9),
            limit=50,
        ),
        2_000,
        100,
    ),
    "replies to a campaign": (
        lambda it: page_of_newest_replies_to(it, "c-7", ReplyTimes(), above=None, limit=50),
        60_000,
        10_001,
    ),
    "quarantine": (_quarantined(QuarantineFilter()), 200, 100),
    "quarantine, on": (_quarantined(QuarantineFilter(), 20_000), 200, 100),
    "quarantine, rare": (_quarantined(QuarantineFilter((Reason.EXPIRED,))), 3_000, 10_001),
    "quarantine, unstored": (
        _quarantined(QuarantineFilter(is_unstored=True), 20_000),
        3_000,
        10_001,
    ),
    "first bytes": (lambda it: find_first_octets(it, 7, limit=65_536), 20, 10),
    "names": (lambda it: names_of_campaigns(it, [f"c-{n}" for n in range(50)]), 1_000, 100),
    "label": (lambda it: has_label(it, "label 3"), 20, 10),
    "no label": (lambda it: has_label(it, "x"), 20, 10),
    "active": (_active(), 5_000, 600),
    "active, on": (_active(Walk(Position(1, MESSAGES, 0), _MIDDLE)), 5_000, 600),
    "active, rare": (_active(wanted=ActivityFilter((Status.FAILED,))), 50_000, 10_001),
    "active, rare reason": (
        _active(wanted=ActivityFilter(detailed_status="Opted Out", country="GR")),
        50_000,
        10_001,
    ),
    "active, none": (_active(wanted=ActivityFilter(country="FR")), 50_000, 10_001),
    "active, time": (
        _active(
            wanted=ActivityFilter(
                received_since=_NOW - timedelta(days=5), received_before=_NOW - timedelta(days=4)
            )
        ),
        20_000,
        10_001,
    ),
}


async def _fill(url: str, *, has_statistics: bool) -> None:
    connection = await connect(url)
    for table in _LARGE:
        for [partition] in await connection.fetch(
            "SELECT relid::regclass::text FROM pg_partition_tree($1::text::regclass) WHERE isleaf",
            table,
        ):
            await connection.execute(f"ALTER TABLE {partition} SET (autovacuum_enabled = off)")
    await connection.execute("SET synchronous_commit = off")
    await connection.execute(_FILL)
    if has_statistics:
        await connection.execute("VACUUM ANALYZE")
    await connection.close()


@pytest.fixture(scope="module")
def grown(server_url: str) -> Iterator[str]:
    """A database with very many events."""
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
async def _explaining(url: str) -> AsyncIterator[tuple[Database, asyncpg.Connection]]:
    database = Database(url, name="tests", pool_items=1, session_settings=READ_SETTINGS)
    connection = await connect(url, server_settings=READ_SETTINGS)
    try:
        yield database, connection
    finally:
        await connection.close()
        await database.close()


async def _assert_reads_little(url: str, what: str, *, factor: int = 1) -> None:
    query, most_blocks, rows = QUERIES[what]
    async with _explaining(url) as (database, connection):
        asked = Asked(database)
        await query(database)
        plans = await asked.explained(connection)
    assert plans
    for plan in plans:
        scanned = {node["Relation Name"] for node in nodes(plan) if "Seq Scan" in node["Node Type"]}
        assert not {it for it in scanned if it.startswith(_LARGE)}, json.dumps(plan, indent=1)
        assert most_rows(plan) <= rows, json.dumps(plan, indent=1)
    assert sum(map(blocks_of, plans)) <= factor * most_blocks, json.dumps(plans, indent=1)


@pytest.mark.parametrize("what", QUERIES)
async def test_no_query_of_the_dashboard_scans_a_table(grown: str, what: str) -> None:
    await _assert_reads_little(grown, what)


@pytest.mark.slow
@pytest.mark.parametrize("what", QUERIES)
async def test_no_query_of_the_dashboard_scans_a_table_without_statistics(
    unanalyzed: str, what: str
) -> None:
    # Without a VACUUM each row that an index has is looked up in its table as well.
    await _assert_reads_little(unanalyzed, what, factor=10)
