"""With many events the views read the roll-ups, and of the events what is not folded alone."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from operator import sub

import asyncpg
import pytest

from app.db.bi import folding
from app.db.bi.fold_statement import FOLD
from app.db.bi.folding import fold_events
from app.db.database import Database
from app.db.forms import Forms
from app.db.ingest import append_events
from tests.conftest import fresh_database
from tests.db.bi.plans import nodes_of, read_by_table, rows_read
from tests.db.feed_stage import event

MESSAGES = 60_000
REPLIES = 9_000
#: Half of the messages belong to one campaign; every tenth failed instead of being delivered. Three
#: of four events are packed.
FILL = """
INSERT INTO campaigns (tracking_id, submission, name)
SELECT 'c-' || n, 'launched', 'name ' || n FROM generate_series(0, 200) n;

CREATE TEMPORARY TABLE told AS
SELECT
    n, uuid_send(md5(n::text)::uuid) AS message_key, status, rank,
    CASE rank WHEN 1 THEN 1 WHEN 2 THEN 2
        WHEN 3 THEN CASE WHEN n % 10 = 0 THEN 3 ELSE 4 END ELSE 5 END AS status_rank,
    '2026-03-01Z'::timestamptz + n % 5000 * interval '10 minutes' + rank * rank * interval '7 s'
        AS occurred_at,
    'c-' || CASE WHEN n % 2 = 0 THEN 0 ELSE n % 200 END AS campaign,
    (array['GR', 'DE', 'CY'])[n % 3 + 1] AS country, '+3069' || n AS recipient,
    CASE WHEN status = 'FAILED' THEN 'Reason ' || n % 7 END AS reason
FROM generate_series(1, {messages}) n, LATERAL (
    SELECT rank, CASE WHEN rank = 3 AND n % 10 = 0 THEN 'FAILED'
        ELSE (array['QUEUED', 'SENT', 'DELIVERED', 'SEEN'])[rank] END AS status
    FROM generate_series(1, CASE WHEN n % 10 = 0 THEN 3 ELSE 4 END) rank
) AS of_message;

INSERT INTO event_forms
    (id, month, provider_status, campaign_tracking_id, country, sender, detailed_status)
SELECT DISTINCT
    hashtextextended(concat_ws(' ', status, campaign, country, reason), 0), '2026-03-01'::date,
    status, campaign, country, 'Shop', reason
FROM told;

INSERT INTO packed_events
    (message_key, status_key, status_rank, occurred_at, source, recipient, form_id,
     provider_status, campaign_tracking_id, country, sender, detailed_status)
SELECT
    message_key, status, status_rank, occurred_at, 0, recipient,
    CASE WHEN n % 4 > 0 THEN hashtextextended(concat_ws(' ', status, campaign, country, reason), 0)
    END,
    CASE WHEN n % 4 = 0 THEN status END, CASE WHEN n % 4 = 0 THEN campaign END,
    CASE WHEN n % 4 = 0 THEN country END, CASE WHEN n % 4 = 0 THEN 'Shop' END,
    CASE WHEN n % 4 = 0 THEN reason END
FROM told;

INSERT INTO messages
    (message_key, campaign_tracking_id, recipient, country, sender, status_key,
     provider_status, status_rank, status_at, queued_at, sent_at, delivered_at, seen_at,
     detailed_status)
SELECT
    message_key, min(campaign), min(recipient), min(country), 'Shop', newest, newest,
    max(status_rank), max(occurred_at),
    min(occurred_at) FILTER (WHERE status_rank = 1),
    min(occurred_at) FILTER (WHERE status_rank = 2),
    min(occurred_at) FILTER (WHERE status_rank = 4),
    min(occurred_at) FILTER (WHERE status_rank = 5),
    max(reason)
FROM (
    SELECT *, first_value(status) OVER (PARTITION BY message_key ORDER BY status_rank DESC)
        AS newest
    FROM told
) AS e
GROUP BY message_key, newest;

INSERT INTO campaign_counts
SELECT campaign_tracking_id, status, count(*) FROM messages GROUP BY 1, 2;

INSERT INTO inbound_messages
    (identity, campaign_tracking_id, reference_tracking_id, sender, message)
SELECT int4send(n), CASE WHEN n % 3 = 0 THEN 'c-' || n % 200 END, md5(n::text)::uuid::text,
    '+3069' || n, 'Hi'
