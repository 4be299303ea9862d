"""A chunk of a purge, or of an erasure, reads a chunk and never a whole table."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import text

from app.db.erasure import messages as erasure
from app.db.retention import purges, runs
from app.db.retention.purges import EVENTS, MESSAGES_PLANNER, RAW, RAW_INBOUND, REPLIES
from app.db.retention.runs import CHUNK_PLANNER, long_work
from tests.database import connect
from tests.db.feed.test_plans import GROW, MANY_ROWS, ROWS


def _queries(rows: int) -> dict[str, str]:
    """Every query of a purge and of the scan of an erasure, from the middle of the tables on."""
    queries = {}
    for purge in (EVENTS, RAW, RAW_INBOUND, REPLIES):
        for name in ("_END", "_LOCKED", "_FIRST_TO_STAY", "_IS_LEFT"):
            query = getattr(purges, name).format(table=purge.table, rows=purge.rows)
            queries[f"{name} of {purge.name}"] = query
    queries["an erasure"] = erasure.NEXT_EVENTS.text
    chunk = {"e1": 0, "x1": rows // 2, "i1": 0, "e2": 0, "i2": 0}
    ends = {"_END": 10 * rows, "an": 10 * rows}
    return {
        name: _with_literals(query, {**chunk, "x2": ends.get(name.split()[0], rows // 2 + 500)})
        for name, query in queries.items()
    }


def _with_literals(query: str, values: dict[str, object]) -> str:
    values = {**values, "before": datetime(2030, 1, 1, tzinfo=UTC), "skipped": 999}
    values |= {"most": erasure.SCAN_ITEMS}
    return re.sub(r"(?<!:):(\w+)", lambda name: f"'{values[name[1]]}'", query)


async def _explained(
    connection: asyncpg.Connection, query: str, planner: Mapping[str, str], *options: str
) -> str:
    async with connection.transaction():
        for name, value in planner.items():
            await connection.execute(f"SET LOCAL {name} = '{value}'")
        rows = await connection.fetch(f"EXPLAIN ({', '.join(options)}) {query}")
    return "\n".join(row[0] for row in rows)


def _assert_reads_a_chunk(plan: str) -> None:
    assert "Seq Scan" not in plan, plan
    assert "Sort Key" not in plan or "Merge Append" in plan, plan
    assert all(int(read) <= 5_000 for read in re.findall(r"rows=(\d+)\.", plan)), plan


def _assert_looks_up_events_by_key(plan: str) -> None:
    """For each message, in each month, and nothing is read that was not looked up."""
    assert "Seq Scan" not in plan, plan
    assert "Hash Cond" not in plan, plan  # that of any hash join
    assert "Merge Join" not in plan, plan
    looked_up = [line for line in plan.splitlines() if re.search(r"Scan .*on events_", line)]
    assert looked_up, plan
    for line in looked_up:
        assert re.search(r"using events_\w+_pkey|on events_\w+_pkey|Bitmap Heap", line), plan


async def _assert_plans_read_chunks(connection: asyncpg.Connection, url: str, rows: int) -> None:
    await connection.execute(GROW.replace("$1", str(rows)))
    explaining = await connect(url, server_settings=runs._SETTINGS)
    ids = [f"m{at}" for at in range(rows // 8, rows // 8 + 960)]
    delete = purges.DELETE_MESSAGES.text.replace(":ids", f"'{{{','.join(ids)}}}'")
    for analyzed in (False, True):
        if analyzed:
            await connection.execute("VACUUM ANALYZE")
        for name, query in _queries(rows).items():
            plan = await _explained(explaining, query, CHUNK_PLANNER, "ANALYZE", "TIMING OFF")
            _assert_reads_a_chunk(f"{name}, analyzed: {analyzed}\n{plan}")
        _assert_looks_up_events_by_key(
            await _explained(explaining, delete, MESSAGES_PLANNER, "COSTS")
        )
    await explaining.close()


async def test_the_chunks_of_purges_use_the_order_of_the_feed(
    connection: asyncpg.Connection, url: str
) -> None:
    await _assert_plans_read_chunks(connection, url, ROWS)


async def test_planner_settings_are_confined_to_the_chunks(url: str) -> None:
    """What reads whole tables is planned for whole tables."""
    ask = text("SELECT current_setting('enable_sort'), current_setting('enable_seqscan')")
    async with long_work(url, name="tests") as database:
        async with database.writing(planner=CHUNK_PLANNER) as session:
            assert (await session.execute(ask)).one() == ("off", "off")
        async with database.reading(planner=CHUNK_PLANNER) as session:
            assert (await session.execute(ask)).one() == ("off", "off")
        async with database.writing() as session:
            assert (await session.execute(ask)).one() == ("on", "on")
        async with database.reading() as session:
            assert (await session.execute(ask)).one() == ("on", "on")


@pytest.mark.slow
async def test_the_chunks_of_purges_use_the_order_of_the_feed_with_very_many_events(
    connection: asyncpg.Connection, url: str
) -> None:
    await _assert_plans_read_chunks(connection, url, MANY_ROWS)
