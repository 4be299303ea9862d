"""Pseudonymising the messages and events of a recipient, and redacting those of others."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.feed.positions import horizon_of
from app.db.payloads import opened
from app.db.rebuild.messages import repair_locked
from app.db.retention.runs import CHUNK_PLANNER
from app.domain.feed import Position
from app.errors import PayloadUnreadable

#: So that one transaction holds few rows, and for milliseconds.
CHUNK_ITEMS: Final = 500
SCAN_ITEMS: Final = 2000
#: Of stored payloads. A page with more has one row only.
PAGE_BYTES: Final = 4 * 1024 * 1024
#: Columns that may quote a number.
_TEXTS: Final = ("detailed_status", "description", "sender", "country", "label", "provider_status")
_ALL_TEXTS: Final = ", ".join(("recipient", "status_key", *_TEXTS))
_REDACTED: Final = ", ".join(
    f"{column} = regexp_replace({column}, :pattern, :pseudonym, 'g')" for column in _TEXTS
)

EventKey = tuple[str, str, datetime, bytes]


class Replacement(NamedTuple):
    """The number to search for, and what replaces it."""

    #: See `domain.erasure.spelling_pattern`.
    pattern: str
    pseudonym: str
    #: All that may have replaced the number in earlier erasures, finished or not.
    pseudonyms: list[str]
    #: See `domain.erasure.NumberHash.digest_key`.
    digest_key: bytes


class StoredEvent(NamedTuple):
    """What an erasure searches of an event."""

    key: EventKey
    position: Position
    recipient: str | None
    texts: str
    #: Compressed.
    payload: bytes | None
    payload_dictionary: int


_OWNED: Final = text("""
SELECT message_tracking_id FROM messages
WHERE recipient ~ :pattern OR recipient = ANY(CAST(:pseudonyms AS text[]))
""")
_QUOTING: Final = text(f"""
SELECT message_tracking_id FROM messages WHERE concat_ws(' ', {_ALL_TEXTS}) ~ :pattern
""")
NEXT_EVENTS: Final = text(f"""
SELECT message_tracking_id, status_key, occurred_at, digest, feed_epoch, xid, id, recipient,
    texts, payload, payload_dictionary
FROM (
    SELECT *, concat_ws(' ', {_ALL_TEXTS}) AS texts,
        sum(coalesce(octet_length(payload), 0)) OVER (
            ORDER BY feed_epoch, xid, id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) - coalesce(octet_length(payload), 0) AS bytes_before
    FROM events
    WHERE (feed_epoch, xid, id) > (CAST(:e1 AS smallint), CAST(:x1 AS xid8), CAST(:i1 AS bigint))
        AND (feed_epoch, xid, id)
            < (CAST(:e2 AS smallint), CAST(:x2 AS xid8), CAST(:i2 AS bigint))
    ORDER BY feed_epoch, xid, id LIMIT :most
) AS page
WHERE bytes_before < {PAGE_BYTES}
""")
#: In the one order of message rows, and before the events, as in every other writer.
_LOCK: Final = text("""
SELECT 1 FROM messages WHERE message_tracking_id = ANY(CAST(:ids AS text[]))
ORDER BY message_tracking_id COLLATE "C" FOR UPDATE
""")
_IS_OWN: Final = f"""
message_tracking_id = ANY(CAST(:ids AS text[]))
    AND concat_ws(' ', {_ALL_TEXTS}) ~ :pattern
"""
_IS_OWN_EVENT: Final = f"""
message_tracking_id = ANY(CAST(:ids AS text[]))
    AND (payload IS NOT NULL OR concat_ws(' ', {_ALL_TEXTS}) ~ :pattern)
"""
_PARTITION: Final = "RETURNING CAST(CAST(tableoid AS regclass) AS text)"
_STATUS_KEY: Final = "regexp_replace(e.status_key, :pattern, :pseudonym, 'g')"
#: The status word is part of the key, and the event may have come again without the number.
_REDACTED_EVENT: Final = f"""
payload = NULL, {_REDACTED}, status_key = {_STATUS_KEY} || CASE
    WHEN e.status_key ~ :pattern AND EXISTS (
        SELECT FROM events o WHERE o.message_tracking_id = e.message_tracking_id
            AND o.status_key = {_STATUS_KEY} AND o.occurred_at = e.occurred_at
            AND o.digest = e.digest
    ) THEN '-' || e.id ELSE '' END
"""
_OWN_MESSAGES: Final = text(f"""
UPDATE messages SET
    recipient = CASE WHEN recipient IS NOT NULL THEN :pseudonym END, {_REDACTED},
    status_key = regexp_replace(status_key, :pattern, :pseudonym, 'g')
WHERE {_IS_OWN} {_PARTITION}
""")
#: As `NumberHash.pseudonymised_digest`. The digest is part of the key, and the event may have been
#: stored again meanwhile under that digest.
_DIGEST: Final = "sha256(CAST(:digest_key AS bytea) || e.digest)"
_OWN_EVENTS: Final = text(f"""
UPDATE events e
SET recipient = CASE WHEN recipient IS NOT NULL THEN :pseudonym END, {_REDACTED_EVENT},
    digest = CASE
        WHEN e.digest = '' OR e.recipient IS NULL THEN e.digest
        WHEN EXISTS (
            SELECT FROM events o WHERE o.message_tracking_id = e.message_tracking_id
                AND o.occurred_at = e.occurred_at AND o.digest = {_DIGEST}
        ) THEN sha256({_DIGEST} || int8send(e.id))
        ELSE {_DIGEST}
    END
