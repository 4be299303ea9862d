"""Each projection is damaged, found to be so, and repaired."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.db.rebuild import messages
from app.domain.event import DeliveryEvent
from app.domain.rebuild import Difference, Projection
from app.errors import RebuildInProgress
from app.services.rebuild import _REBUILD_LOCK, Rebuild
from tests.database import connect
from tests.db.bi.story import make_campaigns, store_in_batches, story, teach
from tests.promises.stage import eventually
from tests.services.rebuild_stage import (
    Silent,
    opened,
    rebuilt,
    rolled_up,
    state,
    tell_the_story,
    verified,
)

#: Each kind of damage, and the projections in which a comparison must find it.
DAMAGE = {
    "status": (
        "UPDATE messages SET (status, status_key, status_rank) = ('QUEUED', 'QUEUED', 1)",
        {"messages", "counts", "counted messages"},
    ),
    "recipient": ("UPDATE messages SET recipient = '+306999999999'", {"messages"}),
    "time": ("UPDATE messages SET seen_at = NULL", {"messages", "counted messages"}),
    "range": ("UPDATE messages SET last_occurred_at = first_occurred_at", {"messages"}),
    "campaign": (
        "UPDATE messages SET campaign_tracking_id = NULL WHERE campaign_tracking_id = 'late'",
        {"messages", "counts", "counted messages"},
    ),
    "lost messages": ("DELETE FROM messages WHERE price IS NOT NULL", {"messages", "counts"}),
    "folded counts": ("UPDATE campaign_counts SET messages = messages + 1", {"counts"}),
    "lost counts": ("TRUNCATE campaign_counts", {"counts"}),
    "a count of nothing": (
        """INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
        VALUES ('no such', 'SEEN', 3)""",
        {"counts"},
    ),
    "counted messages": (
        "UPDATE bi_counted_messages SET country = 'XX'",
        {"counted messages", "messages by day"},
    ),
    "lost counted messages": (
        "TRUNCATE bi_counted_messages",
        {"counted messages", "messages by day", "failures", "durations", "prices"},
    ),
    "hours": ("UPDATE bi_rollup_hourly SET events = events * 2", {"events by hour"}),
    "lost hours": ("TRUNCATE bi_rollup_hourly", {"events by hour"}),
    "an hour of nothing": (
        """INSERT INTO bi_rollup_hourly (hour, identity, status, events) SELECT '2030-01-01Z',
        md5(jsonb_build_array(NULL, NULL, NULL, NULL, 'SEEN')::text)::uuid, 'SEEN', 7""",
        {"events by hour"},
    ),
    "days": ("UPDATE bi_daily_messages SET messages = messages - 1", {"messages by day"}),
    "failures": ("TRUNCATE bi_failure_reasons", {"failures"}),
    "durations": ("DELETE FROM bi_durations WHERE measure = 1", {"durations"}),
    "prices": ("UPDATE bi_spends SET price = price + 0.0001", {"prices"}),
    "times of campaigns": (
        "UPDATE bi_campaign_facts SET first_event_at = last_event_at",
        {"times of campaigns"},
    ),
    "lost times of campaigns": ("TRUNCATE bi_campaign_facts", {"times of campaigns"}),
}


async def test_sound_data_differ_in_nothing_and_are_not_changed(
    url: str, connection: asyncpg.Connection
) -> None:
    await tell_the_story(url, connection)
    for _ in range(2):  # with much that is not rolled up yet, and without
        found = await verified(url)
        assert not found.differing, found.differences
        assert (found.examined, found.left_alone) == (120, 0)
        await rolled_up(url)
    before = await state(connection)
    changed = await connection.fetchval("SELECT max(updated_at) FROM messages")
    assert not (await rebuilt(url)).repaired
    assert await state(connection) == before
    assert await connection.fetchval("SELECT max(updated_at) FROM messages") == changed


async def test_all_damage_together_is_found_and_repaired(
    url: str, connection: asyncpg.Connection
) -> None:
    await tell_the_story(url, connection)
    await rolled_up(url)
    before = await state(connection)
    # Where what is counted is lost as well as its sums, these agree with each other.
    for kind in DAMAGE.keys() - {"lost counted messages"}:
        await connection.execute(DAMAGE[kind][0])
    assert set((await verified(url)).differing) == set(Projection)
    found = await rebuilt(url)
    assert found.repaired >= found.differing.total() > 0
    assert not (await verified(url)).differing
    assert await state(connection) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGE)
async def test_damage_is_found_and_repaired(
    url: str, connection: asyncpg.Connection, kind: str
) -> None:
    damage, projections = DAMAGE[kind]
    await tell_the_story(url, connection, messages=40)
    await rolled_up(url)
    before = await state(connection)
    await connection.execute(damage)
    assert await state(connection) != before
    assert set(map(str, (await verified(url)).differing)) == projections
    found = await rebuilt(url)
    assert found.repaired >= found.differing.total() > 0
    assert not (await verified(url)).differing
    assert await state(connection) == before


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_messages_made_from_their_events_are_what_ingest_made(
    url: str, connection: asyncpg.Connection, seed: int
) -> None:
    await tell_the_story(url, connection, seed=seed)
    await rolled_up(url)
    before = await state(connection)
    await connection.execute("TRUNCATE messages, campaign_counts, campaign_count_deltas")
    found = await rebuilt(url)
    assert found.differing[Projection.MESSAGES] == 120
    assert await state(connection) == before
    assert not (await verified(url)).differing


async def test_each_difference_names_message_column_and_values_with_masked_numbers(
    url: str, connection: asyncpg.Connection
) -> None:
    await tell_the_story(url, connection, messages=4)
    right = await connection.fetchval(
        "SELECT recipient FROM messages WHERE message_tracking_id = 'm2'"
    )
    await connection.execute(
        "UPDATE messages SET recipient = '+306999999876' WHERE message_tracking_id = 'm2'"
    )
    key = {"message_tracking_id": "m2"}
    (found,) = (await verified(url)).differences
    assert found == Difference(Projection.MESSAGES, key, "recipient", "***876", f"***{right[-3:]}")
    await connection.execute("DELETE FROM events WHERE message_tracking_id = 'm2'")
    found = (await verified(url)).differences[0]
    assert (found.key, found.column, found.expected) == (key, "without events", None)
    # Events that are lost make no message vanish.
    assert (await rebuilt(url)).differing[Projection.MESSAGES] == 1
    assert await connection.fetchval("SELECT count(*) FROM messages") == 4


@pytest.mark.slow
async def test_no_more_differences_are_kept_than_wanted(
    url: str, connection: asyncpg.Connection
) -> None:
    await tell_the_story(url, connection, messages=20)
    await connection.execute("UPDATE messages SET label = 'x', country = 'x'")
    await connection.execute("TRUNCATE campaign_counts")
    found = await verified(url, most=3)
    assert (len(found.differences), found.differing[Projection.MESSAGES]) == (3, 20)


async def test_an_interrupted_rebuild_is_gone_on_with(
    url: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "CHUNK_MESSAGES", 10)
    await tell_the_story(url, connection, messages=60)
    before = await state(connection)
    await connection.execute("UPDATE messages SET label = 'x'")
    # A message of a later chunk is locked, so that the rebuild waits there and is cancelled.
    async with connection.transaction():
        await connection.execute("SELECT FROM messages WHERE message_tracking_id = 'm5' FOR UPDATE")
        task = asyncio.create_task(rebuilt(url))
        other = await connect(url)
        await eventually(lambda: other.fetchval("SELECT examined >= 40 FROM rebuild_position"))
        task.cancel()
        await asyncio.wait([task])
    examined = await other.fetchval("SELECT examined FROM rebuild_position")
    await other.close()
    display = Silent()
    found = await Rebuild(url, display, most=0).rebuild()
    assert any(f"after {examined} messages" in line for line in display.lines)
    assert found.examined == 60
    assert found.differing[Projection.MESSAGES] == 60 - examined
    assert await state(connection) == before
    assert await connection.fetchval("SELECT count(*) FROM rebuild_position") == 0


@pytest.mark.slow
async def test_a_restarted_rebuild_begins_with_the_first_message(
    url: str, connection: asyncpg.Connection
) -> None:
    await tell_the_story(url, connection, messages=20)
    await connection.execute("INSERT INTO rebuild_position (message_tracking_id) VALUES ('m3')")
    await connection.execute("UPDATE messages SET label = 'x'")
    found = await Rebuild(url, Silent(), most=0).rebuild(restart=True)
    assert found.differing[Projection.MESSAGES] == 20


async def test_a_second_rebuild_at_once_is_refused(
    url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("SELECT pg_advisory_lock($1)", _REBUILD_LOCK)
    with pytest.raises(RebuildInProgress):
        await rebuilt(url)
    assert not (await verified(url)).differing


async def _while_storing(
    url: str, events: Sequence[DeliveryEvent], do: Callable[[int], Awaitable[None]]
) -> None:
    """Call *do* three times while three writers store *events* in orders of their own."""
    enough = asyncio.Event()

    async def _store(seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311
        writer = await connect(url)
        while True:
            await store_in_batches(writer, rng.sample(events, len(events)), rng)
            if enough.is_set():
                return await writer.close()

    storing = [asyncio.create_task(_store(seed)) for seed in range(3)]
    for time in range(3):
        await do(time)
    enough.set()
    await asyncio.gather(*storing)


@asynccontextmanager
async def _all_along(do: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Call *do* again and again until the block ends."""
    ends = asyncio.Event()

    async def _repeat() -> None:
        while not ends.is_set():
            await do()
            await asyncio.sleep(0.01)

    repeating = asyncio.create_task(_repeat())
    yield
    ends.set()
    await repeating


@pytest.mark.slow
async def test_nothing_differs_and_all_is_repaired_while_callbacks_are_stored(
    url: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "CHUNK_MESSAGES", 20)
    ours = await make_campaigns(connection)
    events = story(ours, 1, 250)
    damaged = itertools.count()

    async def _verify(time: int) -> None:
        found = await verified(url)
        assert not found.differing, found.differences
        if time == 1:
            async with opened(url) as database:
                await teach(database, ours[1], "late")

    async def _rebuild(_time: int) -> None:
        await rebuilt(url)

    async def _damage() -> None:
        await connection.execute(
            "UPDATE messages SET status = 'QUEUED', label = 'x', country = NULL"
            " WHERE message_tracking_id = $1",
            f"m{next(damaged) * 7 % 250}",
        )

    async with _all_along(lambda: rolled_up(url)):
        await _while_storing(url, events, _verify)
        async with _all_along(_damage):
            await _while_storing(url, events, _rebuild)
    await rebuilt(url)
    await rolled_up(url)
    found = await verified(url)
    assert not found.differing, found.differences
    assert next(damaged)
