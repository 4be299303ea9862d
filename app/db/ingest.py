"""
How the callback path stores: one connection, and one statement for each kind of record.

The statements are functions in the database, `append_events.sql`, `append_inbound.sql` and
`append_progress.sql` in `migrations/sql`: their plans need settings, which a function confines to
itself.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from app.db.connecting import connect, require_replicated
from app.db.engine import SEARCH_PATH
from app.db.failures import Contended, ValuesRefused, translated, translating
from app.db.feed.epoch import keep_epoch
from app.db.feed.positions import COMMIT_DELAY
from app.db.payloads import compressed
from app.domain.campaign_progress import CampaignProgress
from app.domain.event import DeliveryEvent, EventIdentity, merged_event
from app.domain.inbound_message import InboundMessage
from app.domain.quarantine import Quarantined
from app.errors import DatabaseUnavailable

# The batch is one array of rows: the driver looks at each element of an array to see whether it is
# an array itself, which as one array for each column took 40 µs an event instead of 12.
APPEND_EVENTS: Final = "SELECT append_events($1, $2)"
APPEND_INBOUND: Final = "SELECT fresh, foreign_replies FROM append_inbound($1, $2)"
APPEND_PROGRESS: Final = "SELECT append_progress($1, $2)"

#: What `append_events` raises for the first message that belongs to another campaign.
_FOREIGN: Final = "RR001"
_FIND_MESSAGES: Final = """
SELECT message_tracking_id, campaign_tracking_id, campaign_id
FROM messages WHERE message_tracking_id = ANY($1)
"""

#: It writes, so that it ends only when a synchronous standby has what it has found.
_STORED_IDENTITIES: Final = """
SELECT identity, after_known(0) FROM (
    SELECT identity FROM inbound_messages WHERE identity = ANY($1)
    UNION ALL SELECT identity FROM campaign_progress WHERE identity = ANY($1)
) AS stored
"""

#: An abandoned flush whose commit waits for a standby keeps its session on the server until one
#: comes back, and nothing ends it: PostgreSQL's timeouts do not apply to that wait, and cancelling
#: it would commit on the primary alone. So there are not more of them than a few.
MOST_STUCK_COMMITS: Final = 8
_STUCK_COMMITS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND wait_event = 'SyncRep'
    AND application_name = current_setting('application_name')
    AND state_change < now() - interval '1 second'
"""

#: The campaigns of tokens through which callbacks came that name no campaign. FOR SHARE, so that
#: binding the trackingId either comes first, and is seen here, or waits, and then sees the rows
#: that the transaction writes.
_LOCK_CAMPAIGNS: Final = """
SELECT id, tracking_id FROM campaigns WHERE id = ANY($1::uuid[]) ORDER BY id FOR SHARE
"""

APPEND_QUARANTINED: Final = """
INSERT INTO quarantine AS q
    (sha256, reason, body, path, campaign_id, content_type, content_encoding,
    payload_reserialised, times, received_at, last_received_at)
SELECT given.*, coalesce($10, now()), coalesce($10, now()) FROM unnest(
    $1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::uuid[], $6::text[], $7::text[],
    $8::boolean[], $9::bigint[]
) AS given(sha256, reason, body, path, campaign_id, content_type, content_encoding,
    payload_reserialised, times)
ORDER BY sha256
ON CONFLICT (sha256) DO UPDATE SET
    times = q.times + excluded.times,
    received_at = LEAST(q.received_at, excluded.received_at),
    last_received_at = GREATEST(q.last_received_at, excluded.last_received_at)
"""

#: Of what has a place in the feed, and was received earlier than what stands in front of it there.
_NOTE_REPLAY: Final = "INSERT INTO feed_replays DEFAULT VALUES ON CONFLICT DO NOTHING"

#: The connection of a flush. Only app/db runs statements on it.
IngestConnection = asyncpg.Connection

_NONE: Final[frozenset[int]] = frozenset()
_SESSION_SETTINGS: Final = {
    "application_name": "routee-receiver ingest",
    # A 200 is a committed row, whatever the server's default is.
    "synchronous_commit": "on",
    "jit": "off",
    **SEARCH_PATH,
}

T = TypeVar("T")
R = TypeVar("R", DeliveryEvent, InboundMessage)


class Appended(NamedTuple):
    """What became of a batch."""

    #: How many records were not stored before; the others were duplicates.
    fresh: int
    #: The indexes of records of another campaign than their token's. They were not stored.
    foreign: frozenset[int]


