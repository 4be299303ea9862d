"""Three servers as a rehearsal uses them."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app.sandbox.replicas import ReplicaSet
from tests.conftest import roomy_memory

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def replicas() -> AsyncIterator[ReplicaSet]:
    folder = Path(tempfile.mkdtemp(prefix="replicas-", dir=roomy_memory()))
    try:
        async with ReplicaSet(folder) as replicas:
            yield replicas
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_killed_primary_is_replaced_and_comes_back_as_a_standby(
    replicas: ReplicaSet,
) -> None:
    first = replicas.primary
    await _ask(replicas.url, "CREATE TABLE kept AS SELECT 1 AS number")
    assert await _ask(replicas.url, "SHOW port") == str(first.port)
    assert await _ask(replicas.read_url, "SELECT pg_is_in_recovery()")

    await replicas.kill_primary()
    assert not first.is_running
    second = await replicas.promote()
    assert second is replicas.primary is not first
    assert first in replicas.standbys
    assert await _ask(replicas.url, "SHOW port") == str(second.port)
    # It waits for the standby that is left, which has found the new primary by itself.
    assert await _ask(replicas.url, "INSERT INTO kept VALUES (2) RETURNING number") == 2

    await replicas.rejoin(first.index)
    assert await _ask(first.url, "SELECT sum(number) FROM kept") == 3
    assert await _ask(first.url, "SELECT pg_is_in_recovery()")


async def test_a_commit_waits_for_one_of_the_standbys(replicas: ReplicaSet) -> None:
    one, other = replicas.standbys
    await one.kill()
    assert await _ask(replicas.url, "CREATE TABLE kept AS SELECT 1") is None
    other.freeze()
    waiting = asyncio.create_task(_ask(replicas.url, "CREATE TABLE waits AS SELECT 1"))
    while not await _ask(replicas.primary.url, _WAITING):  # noqa: ASYNC110 (no event announces it)
        await asyncio.sleep(0.05)
    assert not waiting.done()
    other.thaw()
    await waiting
    await one.start()
    await replicas.all_stream()
