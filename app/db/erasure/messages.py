"""Making the messages and events of a recipient unknown, and what others quote of the number."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.feed_places import horizon_of
from app.db.payloads import opened
from app.domain.feed import Position
from app.errors import PayloadUnreadable

#: So that one transaction holds few rows, and for milliseconds.
CHUNK_ITEMS: Final = 500
WALK_ITEMS: Final = 2000
#: Columns that may quote a number.
_TEXTS: Final = ("detailed_status", "description", "sender", "country", "label", "provider_status")
_ALL_TEXTS: Final = ", ".join(("recipient", *_TEXTS))
_REDACTED: Final = ", ".join(
    f"{column} = regexp_replace({column}, :pattern, :pseudonym, 'g')" for column in _TEXTS
)

EventKey = tuple[str, str, datetime]


class Replacement(NamedTuple):
    """Which number is looked for, and what is put in its place."""

    #: See `domain.erasure.spellings`.
    pattern: str
    pseudonym: str


class StoredEvent(NamedTuple):
    """What is searched of an event."""

    key: EventKey
    position: Position
    recipient: str | None
    texts: str
    payload: bytes


_OWNED: Final = text("SELECT message_tracking_id FROM messages WHERE recipient ~ :pattern")
_QUOTING: Final = text(f"""
SELECT message_tracking_id FROM messages WHERE concat_ws(' ', {_ALL_TEXTS}) ~ :pattern
""")
#: Of `walked_events`.
WALK: Final = text(f"""
SELECT message_tracking_id, status_key, occurred_at, feed_epoch, xid, id, recipient,
    concat_ws(' ', {_ALL_TEXTS}), payload, payload_dictionary
FROM events
WHERE (feed_epoch, xid, id) > (CAST(:e1 AS smallint), CAST(:x1 AS xid8), CAST(:i1 AS bigint))
    AND (feed_epoch, xid, id) < (CAST(:e2 AS smallint), CAST(:x2 AS xid8), CAST(:i2 AS bigint))
ORDER BY feed_epoch, xid, id LIMIT :most
""")
#: In the one order of message rows, and before the events: whoever writes those does so as well.
_LOCK: Final = text("""
SELECT 1 FROM messages WHERE message_tracking_id = ANY(CAST(:ids AS text[]))
ORDER BY message_tracking_id COLLATE "C" FOR UPDATE
""")
_OWN_MESSAGES: Final = text(f"""
UPDATE messages SET recipient = :pseudonym, {_REDACTED}
WHERE message_tracking_id = ANY(CAST(:ids AS text[])) AND recipient ~ :pattern
RETURNING 1
""")
_OWN_EVENTS: Final = text(f"""
UPDATE events
SET recipient = CASE WHEN recipient IS NOT NULL THEN :pseudonym END, payload = NULL, {_REDACTED}
WHERE message_tracking_id = ANY(CAST(:ids AS text[]))
    AND (payload IS NOT NULL OR concat_ws(' ', {_ALL_TEXTS}) ~ :pattern)
RETURNING 1
""")
_REDACT_MESSAGES: Final = text(f"""
UPDATE messages SET {_REDACTED} WHERE message_tracking_id = ANY(CAST(:ids AS text[])) RETURNING 1
""")
_REDACT_EVENT: Final = text(f"""
UPDATE events SET payload = NULL, {_REDACTED}
WHERE message_tracking_id = :message AND status_key = :status AND occurred_at = :occurred_at
RETURNING 1
""")


async def end_of_walk(database: Database) -> Position:
    """Beyond everything that a transaction has written which has begun by now."""
    async with database.reading() as session:
        horizon = await horizon_of(session)
        return Position(horizon.epoch, horizon.xmax, 0)


async def messages_to(database: Database, wanted: Replacement) -> list[str]:
    """The ids of all messages to the number."""
    async with database.reading() as session:
        return list(await session.scalars(_OWNED, {"pattern": wanted.pattern}))


async def messages_quoting(database: Database, wanted: Replacement) -> list[str]:
    """The ids of all messages that have the number somewhere else."""
    async with database.reading() as session:
        return list(await session.scalars(_QUOTING, {"pattern": wanted.pattern}))


async def walked_events(
    database: Database, after: Position, end: Position
) -> Sequence[StoredEvent]:
    """The next events of the feed, to be searched; none at the end."""
    e1, x1, i1 = after
    e2, x2, i2 = end
    bounds = {"e1": e1, "x1": x1, "i1": i1, "e2": e2, "x2": x2, "i2": i2, "most": WALK_ITEMS}
    async with database.reading() as session:
        rows = (await session.execute(WALK, bounds)).all()
    return [
        StoredEvent(
            tuple(row[:3]), Position(*row[3:6]), row[6], row[7], opened_or_empty(row[8], row[9])
        )
        for row in rows
    ]


async def make_unknown(
    database: Database, ids: Sequence[str], wanted: Replacement
) -> dict[str, int]:
    """Make the messages *ids*, those to the number, unknown; how many rows of which table."""
    given = {"ids": list(ids), **wanted._asdict()}
    async with database.writing() as session:
        await session.execute(_LOCK, {"ids": list(ids)})
        return {
            "messages": await _changed(session, _OWN_MESSAGES, given),
            "events": await _changed(session, _OWN_EVENTS, given),
        }


async def redact_messages(database: Database, ids: Sequence[str], wanted: Replacement) -> int:
    """Take the number out of what other messages quote; how many."""
    given = {"ids": list(ids), **wanted._asdict()}
    async with database.writing() as session:
        await session.execute(_LOCK, {"ids": list(ids)})
        return await _changed(session, _REDACT_MESSAGES, given)


async def redact_events(database: Database, keys: Sequence[EventKey], wanted: Replacement) -> int:
    """Take the number, and the payloads with it, out of events of others; how many."""
    async with database.writing() as session:
        await session.execute(_LOCK, {"ids": [key[0] for key in keys]})
        return sum([await _redact_event(session, key, wanted) for key in keys])


def opened_or_empty(payload: bytes | None, dictionary: int) -> bytes:
    """What can be searched of a stored payload."""
    try:
        return b"" if payload is None else opened(payload, dictionary)
    except PayloadUnreadable:  # nobody can read the number in it either
        return b""


async def _redact_event(session: AsyncSession, key: EventKey, wanted: Replacement) -> int:
    message, status, occurred_at = key
    given = {"message": message, "status": status, "occurred_at": occurred_at}
    return await _changed(session, _REDACT_EVENT, given | wanted._asdict())


async def _changed(session: AsyncSession, statement: Any, given: dict[str, Any]) -> int:  # noqa: ANN401
    return len((await session.execute(statement, given)).all())
