import asyncio
from collections.abc import AsyncIterator, Collection, Mapping

import asyncpg
import pytest

from app.db.database import Database
from app.db.messages import CurrentMessage, messages_of
from app.errors import DatabaseUnavailable, Overloaded
from app.services import current as module
from app.services.current import CurrentMessages
from tests.db.feed.feed_stage import event, store


class Queries:
    """What is asked, and whether it fails."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def __call__(
        self, database: Database, tracking_ids: Collection[str]
    ) -> Mapping[str, CurrentMessage]:
        self.asked.append(set(tracking_ids))
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return await messages_of(database, tracking_ids)


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> Queries:
    queries = Queries()
    monkeypatch.setattr(module, "messages_of", queries)
    return queries


@pytest.fixture
async def current(url: str, queries: Queries) -> AsyncIterator[CurrentMessages]:  # noqa: ARG001
    database = Database(url, name="tests", pool_items=1)
    current = CurrentMessages(database)
    yield current
    await current.close()
    await database.close()


async def test_those_asked_for_during_a_query_are_read_by_the_next_one(
    current: CurrentMessages, queries: Queries, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m1"), event("m2"))
    queries.gate = asyncio.Event()
    first = asyncio.create_task(current.find("m1"))
    await asyncio.sleep(0.01)
    ids = ["m1", "m2", "none", "m2", "\u20ac' OR true"]
    others = [asyncio.create_task(current.find(one)) for one in ids]
    await asyncio.sleep(0.01)
    queries.gate.set()
    rows = await asyncio.gather(first, *others)
    assert [row and row.message_tracking_id for row in rows] == [
        "m1", "m1", "m2", None, "m2", None,
    ]  # fmt: skip
    assert queries.asked == [{"m1"}, set(ids)]


async def test_what_was_stored_before_is_read(
    current: CurrentMessages, queries: Queries, connection: asyncpg.Connection
) -> None:
    """A query that is under way may be too old for who comes now."""
    queries.gate = asyncio.Event()
    early = asyncio.create_task(current.find("m"))
    await asyncio.sleep(0.01)
    await store(connection, event("m"))
    late = asyncio.create_task(current.find("m"))
    queries.gate.set()
    assert await late is not None
    await early


async def test_a_failed_query_fails_its_own_callers_only(
    current: CurrentMessages, queries: Queries, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m"))
    queries.failure = DatabaseUnavailable("away")
    told = await asyncio.gather(
        *(current.find(one) for one in ("m", "x", "y")), return_exceptions=True
    )
    assert [type(one) for one in told] == [DatabaseUnavailable] * 3
    queries.failure = None
    assert await current.find("m") is not None


async def test_a_query_that_hangs_is_given_up(
    current: CurrentMessages, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current._batcher, "_budget_seconds", 0.05)
    queries.gate = asyncio.Event()
    with pytest.raises(DatabaseUnavailable):
        await asyncio.wait_for(current.find("m"), 5)
    queries.gate.set()


async def test_too_many_are_refused(
    current: CurrentMessages, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current._batcher, "_max_pending_items", 2)
    queries.gate = asyncio.Event()
    taken = [asyncio.create_task(current.find(one)) for one in ("a", "b")]
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded) as raised:
        await current.find("c")
    assert raised.value.retry_after_seconds == 1
    queries.gate.set()
    assert await asyncio.gather(*taken) == [None, None]


async def test_a_caller_that_leaves_harms_no_other(
    current: CurrentMessages, queries: Queries, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m"))
    queries.gate = asyncio.Event()
    gone, stays = (asyncio.create_task(current.find("m")) for _ in range(2))
    await asyncio.sleep(0.01)
    gone.cancel()
    queries.gate.set()
    assert await stays is not None
    await asyncio.gather(gone, return_exceptions=True)
