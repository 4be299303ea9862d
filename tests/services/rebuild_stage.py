"""A made-up history of messages with everything that projections depend on, and damage to it."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from app.db.bi.roll_up import roll_up_events
from app.db.count_folding import CountFolding
from app.db.database import Database
from app.services.rebuild import Findings, Rebuild
from tests.database import connect
from tests.db.bi.story import make_campaigns, store_in_batches, story, teach

#: All that a rebuild compares, without `updated_at`.
STATE: Final = {
    "messages": "SELECT to_jsonb(m) - 'updated_at' - 'first_received_at' AS row FROM messages AS m",
    "counts": """
        SELECT jsonb_build_array(campaign_tracking_id, status, sum(messages)) AS row FROM (
            SELECT campaign_tracking_id, status, messages FROM campaign_counts
            UNION ALL SELECT campaign_tracking_id, status, messages FROM campaign_count_deltas
        ) AS c GROUP BY campaign_tracking_id, status HAVING sum(messages) <> 0""",
    "counted": "SELECT to_jsonb(c) AS row FROM bi_counted_messages AS c",
    "hours": "SELECT to_jsonb(h) AS row FROM bi_rollup_hourly AS h WHERE events <> 0",
    # Those of other campaigns may be wider than what their events say now.
    "times": """
        SELECT jsonb_build_array(first_event_at, last_event_at) AS row FROM bi_campaign_facts
        WHERE campaign_key = 'late'""",
    "days": "SELECT to_jsonb(d) AS row FROM bi_daily_messages AS d WHERE messages <> 0",
    "failures": "SELECT to_jsonb(r) AS row FROM bi_failure_reasons AS r WHERE messages <> 0",
    "durations": "SELECT to_jsonb(d) AS row FROM bi_durations AS d WHERE messages <> 0",
    "prices": "SELECT to_jsonb(s) AS row FROM bi_spends AS s WHERE messages <> 0",
}


class Silent:
    """A display that keeps what it is to say."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def expect(self, rows: int) -> None:
        pass

    def add(self, rows: int) -> None:
        pass

    def say(self, line: str) -> None:
        self.lines.append(line)


async def state(connection: asyncpg.Connection) -> Mapping[str, Sequence[str]]:
    """All projections, in an order."""
    return {
        name: [row[0] for row in await connection.fetch(f"SELECT row FROM ({of}) AS s ORDER BY 1")]  # noqa: S608
        for name, of in STATE.items()
    }


async def verified(url: str, most: int = 100) -> Findings:
    return await Rebuild(url, Silent(), most=most).verify()


async def rebuilt(url: str, most: int = 100) -> Findings:
    return await Rebuild(url, Silent(), most=most).rebuild()


async def tell_the_story(
    url: str, connection: asyncpg.Connection, *, seed: int = 1, messages: int = 120
) -> None:
    """Store a history, a part of it rolled up and folded, with a campaign that is bound late."""
    rng = random.Random(seed)  # noqa: S311
    ours = await make_campaigns(connection)
    events = story(ours, seed, messages)
    half = len(events) // 2
    async with opened(url) as database:
        await store_in_batches(connection, events[:half], rng)
        await roll_up_events(database)
        await CountFolding(database).fold()
        await teach(database, ours[1], "late")
        await store_in_batches(connection, events[half:], rng)


async def rolled_up(url: str) -> None:
    async with opened(url) as database:
        while await roll_up_events(database):
            pass
        await CountFolding(database).fold()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests", pool_items=2)
    try:
        yield database
    finally:
        await database.close()


async def execute(url: str, statement: str, *arguments: Any) -> None:  # noqa: ANN401
    connection = await connect(url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()
