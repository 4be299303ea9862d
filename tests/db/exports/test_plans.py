"""Exports of one campaign go from its messages to its events, by the keys."""

from datetime import UTC, datetime

import asyncpg
import pytest

from app.db.exports.statements import BY_KEY, STATEMENTS, ExportTable

_MESSAGES = """
INSERT INTO messages (
    message_tracking_id, campaign_tracking_id, status_at, status_rank, status, status_key,
    provider_status, first_occurred_at, last_occurred_at
)
SELECT 'm' || n, 'c' || n % 200, t, 2, 'SENT', 'SENT', 'SENT', t, t
FROM generate_series(1, 10000) AS n,
    LATERAL (VALUES (date_trunc('month', now(), 'UTC') + n * interval '1 minute'))
    AS v (t)
"""
_EVENTS = """
INSERT INTO events (
    message_tracking_id, status_key, provider_status, source, occurred_at
)
SELECT message_tracking_id, 'SENT', 'SENT', 0, status_at FROM messages
"""


@pytest.fixture(name="plan")
async def _plan(connection: asyncpg.Connection) -> str:
    """How the events of one campaign are found among those of many."""
    await connection.execute(_MESSAGES)
    await connection.execute(_EVENTS)
    await connection.execute("ANALYZE messages; ANALYZE events")
    statement = STATEMENTS[ExportTable.EVENTS]
    query = statement.rows + statement.of_campaign
    async with connection.transaction():
        await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan;" + BY_KEY)
        await connection.execute(
            f"PREPARE wanted (timestamptz, timestamptz, text, uuid) AS {query}"
        )
        plan = await connection.fetch(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE wanted (NULL, NULL, 'c7', NULL)"
        )
    return "\n".join(line for (line,) in plan)


async def test_the_events_of_a_campaign_are_found_by_its_messages(plan: str) -> None:
    assert "messages_campaign_idx" in plan
    assert "Hash" not in plan
    assert "Seq Scan" not in plan
    assert "actual rows=50.00 loops=1" in plan.splitlines()[0]


async def test_months_that_cannot_have_them_are_not_read(plan: str) -> None:
    read = [line for line in plan.splitlines() if " on events_20" in line and "never" not in line]
    assert len(read) == 1, read
    assert f"events_{datetime.now(UTC):%Y_%m}_pkey" in read[0]