@translating
async def append_events(
    connection: asyncpg.Connection,
    events: Sequence[DeliveryEvent],
    received_at: datetime | None = None,
) -> Appended:
    """
    Make *events* and all that follows from them durable, in one transaction.

    They were received at *received_at*, or now if that is None; so with all kinds of records.

    All events of one message came through the same token, or all through none. Those of messages
    that belong to another campaign than the token's are left out.
    """
    foreign: set[str] = set()
    wanted = _distinct(events)
    while wanted:
        try:
            row = await _appended(connection, APPEND_EVENTS, wanted, received_at)
        except asyncpg.PostgresError as error:
            if error.sqlstate != _FOREIGN:
                raise
            # Rare. The error names one message, perhaps stored a moment ago; one query finds the
            # others.
            foreign |= {str(error.detail), *await _foreign_in(connection, wanted)}
            wanted = [event for event in wanted if event.message_tracking_id not in foreign]
        else:
            fresh = row[0] if row else 0
            return Appended(fresh, _indexes([event[0] for event in events], foreign))
    return Appended(0, frozenset(range(len(events))))


@translating
async def append_inbound(
    connection: asyncpg.Connection,
    replies: Sequence[InboundMessage],
    received_at: datetime | None = None,
) -> Appended:
    """Make replies durable; one that is stored already is deduplicated."""
    row = await _appended(connection, APPEND_INBOUND, replies, received_at)
    fresh, foreign = row or (0, None)
    return Appended(fresh, _indexes([reply.identity for reply in replies], foreign or ()))


@translating
async def append_progress(
    connection: asyncpg.Connection,
    reports: Sequence[CampaignProgress],
    received_at: datetime | None = None,
) -> Appended:
    """Make reports of campaigns' progress durable; one that is stored already is deduplicated."""
    fresh = await connection.fetchval(APPEND_PROGRESS, _rows(reports), received_at)
    return Appended(fresh, _NONE)


@translating
async def append_quarantined(
    connection: asyncpg.Connection,
    bodies: Sequence[Quarantined],
    received_at: datetime | None = None,
) -> None:
    """Quarantine *bodies*; the same bytes again only count up."""
    times: dict[bytes, int] = {}
    for body in bodies:
        times[body.sha256] = times.get(body.sha256, 0) + 1
    distinct = list({body.sha256: body for body in reversed(bodies)}.values())
    columns = [list(column) for column in zip(*distinct, strict=True)]
    await connection.execute(
        APPEND_QUARANTINED, *columns, [times[body.sha256] for body in distinct], received_at
    )


@translating
async def stored_identities(
    connection: asyncpg.Connection, identities: Collection[bytes]
) -> frozenset[bytes]:
    """Those of *identities* under which a reply or a campaign's progress is durably stored."""
    rows = await connection.fetch(_STORED_IDENTITIES, list(identities))
    return frozenset(row[0] for row in rows)


async def _appended(
    connection: asyncpg.Connection,
    statement: str,
    records: Sequence[R],
    received_at: datetime | None,
) -> asyncpg.Record | None:
    """Run *statement*; records that name no campaign get the trackingId of their token's."""
    unnamed, is_replay = _unnamed(records), _was_long_ago(received_at)
    if not unnamed and not is_replay:
        return await connection.fetchrow(statement, _rows(records), received_at)
    async with connection.transaction():
        if is_replay:
            await connection.execute(_NOTE_REPLAY)
        bound = await _bound(connection, records, unnamed)
        return await connection.fetchrow(statement, _rows(bound), received_at)


def _was_long_ago(received_at: datetime | None) -> bool:
    """Whether the feed, which is nearly in the order of `received_at`, has later items by now."""
    return received_at is not None and datetime.now(UTC) - received_at > COMMIT_DELAY / 2


async def _foreign_in(connection: asyncpg.Connection, events: Sequence[DeliveryEvent]) -> set[str]:
    """The messages of *events* that are known to belong to another campaign than their token's."""
    bound = await _bound(connection, events, _unnamed(events))
    by_token = {event.message_tracking_id: event for event in bound if event.campaign_id}
    rows = await connection.fetch(_FIND_MESSAGES, list(by_token))
    return {row[0] for row in rows if _is_foreign(by_token[row[0]], row)}