WHERE {_IS_OWN_EVENT} {_PARTITION}
""")
_COUNT: Final = text(f"""
SELECT 'events', count(*) FROM events WHERE {_IS_OWN_EVENT}
UNION ALL SELECT 'messages', count(*) FROM messages WHERE {_IS_OWN}
""")
_REDACT_MESSAGES: Final = text(f"""
UPDATE messages SET {_REDACTED},
    status_key = regexp_replace(status_key, :pattern, :pseudonym, 'g')
WHERE message_tracking_id = ANY(CAST(:ids AS text[])) {_PARTITION}
""")
_REDACT_EVENT: Final = text(f"""
UPDATE events e SET {_REDACTED_EVENT}
WHERE message_tracking_id = :message AND status_key = :status AND occurred_at = :occurred_at
    AND digest = :digest
{_PARTITION}
""")


async def end_of_scan(database: Database) -> Position:
    """A position beyond everything that transactions write which have begun by now."""
    async with database.reading() as session:
        horizon = await horizon_of(session)
        return Position(horizon.epoch, horizon.xmax, 0)


async def messages_to(database: Database, wanted: Replacement) -> list[str]:
    """The ids of all messages to the number, also of those that were pseudonymised before."""
    async with database.reading() as session:
        return list(await session.scalars(_OWNED, wanted._asdict()))


async def messages_quoting(database: Database, wanted: Replacement) -> list[str]:
    """The ids of all messages that have the number in any text."""
    async with database.reading() as session:
        return list(await session.scalars(_QUOTING, {"pattern": wanted.pattern}))


async def next_events(database: Database, after: Position, end: Position) -> Sequence[StoredEvent]:
    """The events to search after *after*; none at the end."""
    e1, x1, i1 = after
    e2, x2, i2 = end
    between = {"e1": e1, "x1": x1, "i1": i1, "e2": e2, "x2": x2, "i2": i2, "most": SCAN_ITEMS}
    async with database.reading(planner=CHUNK_PLANNER) as session:
        rows = (await session.execute(NEXT_EVENTS, between)).all()
    return [StoredEvent(tuple(row[:4]), Position(*row[4:7]), *row[7:]) for row in rows]


async def count_known(database: Database, ids: Sequence[str], wanted: Replacement) -> Counter[str]:
    """How many rows of each table `pseudonymise_messages` would change."""
    async with database.reading(planner=CHUNK_PLANNER) as session:
        rows = await session.execute(_COUNT, {"ids": list(ids), "pattern": wanted.pattern})
        return Counter({row[0]: int(row[1]) for row in rows})


async def pseudonymise_messages(
    database: Database, ids: Sequence[str], wanted: Replacement
) -> Counter[str]:
    """Pseudonymise the messages *ids* and their events; how many rows of each partition."""
    given = {"ids": list(ids), **wanted._asdict()}
    async with database.writing(planner=CHUNK_PLANNER) as session:
        await session.execute(_LOCK, {"ids": list(ids)})
        messages = await _changed(session, _OWN_MESSAGES, given)
        events = await _changed(session, _OWN_EVENTS, given)
        # The least of pseudonymised texts may be another than the least text, pseudonymised.
        await repair_locked(session, ids)
        return messages + events


async def redact_messages(
    database: Database, ids: Sequence[str], wanted: Replacement
) -> Counter[str]:
    """Take the number out of the texts of other recipients' messages; how many rows."""
    given = {"ids": list(ids), **wanted._asdict()}
    async with database.writing() as session:
        await session.execute(_LOCK, {"ids": list(ids)})
        return await _changed(session, _REDACT_MESSAGES, given)


async def redact_events(
    database: Database, keys: Sequence[EventKey], wanted: Replacement
) -> Counter[str]:
    """
    Take the number, and the whole payload, out of events of others; rows of each partition.

    Their messages become what these events report then.
    """
    ids = sorted({key[0] for key in keys})
    async with database.writing(planner=CHUNK_PLANNER) as session:
        await session.execute(_LOCK, {"ids": ids})
        changed: Counter[str] = Counter()
        for key in keys:
            changed += await _redact_event(session, key, wanted)
        changed["messages"] += await repair_locked(session, ids)
        return +changed


def opened_or_empty(payload: bytes | None, dictionary: int) -> bytes:
    """The payload; empty if there is none, or one that cannot be opened."""
    try:
        return b"" if payload is None else opened(payload, dictionary)
    except PayloadUnreadable:  # the number cannot be read in it either
        return b""


async def _redact_event(session: AsyncSession, key: EventKey, wanted: Replacement) -> Counter[str]:
    given = dict(zip(("message", "status", "occurred_at", "digest"), key, strict=True))
    return await _changed(session, _REDACT_EVENT, given | wanted._asdict())


async def _changed(
    session: AsyncSession, statement: TextClause, given: dict[str, Any]
) -> Counter[str]:
    return Counter((await session.scalars(statement, given)).all())
