"""Reading the feed stays cheap when the tables have grown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from app.db.feed.pages import (
    HISTORIES,
    PLANNER,
    CampaignKeys,
    FeedFilter,
    FeedSource,
    items_query,
    limit_query,
)
from app.db.feed.positions import FeedRange, Horizon, first_query, last_query
from app.domain.feed import FeedItemType, Position
from tests.database import connect
from tests.db.feed.feed_stage import days

ROWS = 20_000
MANY_ROWS = 240_000

#: Four events for each message, over seven years, in the epoch before the current one.
GROW = """
WITH grown AS (
    SELECT number, 'm' || number / 4 AS message, number % 4 AS at,
        timestamptz '2026-01-01Z' + make_interval(days => number / 4 % 2500) AS began
    FROM generate_series(0, $1::int - 1) AS number
),
stored AS (
    INSERT INTO events (feed_epoch, xid, id, message_tracking_id, status_key, provider_status,
        occurred_at, source, campaign_tracking_id)
    SELECT 0, number::text::xid8, number, message, word, word, began + make_interval(days => at),
        0, 'c' || number / 4 % 500
    FROM grown, LATERAL (
        SELECT (ARRAY['QUEUED', 'SENT', 'DELIVERED', 'SEEN'])[at + 1] AS word
    ) AS words
),
kept AS (
    INSERT INTO messages (message_tracking_id, status, status_key, provider_status, status_rank,
        status_at, first_occurred_at, last_occurred_at, campaign_tracking_id)
    SELECT message, 'SEEN', 'SEEN', 'SEEN', 5, began, began, began + make_interval(days => 3),
        'c' || number / 4 % 500
    FROM grown WHERE at = 0
),
told AS (
    INSERT INTO notices (feed_epoch, xid, id, type, campaign_tracking_id)
    SELECT 0, number::text::xid8, 2 * $1 + number,
        CASE WHEN number < 40 THEN 'recipient.erased' ELSE 'message.overdue' END,
        'c' || number / 4 % 500
    FROM grown WHERE at = 0
)
INSERT INTO inbound_messages (feed_epoch, xid, id, identity, reference_tracking_id)
SELECT 0, number::text::xid8, $1 + number, decode(md5(number::text), 'hex'), message
FROM grown WHERE at = 3
"""


#: All that a filter can ask for.
_SOURCES = {
    source
    for kinds in (tuple(FeedItemType), *((kind,) for kind in FeedItemType))
    for source in FeedFilter(kinds).sources
}


def _named(source: FeedSource) -> str:
    return f"{source.kind or source.table.__tablename__}"


def _asked(rows: int) -> dict[str, tuple[ClauseElement, dict[str, object]]]:
    """All that the feed asks of large tables, from the middle of them on."""
    middle = FeedRange(Position(0, rows // 2, 0), Horizon(1, 5, 5))
    window = middle._replace(until=Position(0, rows // 2 + 10_000, 0))
    campaign = (CampaignKeys("c7", None),)
    queries: dict[str, ClauseElement] = {
        f"{_named(source)}": items_query(source, (), middle).limit(100) for source in _SOURCES
    }
    queries |= {
        f"{_named(source)} of a campaign": items_query(source, campaign, window).limit(100)
        for source in _SOURCES
    }
    queries |= {f"window of {_named(source)}": limit_query(source, middle) for source in _SOURCES}
    queries |= {"first": first_query(middle), "last": last_query(Horizon(1, 5, 5))}
    queries |= {"last in time": last_query(Horizon(1, 5, 5), with_replays=False)}
    asked: dict[str, tuple[ClauseElement, dict[str, object]]] = {
        name: (query, {}) for name, query in queries.items()
    }
    messages: dict[str, object] = {
        "messages": [f"m{rows // 8 + at}" for at in range(100)],
        "firsts": [str(days(-59 + (rows // 8 + at) % 2500)) for at in range(100)],
        "lasts": [str(days(-56 + (rows // 8 + at) % 2500)) for at in range(100)],
    }
    until = Position(0, rows // 2 + 400, 2 * rows)._asdict()
    asked["histories"] = (HISTORIES, messages | until)
    return asked


class _Session:
    """A connection with the settings of the feed, and what it has prepared."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._prepared: set[str] = set()

    async def explained(self, name: str, query: ClauseElement, values: dict[str, object]) -> str:
        """The generic plan, made when it was first asked for, and what came of it."""
        compiled = query.compile(dialect=PGDialect_asyncpg())  # type: ignore[no-untyped-call]
        assert isinstance(compiled, SQLCompiler)
        parameters = compiled.params | values
        given = ", ".join(_literal(parameters[key]) for key in compiled.positiontup or ())
        if name not in self._prepared:
            await self._connection.execute(f'PREPARE "{name}" AS {compiled}')
            await self._connection.execute(f'EXECUTE "{name}" ({given})')
            self._prepared.add(name)
        rows = await self._connection.fetch(f'EXPLAIN (ANALYZE) EXECUTE "{name}" ({given})')
        return "\n".join(row[0] for row in rows)


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[_Session]:
    connection = await connect(url, server_settings={**PLANNER, "jit": "off"})
    try:
        yield _Session(connection)
    finally:
        await connection.close()


def _literal(value: object) -> str:
    if isinstance(value, list):
        return "'{" + ", ".join(f'"{element}"' for element in value) + "}'"
    return "NULL" if value is None else f"'{value}'"


def _is_good(name: str, plan: str) -> None:
    assert "Seq Scan" not in plan, name + plan
    assert "  Sort" not in plan.replace("Sort Key", ""), name + plan


async def _assert_plans_scan_nothing(connection: asyncpg.Connection, url: str, rows: int) -> None:
    asked = _asked(rows)
    async with _session(url) as early, _session(url) as grown, _session(url) as analyzed:
        for name, (query, values) in asked.items():
            await early.explained(name, query, values)
        await connection.execute(GROW.replace("$1", str(rows)))
        for name, (query, values) in asked.items():
            plan = await early.explained(name, query, values)
            _is_good(f"{name}, planned while all was empty\n", plan)
            plan = await grown.explained(name, query, values)
            _is_good(f"{name}, planned without statistics\n", plan)
        await connection.execute("VACUUM ANALYZE")
        for name, (query, values) in asked.items():
            plan = await analyzed.explained(name, query, values)
            _is_good(f"{name}, planned with statistics\n", plan)


async def test_the_plans_of_the_feed_use_its_index(
    connection: asyncpg.Connection, url: str
) -> None:
    await _assert_plans_scan_nothing(connection, url, ROWS)


@pytest.mark.slow
async def test_the_plans_of_the_feed_use_its_index_with_very_many_events(
    connection: asyncpg.Connection, url: str
) -> None:
    await _assert_plans_scan_nothing(connection, url, MANY_ROWS)
