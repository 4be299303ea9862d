"""Several processes on one database: exact counts, no deadlock, whatever comes how often."""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.db.campaigns import counts_of
from app.db.database import Database
from tests.promises.conftest import Look, StartService
from tests.promises.load import (
    Callback,
    assert_each_is_stored_or_to_be_repeated_in_time,
    reply,
    stories,
)
from tests.promises.stage import Postgres, children_of, eventually

CAMPAIGNS = 3


async def _watch_counts(postgres: Postgres, campaigns: list[str], enough: asyncio.Event) -> int:
    """Read the counts until it is *enough*; how often."""
    database = Database(postgres.url, name="watcher", pool_items=1)
    totals: Counter[str] = Counter()
    times = 0
    while not enough.is_set():
        for campaign in campaigns:
            counts = await counts_of(database, campaign)
            assert all(count >= 0 for count in counts.values()), counts
            # A message comes into a campaign once, and leaves it never.
            assert sum(counts.values()) >= totals[campaign], counts
            totals[campaign] = sum(counts.values())
        times += 1
        await asyncio.sleep(0.01)
    await database.close()
    return times


async def _assert_hammering_ends_exact(
    start_service: StartService, postgres: Postgres, look: Look, messages: int
) -> None:
    service = await start_service(workers=2)
    callbacks = stories("m", messages, campaigns=CAMPAIGNS, recipients=messages)
    campaigns = sorted(f"m-c{at}" for at in range(CAMPAIGNS))
    rng = random.Random(messages)  # noqa: S311
    enough = asyncio.Event()
    watching = asyncio.create_task(_watch_counts(postgres, campaigns, enough))
    senders = [service.sender(connections=16) for _ in range(3)]
    await asyncio.gather(*(sender.send_all(_shuffled(callbacks, rng)) for sender in senders))
    enough.set()
    assert await watching, "the counts were not read while callbacks came"
    for sender in senders:
        assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
        assert sender.statuses == {200}
    assert await look.stored() == set(callbacks)
    expected = Counter((f"m-c{at % CAMPAIGNS}", "SEEN") for at in range(messages))
    assert await look.counts() == await look.recount() == await look.recount_of_events()
    assert await look.counts() == expected
    assert await look.number("SELECT sum(deadlocks) FROM pg_stat_database") == 0
    assert "deadlock" not in postgres.log.read_text()
    assert len(await _writers(look)) == 2, "one process did all the work"


def _shuffled(callbacks: list[Callback], rng: random.Random) -> list[Callback]:
    return rng.sample(callbacks, len(callbacks))


async def _writers(look: Look) -> list[asyncpg.Record]:
    return await (await look.connection()).fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'routee-receiver ingest'"
    )


@pytest.mark.slow
async def test_two_workers_under_shuffled_and_doubled_callbacks_end_exact(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    await _assert_hammering_ends_exact(start_service, postgres, look, 250)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_workers_under_very_many_callbacks_end_exact(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    await _assert_hammering_ends_exact(start_service, postgres, look, 4000)


@pytest.mark.slow
async def test_the_same_callback_at_two_workers_at_once_is_one_row(
    start_service: StartService, look: Look
) -> None:
    service = await start_service(workers=2)
    replies = [reply(f"m{at % 20}", "hello") for at in range(400)]
    rubbish = [Callback(("", ""), f"rubbish {at % 20}".encode()) for at in range(400)]
    inbound, strange = service.sender(kind="inbound"), service.sender()
    await asyncio.gather(inbound.send_all(replies), strange.send_all(rubbish))
    assert inbound.statuses == strange.statuses == {200}
    assert all(answer.body == b'{"result":"quarantined"}' for answer in strange.answers)
    assert await look.number("SELECT count(*) FROM inbound_messages") == 20
    assert await look.number("SELECT count(*) FROM quarantine WHERE times = 20") == 20
    assert await look.number("SELECT count(*) FROM quarantine") == 20


def _workers_of(pid: int) -> list[int]:
    """The children of *pid* but for multiprocessing's own."""
    return [
        child
        for child in children_of(pid)
        if b"multiprocessing.spawn" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.slow
async def test_whichever_worker_is_asked_shows_the_metrics_of_all(
    start_service: StartService,
) -> None:
    service = await start_service(workers=2, has_operations_port=True)
    stored = 'receiver_callbacks_total{kind="status",result="stored"}'

    async def _shown(name: str) -> set[float]:
        """What several scrapes show, each on a connection of its own."""
        values = set()
        for _ in range(20):
            async with httpx.AsyncClient() as client:
                text = (await client.get(f"{service.operations_url}/metrics")).text
            values |= {
                float(line.rsplit(maxsplit=1)[1])
                for line in text.splitlines()
                if line.startswith(name)
            }
        return values

    sender = service.sender(connections=16)
    await sender.send_all(stories("a", 50))
    answered = sum(answer.status == 200 for answer in sender.answers)
    assert await _shown(stored) == {float(answered)}
    assert await _shown("receiver_answer_seconds_count") == {float(answered)}

    workers = _workers_of(service.process.pid)
    os.kill(workers[0], signal.SIGKILL)

    async def _are_two() -> bool:
        scraped = await _shown("process_start_time_seconds")
        return len(scraped) == 2

    await eventually(_are_two)
    assert await _shown(stored) == {float(answered)}
    more = service.sender(connections=16)
    await more.send_all(stories("b", 50))
    answered += sum(answer.status == 200 for answer in more.answers)
    assert await _shown(stored) == {float(answered)}