FROM generate_series(1, {replies}) n
"""
VIEWS = (
    "SELECT * FROM bi_v1.campaigns",
    "SELECT * FROM bi_v1.delivery_daily",
    "SELECT * FROM bi_v1.delivery_hourly WHERE campaign_tracking_id = 'c-7'",
    "SELECT * FROM bi_v1.failure_reasons",
)
#: What the README says is quick: of 60,000 messages a campaign has 300, and 45 replies.
OF_ONE_CAMPAIGN = (
    "SELECT * FROM bi_v1.messages WHERE campaign_tracking_id = 'c-7'",
    "SELECT * FROM bi_v1.inbound_messages WHERE campaign_tracking_id = 'c-7'",
    "SELECT * FROM bi_v1.inbound_messages WHERE campaign_id = (SELECT id FROM named)",
    """
        SELECT * FROM named AS c JOIN bi_v1.messages AS m
        ON m.campaign_tracking_id = c.tracking_id
    """,
    "SELECT * FROM bi_v1.message_events WHERE message_tracking_id = md5('7')::uuid::text",
    "SELECT * FROM bi_v1.inbound_messages WHERE message_tracking_id = md5('7')::uuid::text",
)
NAMED = (
    "CREATE TEMP VIEW named AS SELECT id, tracking_id FROM bi_v1.campaigns WHERE name = 'name 7'"
)
#: Rows of events read one after the other, and found by an index; messages as the first; forms as
#: either.
READ_SO_FAR = """
SELECT
    sum(seq_tup_read) FILTER (WHERE relname LIKE 'events%'),
    sum(idx_tup_fetch) FILTER (WHERE relname LIKE 'events%'),
    sum(seq_tup_read) FILTER (WHERE relname = 'messages'),
    sum(seq_tup_read + idx_tup_fetch) FILTER (WHERE relname = 'event_forms')
FROM pg_stat_xact_user_tables
"""


async def _filled(url: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in FILL.format(messages=MESSAGES, replies=REPLIES).split(";\n"):
        await connection.execute(statement)
    database = Database(url, name="tests")
    while await fold_events(database):
        pass
    await connection.execute("ANALYZE")
    await database.close()
    await connection.close()


@pytest.fixture(scope="module")
def many(server_url: str) -> Iterator[str]:
    """A database with more than 200,000 events, folded."""
    with fresh_database(server_url) as url:
        asyncio.run(_filled(url))
        yield url


@pytest.fixture
async def asking(many: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction that is taken back."""
    connection = await asyncpg.connect(many)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("query", VIEWS)
async def test_a_view_reads_the_roll_ups_and_no_events(
    asking: asyncpg.Connection, query: str
) -> None:
    assert await asking.fetchval("SELECT unfolded_events FROM bi_v1.freshness") == 0
    read = read_by_table(await nodes_of(asking, query))
    assert not {"events", "event_forms"} & set(read)
    assert any(table.startswith(("bi_", "campaign_counts")) for table in read)
    assert read["messages"] < 1000 + REPLIES  # and what is answered, one by one


@pytest.mark.slow
@pytest.mark.parametrize("query", OF_ONE_CAMPAIGN)
async def test_a_question_about_one_campaign_or_message_reads_little_else(
    asking: asyncpg.Connection, query: str
) -> None:
    await asking.execute(NAMED)
    await asking.execute("SET LOCAL random_page_cost = 1.1")  # so small a table is soon read whole
    assert await asking.fetch(query)
    read = read_by_table(await nodes_of(asking, query))
    assert read["messages"] + read["events"] + read["event_forms"] < 2000
    assert read["inbound_messages"] <= REPLIES + 500  # few enough to be read at most once


@pytest.mark.slow
@pytest.mark.parametrize("query", VIEWS)
async def test_what_is_not_folded_is_found_by_its_place(
    asking: asyncpg.Connection, query: str
) -> None:
    new = [event(f"new {number}", campaign="c-7") for number in range(20)]
    await append_events(asking, new[:10])
    await append_events(asking, new[10:], Forms(min_messages=1))
    (before,) = await asking.fetch(READ_SO_FAR)
    await asking.fetch(query)
    (after,) = await asking.fetch(READ_SO_FAR)
    scanned, found, messages_scanned, forms = map(sub, after.values(), before.values())
    assert (scanned, messages_scanned) == (0, 0)
    assert 20 <= found <= 100
    assert 1 <= forms <= 50


@pytest.mark.slow
async def test_folding_looks_up_each_message_and_form_by_a_plan_made_when_none_was_counted(
    connection: asyncpg.Connection,
) -> None:
    for statement in FILL.format(messages=30_000, replies=1).split(";\n"):
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    fold = FOLD.replace(":most", str(folding.MAX_EVENTS))
    await connection.execute(f"PREPARE fold AS {fold}")
    for _ in range(6):
        async with connection.transaction():
            await connection.execute(folding._SETTINGS)
            nodes = await nodes_of(connection, "EXECUTE fold")
        assert max(map(rows_read, nodes)) < 3 * folding.MAX_EVENTS
        (of_forms,) = (node for node in nodes if node.get("Relation Name") == "event_forms")
        assert of_forms["Index Name"] == "event_forms_pkey"
        assert "form_id" in of_forms["Index Cond"]
