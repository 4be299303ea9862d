"""What analysts ask of a full database, beside counting its messages; what the roll-ups cost."""

import time
from collections.abc import Sequence
from typing import Final

import asyncpg

from app.db.bi.roll_up import roll_up_events
from app.db.database import Database
from tests.bench.figure import Figure
from tests.bench.group import Findings, Say, Setting
from tests.bench.scale_sides import Side
from tests.database import connect
from tests.db.bi.questions import CAMPAIGN_NAME, questions

ANALYSTS: Final = "scale_analysts"
_COUNT: Final = "SELECT count(*) FROM messages"
_PENDING: Final = "SELECT count(*) FROM bi_pending_events()"
#: What the roll-ups come to, and what a recount does, which reads everything.
_ADDED_UP: Final = "SELECT sum(events) FROM bi_v1.delivery_daily"
_RECOUNT: Final = "SELECT count(*) FROM events"


async def fold_all(side: Side, say: Say) -> float:
    """Have the duty fold everything; for how many seconds it took."""
    database = Database(side.url, name="fold", pool_items=1)
    started, folded = time.monotonic(), 0
    while chunk := await roll_up_events(database):
        folded += chunk
        say(f"{folded} events folded into the roll-ups")
    await database.close()
    connection = await connect(side.url, timeout=60)
    assert await connection.fetchval(_PENDING) == 0
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()
    return time.monotonic() - started


async def measure(setting: Setting, side: Side, *, fold_seconds: float) -> Findings:
    """Ask each question of docs/analysts.md in each round, and count the messages beside it."""
    asked = {
        text: sql.replace(CAMPAIGN_NAME, side.plan.campaign(7).name)
        for text, sql in questions().items()
    }
    connection = await connect(side.url, timeout=60)
    ratios: dict[str, list[float]] = {text: [] for text in asked}
    counts: list[float] = []
    for number in range(setting.rounds):
        setting.say(f"round {number + 1}: what analysts ask")
        counts.append(await _seconds(connection, _COUNT))
        for text, sql in asked.items():
            ratios[text].append(await _seconds(connection, sql) / counts[-1])
    plans = {text: await _plan(connection, sql) for text, sql in asked.items()}
    adds_up = await connection.fetchval(_ADDED_UP) == await connection.fetchval(_RECOUNT)
    await connection.close()
    figures = [
        Figure(f"{ANALYSTS}_{number}", f"{text} ÷ counting the messages", found)
        for number, (text, found) in enumerate(ratios.items(), 1)
    ]
    figures.append(Figure("scale_fold_us", "µs to fold an event", [fold_us(side, fold_seconds)]))
    return Findings(
        figures,
        faults=[] if adds_up else ["the roll-ups and a recount of the events differ"],
        details={ANALYSTS: {"count_seconds": counts, "plans": plans}},
    )


def fold_us(side: Side, seconds: float) -> float:
    """Microseconds for each event of *side*."""
    return 1e6 * seconds / side.plan.events


async def _seconds(connection: asyncpg.Connection, sql: str) -> float:
    started = time.perf_counter()
    await connection.fetch(sql)
    return time.perf_counter() - started


async def _plan(connection: asyncpg.Connection, sql: str) -> Sequence[str]:
    rows = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, BUFFERS) {sql}")
    return [row[0] for row in rows]
