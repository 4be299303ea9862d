"""A database with something in it, and an analyst who may look."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.db.bi.stage import analyst
from tests.db.feed.feed_stage import days, event, reply, store

NUMBER = "+306912345678"


@pytest.fixture
async def analyst_url(url: str, connection: asyncpg.Connection) -> AsyncIterator[str]:
    """Where an analyst, who sees masked numbers, reaches a database with a campaign of three."""
    await store(
        connection,
        event("m1", "DELIVERED"),
        event("m2", "SEEN", at=days(1)),
        event("m3", "UNDELIVERED"),
        reply("m1"),
    )
    await connection.execute(
        "INSERT INTO campaigns (tracking_id, name, submission) VALUES ('c', 'Πάσχα', 'launched')"
        " ON CONFLICT (tracking_id) DO UPDATE SET name = excluded.name"
    )
    async with analyst(url) as analyst_url:
        yield analyst_url
