"""What a removal would take, counted without taking anything."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text

from app.db.database import Database
from app.db.retention.connections import reading_whole_tables


class Survey(NamedTuple):
    """Of one kind of thing: how many rows would go, and about how many bytes."""

    name: str
    rows: int
    bytes: int


_QUERIES: Final = {
    "raw": {
        "payloads of events": "SELECT count(*), coalesce(sum(pg_column_size(payload)), 0)"
        " FROM events WHERE payload IS NOT NULL AND received_at < :before",
        "payloads of inbound_messages": "SELECT count(*), coalesce(sum(pg_column_size(payload)), 0)"
        " FROM inbound_messages WHERE payload IS NOT NULL AND received_at < :before",
    },
    "events": {
        "events": "SELECT count(*), coalesce(sum(pg_column_size(e.*)), 0)"
        " FROM events e WHERE received_at < :before",
    },
    "messages": {
        # As far as can be seen before the events are gone.
        "messages": "SELECT count(*), coalesce(sum(pg_column_size(m.*)), 0)"
        " FROM messages m WHERE updated_at < :before AND NOT EXISTS (SELECT FROM events e"
        " WHERE e.message_tracking_id = m.message_tracking_id AND e.received_at >= :events)",
    },
    "inbound": {
        "inbound_messages": "SELECT count(*), coalesce(sum(pg_column_size(i.*)), 0)"
        " FROM inbound_messages i WHERE received_at < :before",
        "quarantine": "SELECT count(*), coalesce(sum(pg_column_size(q.*)), 0)"
        " FROM quarantine q WHERE last_received_at < :before",
    },
}


async def survey(
    database: Database, kind: str, *, before: datetime, events: datetime | None
) -> list[Survey]:
    """What of *kind*, a member of `Retention`, would go; *events*: their horizon."""
    found = []
    async with reading_whole_tables(database) as session:
        for name, query in _QUERIES[kind].items():
            given = {"before": before} | ({"events": events} if ":events" in query else {})
            rows, size = (await session.execute(text(query), given)).one()
            found.append(Survey(name, int(rows), int(size)))
    return found
