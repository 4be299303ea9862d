"""Callbacks that were stored days ago, and queries for what is left of them."""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from app.db.bi.roll_up import roll_up_events
from app.db.database import Database
from app.db.ingest import IngestSession
from app.observability.metrics import Metrics
from app.services.callbacks.intake import Receipt
from app.services.callbacks.screening import Screen
from tests.promises.load import Callback
from tests.services.callbacks.intakes import intake_on

PATH = "/callbacks/***/status"
#: The partition of the month in which the tests' callbacks happened. A new schema begins with the
#: last month, so months between are missing, and no test stores an event in them.
ADD_MARCH_2026 = """
DO $$ BEGIN
    IF to_regclass('events_2026_03') IS NULL THEN
        ALTER TABLE events DETACH PARTITION events_before;
        CREATE TABLE events_2026_03 PARTITION OF events
            FOR VALUES FROM ('2026-03-01Z') TO ('2026-04-01Z');
        ALTER TABLE events ATTACH PARTITION events_before
            FOR VALUES FROM (MINVALUE) TO ('2026-03-01Z');
    END IF;
END $$
"""


class Kept:
    """A database in which callbacks are stored as of days ago."""

    def __init__(self, url: str, connection: asyncpg.Connection) -> None:
        self.url = url
        self.connection = connection

    async def store(
        self, callbacks: Sequence[Callback], *, days_ago: int = 0, screen: Screen | None = None
    ) -> set[Receipt]:
        """Store *callbacks* as received so many days ago."""
        session = IngestSession(self.url, statement_timeout_seconds=5)
        intake = intake_on(session, Metrics(), ack_budget_seconds=5, screen=screen)
        before = await self.connection.fetchval("SELECT nextval('feed_id')")
        try:
            receipts = {await intake.receive(one.body, path=PATH) for one in callbacks}
        finally:
            await intake.close()
        await self._put_back(before, timedelta(days=days_ago))
        await self._fold()
        return receipts

    async def number(self, query: str, *arguments: object) -> int:
        """The one number that *query* gives."""
        return int(await self.connection.fetchval(query, *arguments))

    async def texts(self, query: str) -> list[str | None]:
        """The one column of *query*."""
        return [row[0] for row in await self.connection.fetch(query)]

    async def _put_back(self, after_id: int, age: timedelta) -> None:
        if not age:
            return
        for table in ("events", "inbound_messages"):
            await self.connection.execute(
                f"UPDATE {table} SET received_at = now() - $1::interval"  # noqa: S608
                " WHERE id > $2 AND received_at > now() - interval '1 hour'",
                age,
                after_id,
            )
        await self.connection.execute(
            "UPDATE messages SET updated_at = now() - $1::interval,"
            " first_received_at = LEAST(first_received_at, now() - $1::interval)"
            " WHERE updated_at > now() - interval '1 hour'",
            age,
        )
        await self.connection.execute(
            "UPDATE campaign_progress SET received_at = now() - $1::interval"
            " WHERE received_at > now() - interval '1 hour'",
            age,
        )
        await self.connection.execute(
            "UPDATE quarantine SET last_received_at = now() - $1::interval"
            " WHERE last_received_at > now() - interval '1 hour'",
            age,
        )

    async def _fold(self) -> None:
        database = Database(self.url, name="tests", pool_items=1)
        await roll_up_events(database)
        await database.close()
