"""Everything that is stored, as the drill compares it with what was sent."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from app.db.drill.session import session
from app.db.payloads import opened
from app.domain.event import EventIdentity
from app.domain.message import Message

#: Campaign and status.
CountKey = tuple[str, str]

_PREFETCHED_ROWS: Final = 2000
_SAMPLE_SECONDS: Final = 5.0
_ITEMS: Final = """
SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM inbound_messages)
    + (SELECT count(*) FROM campaign_progress) + (SELECT count(*) FROM quarantine)
"""
_EVENTS: Final = """
SELECT message_tracking_id, status_key, occurred_at, digest, id, payload, payload_dictionary
FROM events
"""
_REPLIES: Final = "SELECT identity, id, payload, payload_dictionary FROM inbound_messages"
_PROGRESS: Final = "SELECT identity, id, payload, payload_dictionary FROM campaign_progress"
_QUARANTINE: Final = "SELECT sha256, times, body FROM quarantine"
_MESSAGES: Final = f"SELECT {', '.join(Message._fields)} FROM messages"
_COUNTS: Final = """
SELECT campaign_tracking_id, status, sum(messages)::bigint FROM (
    SELECT campaign_tracking_id, status, messages FROM campaign_counts
    UNION ALL
    SELECT campaign_tracking_id, status, messages FROM campaign_count_deltas
) AS parts GROUP BY 1, 2 HAVING sum(messages) <> 0
"""
_RECOUNT: Final = """
SELECT campaign_tracking_id, status, count(*) FROM messages
WHERE campaign_tracking_id IS NOT NULL GROUP BY 1, 2
"""
_ANALYSTS_MESSAGES: Final = "SELECT message_tracking_id, status, status_at FROM bi_v1.messages"
_ANALYSTS_EVENTS: Final = "SELECT id FROM bi_v1.message_events"
_ANALYSTS_REPLIES: Final = "SELECT id FROM bi_v1.inbound_messages"
#: Of each table that callbacks write, how many rows there are and a digest that knows no order.
_DIGESTS: Final = " UNION ALL ".join(
    f"SELECT '{table}', count(*), coalesce(sum(hashtextextended(row::text, 0)::numeric), 0)"
    f" FROM {table} AS row"
    for table in ("events", "messages", "inbound_messages", "campaign_progress", "quarantine")
)
_SETTINGS: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"
_WAL: Final = "SELECT pg_current_wal_insert_lsn() - '0/0', pg_current_wal_flush_lsn() - '0/0'"


class StoredRecord(NamedTuple):
    """An event, a reply or a campaign's progress."""

    id: int
    #: SHA-256 of the payload as a reader gets it.
    sha256: bytes


class QuarantinedBody(NamedTuple):
    """A body in the quarantine."""

    times: int
    #: SHA-256 of its bytes; its key is what the service took for that.
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """All rows that callbacks lead to."""

    events: Mapping[EventIdentity, StoredRecord]
    replies: Mapping[bytes, StoredRecord]
    progress: Mapping[bytes, StoredRecord]
    quarantine: Mapping[bytes, QuarantinedBody]
    messages: Mapping[str, Message]
    #: What readers see: what is folded, and what is not yet.
    counts: Mapping[CountKey, int]
    #: The same, counted from the messages.
    recount: Mapping[CountKey, int]


class MessageState(NamedTuple):
    """A message as a reader sees it."""

    status: str
    status_at: datetime | None


@dataclass(frozen=True, slots=True)
class AnalystsView:
    """What `bi_v1` shows: messages by their ids, and the ids of events and replies."""

    messages: Mapping[str, MessageState]
    events: list[int]
    replies: list[int]


class WalPositions(NamedTuple):
    """How far the write-ahead log is written, and how far it is flushed, in bytes."""

    written: int
    flushed: int


async def count_items(url: str) -> int:
    """
    How many events, replies, reports and quarantined bodies are stored.

    Raises:
        DatabaseUnavailable: the server does not answer within seconds.
    """
    async with session(url, command_seconds=_SAMPLE_SECONDS) as connection:
        return int(await connection.fetchval(_ITEMS))


async def read_stored(url: str) -> Stored:
    """
    Everything that callbacks lead to, as one snapshot.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    async with (
        session(url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return Stored(
            events=await _records(connection, _EVENTS, key=lambda row: tuple(row[:4])),
            replies=await _records(connection, _REPLIES, key=lambda row: row[0]),
            progress=await _records(connection, _PROGRESS, key=lambda row: row[0]),
            quarantine={
                row[0]: QuarantinedBody(row[1], hashlib.sha256(row[2]).digest())
                async for row in connection.cursor(_QUARANTINE, prefetch=_PREFETCHED_ROWS)
            },
            messages={
                row["message_tracking_id"]: Message(*row)
                async for row in connection.cursor(_MESSAGES, prefetch=_PREFETCHED_ROWS)
            },
            counts=await _counts(connection, _COUNTS),
            recount=await _counts(connection, _RECOUNT),
        )


async def read_analysts_view(url: str) -> AnalystsView:
    """
    What analysts see of the same.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    async with session(url) as connection:
        return AnalystsView(
            messages={
                row[0]: MessageState(row[1], row[2])
                for row in await connection.fetch(_ANALYSTS_MESSAGES)
            },
            events=[row[0] for row in await connection.fetch(_ANALYSTS_EVENTS)],
            replies=[row[0] for row in await connection.fetch(_ANALYSTS_REPLIES)],
        )


async def digests(url: str) -> Mapping[str, object]:
    """
    A digest of each table that callbacks write, and the counts.

    Raises:
        DatabaseUnavailable: they cannot be read.
    """
    async with session(url) as connection:
        rows = await connection.fetch(_DIGESTS)
        tables: dict[str, object] = {row[0]: (row[1], row[2]) for row in rows}
        return tables | {"counts": await _counts(connection, _COUNTS)}


async def settings_of(url: str, names: Sequence[str]) -> Mapping[str, str]:
    """
    The settings of the server with these *names*.

    Raises:
        DatabaseUnavailable: they cannot be read.
    """
    async with session(url) as connection:
        return {row[0]: row[1] for row in await connection.fetch(_SETTINGS, names)}


async def wal_positions(url: str) -> WalPositions:
    """
    Where the write-ahead log is.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    async with session(url) as connection:
        (row,) = await connection.fetch(_WAL)
        return WalPositions(int(row[0]), int(row[1]))


async def _records(connection: asyncpg.Connection, query: str, *, key: Any) -> dict[Any, Any]:  # noqa: ANN401 (two kinds of keys)
    return {
        key(row): StoredRecord(row["id"], _sha256(row["payload"], row["payload_dictionary"]))
        async for row in connection.cursor(query, prefetch=_PREFETCHED_ROWS)
    }


def _sha256(payload: bytes | None, dictionary: int) -> bytes:
    return hashlib.sha256(b"" if payload is None else opened(payload, dictionary)).digest()


async def _counts(connection: asyncpg.Connection, query: str) -> dict[CountKey, int]:
    return {(row[0], row[1]): row[2] for row in await connection.fetch(query)}
