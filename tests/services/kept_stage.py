"""Something stored a while ago, and a look at what is left of it."""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from app.db.bi.folding import fold_events
from app.db.database import Database
from app.db.ingest_session import IngestSession
from app.db.payloads import opened
from app.observability.metrics import Metrics
from app.services.intake import Intake, Receipt
from app.services.screening import Screen
from tests.promises.load import Callback, callback, changed

PATH = "/callbacks/***/status"
#: The forms of events that were put back by `$1`, with those of the month of that time instead.
_PUT_FORMS_BACK = (
    """
    INSERT INTO event_forms
    SELECT f.id # $2, date_trunc('month', now() - $1::interval), f.price, f.provider_status,
        f.detailed_status, f.description, f.campaign_tracking_id, f.sender, f.country, f.label,
        f.skeleton
    FROM event_forms AS f
    WHERE f.month > now() - interval '40 days'
        AND f.id IN (SELECT form_id FROM packed_events WHERE id > $3)
    ON CONFLICT DO NOTHING
    """,
    """
    UPDATE packed_events AS e SET form_id = f.id # $2
    FROM event_forms AS f
    WHERE f.id = e.form_id AND f.month > now() - interval '40 days' AND e.id > $3
        AND e.received_at < now() - $1::interval + interval '1 hour'
    """,
    """
    DELETE FROM event_forms AS f
    WHERE NOT EXISTS (SELECT FROM packed_events AS e WHERE e.form_id = f.id)
        AND $1::interval > interval '0' AND $2::bigint <> 0 AND $3::bigint > 0
    """,
)
#: All that an event tells, and its place in the feed.
_TOLD = """
SELECT message_tracking_id, status_key, to_jsonb(e) - 'payload' - 'received_at', payload,
    payload_dictionary
FROM events AS e
"""

Told = dict[tuple[str, str], tuple[str, bytes | None]]


def campaign(
    mark: str, recipients: Sequence[str], *statuses: str, **changes: object
) -> list[Callback]:
    """What is told of a campaign to *recipients*: all alike, so that it is packed."""
    return [
        changed(
            callback(f"{mark}-{at}", status, campaign=mark, days=days, place=2 * at),
            to=recipient,
            **changes,
        )
        for at, recipient in enumerate(recipients)
        for days, status in enumerate(statuses or ("DELIVERED",))
    ]


def numbers(items: int) -> list[str]:
    """Numbers of so many recipients."""
    return [f"+3069{at:08}" for at in range(items)]


class Kept:
    """A database in which callbacks are stored as if it had been days ago."""

    def __init__(self, url: str, connection: asyncpg.Connection) -> None:
        self.url = url
        self.connection = connection

    async def store(
        self, callbacks: Sequence[Callback], *, days_ago: int = 0, screen: Screen | None = None
    ) -> set[Receipt]:
        """Store *callbacks*, one flush for all, received so long ago."""
        session = IngestSession(self.url, statement_timeout_seconds=5)
        intake = Intake(session, Metrics(), ack_budget_seconds=5, screen=screen)
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

    async def told(self, mark: str = "") -> Told:
        """What each event whose message begins with *mark* tells, and its payload."""
        return {
            (row[0], row[1]): (row[2], row[3] and opened(row[3], row[4]))
            for row in await self.connection.fetch(_TOLD)
            if row[0].startswith(mark)
        }

    async def packed(self, mark: str = "") -> int:
        """How many events whose message begins with *mark* are packed."""
        return await self.number(
            "SELECT count(form_id) FROM packed_events JOIN messages USING (message_key)"
            " WHERE starts_with(plain_id, $1)",
            mark,
        )

    async def _put_back(self, after_id: int, age: timedelta) -> None:
        if not age:
            return
        for table in ("packed_events", "inbound_messages"):
            await self.connection.execute(
                f"UPDATE {table} SET received_at = now() - $1::interval"  # noqa: S608
                " WHERE id > $2 AND received_at > now() - interval '1 hour'",
                age,
                after_id,
            )
        for statement in _PUT_FORMS_BACK:
            await self.connection.execute(statement, age, age.days, after_id)
        await self.connection.execute(
            "UPDATE messages SET updated_at = now() - $1::interval"
            " WHERE updated_at > now() - interval '1 hour'",
            age,
        )
        await self.connection.execute(
            "UPDATE quarantine SET last_received_at = now() - $1::interval"
            " WHERE last_received_at > now() - interval '1 hour'",
            age,
        )

    async def _fold(self) -> None:
        database = Database(self.url, name="tests", pool_items=1)
        await fold_events(database)
        await database.close()
