import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.db import count_folding
from app.db.campaigns import counts_of
from app.db.count_folding import CountFolding
from app.db.database import Database
from tests.database import connect


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests")
    yield database
    await database.close()


@pytest.fixture
def folding(database: Database) -> CountFolding:
    return CountFolding(database)


async def _append(connection: asyncpg.Connection, *deltas: tuple[str, str, int]) -> None:
    await connection.executemany(
        "INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)"
        " VALUES ($1, $2, $3)",
        deltas,
    )


async def _left(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM campaign_count_deltas"))


async def test_folding_changes_no_count(
    database: Database, folding: CountFolding, connection: asyncpg.Connection
) -> None:
    await _append(connection, ("c", "QUEUED", 5), ("c", "QUEUED", -2), ("d", "SENT", 1))
    before = [await counts_of(database, campaign) for campaign in "cd"]
    assert await folding.fold() == 3
    assert await _left(connection) == 0
    await _append(connection, ("c", "QUEUED", -3), ("c", "SEEN", 3))
    assert [await counts_of(database, campaign) for campaign in "cd"] == [
        {"QUEUED": 0, "SEEN": 3},
        before[1],
    ]
    assert before == [{"QUEUED": 3}, {"SENT": 1}]
    assert await folding.fold() == 2
    assert await counts_of(database, "c") == {"QUEUED": 0, "SEEN": 3}


async def test_nothing_to_fold_is_nothing_to_do(folding: CountFolding) -> None:
    assert await folding.fold() == 0


async def test_one_fold_is_bounded(
    database: Database,
    folding: CountFolding,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(count_folding, "MAX_DELTAS", 4)
    await _append(connection, *[("c", "SENT", 1)] * 10)
    assert [await folding.fold() for _ in range(4)] == [4, 4, 2, 0]
    assert await counts_of(database, "c") == {"SENT": 10}


async def test_only_one_process_folds_at_a_time(
    folding: CountFolding, connection: asyncpg.Connection
) -> None:
    await _append(connection, ("c", "SENT", 1))
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", count_folding._FOLD_LOCK)
        assert await folding.fold() == 0
    assert await folding.fold() == 1


async def test_counts_stay_exact_while_several_fold_and_others_append(
    database: Database, folding: CountFolding, url: str
) -> None:
    writers = [await connect(url) for _ in range(3)]
    appending = asyncio.gather(
        *(_append(writer, *[("c", "SENT", 1), ("c", "SEEN", 2)] * 200) for writer in writers)
    )
    seen = [{"SENT": 0, "SEEN": 0}]
    while not appending.done():
        await asyncio.gather(folding.fold(), folding.fold())
        seen.append({"SENT": 0, "SEEN": 0, **await counts_of(database, "c")})
    await appending
    await folding.fold()
    assert await counts_of(database, "c") == {"SENT": 600, "SEEN": 1200}
    assert seen == sorted(seen, key=lambda counts: (counts["SENT"], counts["SEEN"]))
    for writer in writers:
        await writer.close()


async def test_deltas_committed_after_a_fold_are_folded_by_the_next(
    database: Database, folding: CountFolding, connection: asyncpg.Connection, url: str
) -> None:
    slow = await connect(url)
    async with slow.transaction():
        await _append(slow, ("c", "SENT", 1))
        await _append(connection, ("c", "SENT", 10))
        assert await folding.fold() == 1
    assert await counts_of(database, "c") == {"SENT": 11}
    assert await folding.fold() == 1
    assert await counts_of(database, "c") == {"SENT": 11}
    await slow.close()


async def test_deltas_folded_long_ago_are_not_scanned_again(
    database: Database, connection: asyncpg.Connection, url: str
) -> None:
    now = [0.0]
    folding = CountFolding(database, clock=lambda: now[0])
    slow = await connect(url)
    transaction = slow.transaction()
    await transaction.start()
    await _append(slow, ("c", "SENT", 1))
    await _append(connection, ("c", "SENT", 10))
    assert await folding.fold() == 1
    now[0] += 30
    assert await folding.fold() == 0
    assert folding._floor == 0
    await transaction.commit()
    now[0] += 40
    assert await folding.fold() == 1
    greatest = await connection.fetchval("SELECT last_value FROM campaign_count_deltas_id_seq")
    assert folding._floor == greatest
    await _append(connection, ("c", "SENT", 100))
    assert await folding.fold() == 1
    assert await counts_of(database, "c") == {"SENT": 111}
    await slow.close()