def _is_foreign(event: DeliveryEvent, known: asyncpg.Record) -> bool:
    """As `is_foreign` in `migrations/sql/merging.sql`."""
    _, tracking_id, campaign_id = known
    if event.campaign_tracking_id is not None and tracking_id is not None:
        return bool(event.campaign_tracking_id != tracking_id)
    return bool(campaign_id != event.campaign_id)


def _indexes(keys: Sequence[T], wanted: Collection[T]) -> frozenset[int]:
    return frozenset(index for index, key in enumerate(keys) if key in wanted) if wanted else _NONE


def _distinct(events: Sequence[DeliveryEvent]) -> list[DeliveryEvent]:
    """Each event once: one statement cannot upsert the same row twice."""
    distinct: dict[EventIdentity, DeliveryEvent] = {}
    for event in events:
        identity = event[:4]
        twin = distinct.get(identity)
        distinct[identity] = event if twin is None else merged_event(twin, event)
    return list(distinct.values())


def _rows(
    records: Sequence[DeliveryEvent] | Sequence[InboundMessage] | Sequence[CampaignProgress],
) -> list[tuple[Any, ...]]:
    """
    The values of *records*, their payloads compressed; that of an erased recipient is null.

    The last three fields of each kind are the payload's.
    """
    rows: list[tuple[Any, ...]] = []
    for record in records:
        stored, dictionary = compressed(record.payload)
        rows.append((*record[:-3], stored or None, dictionary, record[-1]))
    return rows


def _unnamed(records: Sequence[DeliveryEvent] | Sequence[InboundMessage]) -> list[UUID]:
    """The ids of the campaigns whose tokens carried records without a trackingId."""
    return sorted(
        {
            record.campaign_id
            for record in records
            if record.campaign_id is not None and record.campaign_tracking_id is None
        }
    )


async def _bound(
    connection: asyncpg.Connection, records: Sequence[R], unnamed: Sequence[UUID]
) -> list[R]:
    """*records*, with the trackingId of the token's campaign filled in where none is named."""
    found = await connection.fetch(_LOCK_CAMPAIGNS, unnamed) if unnamed else []
    known: dict[UUID, str | None] = {row["id"]: row["tracking_id"] for row in found}
    bound: list[R] = []
    for record in records:
        if record.campaign_tracking_id is None and record.campaign_id is not None:
            named = known.get(record.campaign_id)
            bound.append(record._replace(campaign_tracking_id=named))
        else:
            bound.append(record)
    return bound


class IngestSession:
    """Keeps one connection open, and opens another when that one failed or was abandoned."""

    def __init__(self, url: str, *, statement_timeout_seconds: float) -> None:
        self._url = url
        self._settings = {
            **_SESSION_SETTINGS,
            # An abandoned connection must not hold its locks for long.
            "statement_timeout": str(int(statement_timeout_seconds * 1000)),
            "idle_in_transaction_session_timeout": str(int(statement_timeout_seconds * 1000)),
        }
        self._connect_seconds = statement_timeout_seconds
        self._connection: asyncpg.Connection | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection]:
        """
        Lend the connection to one flush; a concurrent flush gets another one.

        A flush that is cancelled, or finds the database unavailable, costs the connection: the next
        flush must not get the answer to a statement of this one.

        Raises:
            DatabaseUnavailable: no connection can be had, or a commit of this flush did not wait
                for its synchronous standby to the end.
        """
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            with translated():
                connection = await self._connect()
        try:
            yield connection
            require_replicated(connection)
        except (ValuesRefused, Contended):
            self._return(connection)
            raise
        except BaseException:
            connection.terminate()
            raise
        self._return(connection)

    async def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> asyncpg.Connection:
        connection = await connect(
            self._url,
            timeout=self._connect_seconds,
            server_settings=self._settings,
            target_session_attrs=SessionAttribute.read_write,
        )
        try:
            await _refuse_if_stuck(connection)
            # The server may be another one than before, which needs a new epoch first.
            await keep_epoch(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _return(self, connection: asyncpg.Connection) -> None:
        if self._connection is not None:
            # Another flush has returned its connection meanwhile: keep one.
            self._connection.terminate()
        self._connection = connection


async def _refuse_if_stuck(connection: asyncpg.Connection) -> None:
    if await connection.fetchval(_STUCK_COMMITS) >= MOST_STUCK_COMMITS:
        raise DatabaseUnavailable("Commits wait for a synchronous standby, and none answers.")
