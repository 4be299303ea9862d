"""A chunk of a removal, or of an erasure, reads a chunk and never a whole table."""

import re
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import text

from app.db.erasure import messages as erasure
from app.db.retention import (
    EVENTS,
    RAW,
    RAW_INBOUND,
    REPLIES,
    connections,
    reading_whole_tables,
    sweeping,
    walks,
)
from tests.database import connect
from tests.db.feed.test_plans import GROW, MANY_ROWS, ROWS


def _asked(rows: int) -> dict[str, str]:
    """Every query of a walk, from the middle of what there is on, as it is asked."""
    asked = {}
    for walk in (EVENTS, RAW, RAW_INBOUND, REPLIES):
        for name in ("_END", "_LOCKED", "_YOUNG", "_IS_LEFT"):
            query = getattr(walks, name).format(table=walk.table, rows=walk.rows)
            asked[f"{name} of {walk.name}"] = query
    asked["an erasure"] = erasure.WALK.text
    chunk = {"e1": 0, "x1": rows // 2, "i1": 0, "e2": 0, "i2": 0}
    ends = {"_END": 10 * rows, "an": 10 * rows}
    return {
        name: _written(query, {**chunk, "x2": ends.get(name.split()[0], rows // 2 + 500)})
        for name, query in asked.items()
    }


def _written(query: str, values: dict[str, object]) -> str:
    values = {**values, "before": datetime(2030, 1, 1, tzinfo=UTC), "skipped": 999}
    values |= {"most": erasure.WALK_ITEMS}
    return re.sub(r"(?<!:):(\w+)", lambda name: f"'{values[name[1]]}'", query)


async def _assert_plans_read_chunks(connection: asyncpg.Connection, url: str, rows: int) -> None:
    await connection.execute(GROW.replace("$1", str(rows)))
    walking = await connect(url, server_settings=connections._SETTINGS)
    for analyzed in (False, True):
        if analyzed:
            await connection.execute("VACUUM ANALYZE")
        for name, query in _asked(rows).items():
            plan = await walking.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {query}")
            told = f"{name}, analyzed: {analyzed}\n" + "\n".join(row[0] for row in plan)
            assert "Seq Scan" not in told, told
            assert "Bitmap" not in told, told
            assert "Sort Key" not in told or "Merge Append" in told, told
            assert all(int(read) <= 5_000 for read in re.findall(r"rows=(\d+)\.", told)), told
    await walking.close()


async def test_the_chunks_of_removals_use_the_order_of_the_feed(
    connection: asyncpg.Connection, url: str
) -> None:
    await _assert_plans_read_chunks(connection, url, ROWS)


async def test_whole_tables_are_read_by_plans_for_whole_tables(url: str) -> None:
    ask = text("SELECT current_setting('enable_hashjoin'), current_setting('enable_seqscan')")
    async with sweeping(url, name="tests") as database:
        async with reading_whole_tables(database) as session:
            assert (await session.execute(ask)).one() == ("on", "on")
        async with database.writing() as session:
            assert (await session.execute(ask)).one() == ("off", "off")


@pytest.mark.slow
async def test_the_chunks_of_removals_use_the_order_of_the_feed_with_very_many_events(
    connection: asyncpg.Connection, url: str
) -> None:
    await _assert_plans_read_chunks(connection, url, MANY_ROWS)
