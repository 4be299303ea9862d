"""`migrate --wait` may be started with the database, and before it answers."""

import asyncio
import os
import sys

import pytest

from tests.promises.stage import Postgres


async def _migrating(url: str, *, wait: float) -> asyncio.subprocess.Process:
    own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "migrate", f"--wait={wait}"),
        env=own | {"RECEIVER_DATABASE_URL": url},
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.slow
async def test_migrate_waits_for_a_database_and_says_so(postgres: Postgres) -> None:
    await postgres.stop()
    migrating = await _migrating(postgres.url, wait=300)
    assert migrating.stderr is not None
    said = await migrating.stderr.readuntil(b"s at most.")
    assert b"Waiting for" in said
    await postgres.start()
    rest = await migrating.stderr.read()
    assert await migrating.wait() == 0, rest
    assert b"The schema is at version" in rest


@pytest.mark.slow
async def test_migrate_waits_no_longer_than_it_may(postgres: Postgres) -> None:
    await postgres.stop()
    migrating = await _migrating(postgres.url, wait=0.1)
    _, said = await migrating.communicate()
    assert migrating.returncode == 1
    assert b"routee-receiver: " in said
    assert b"Traceback" not in said
