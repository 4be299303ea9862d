"""Reading the quarantine, noting what became of replays, and dropping bodies."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text

from app.db.database import Database
from app.domain.quarantine import PREVIEW_BYTES, CallbackPath, Reason, ReplayOutcome

#: How many bodies one page scans when only some of them are wanted.
MAX_SCANNED_ITEMS: Final = 10_000
#: A list follows the key up to its limit, also while the table has no statistics.
_ALONG_THE_KEY: Final = {"enable_seqscan": "off", "enable_bitmapscan": "off"}


class QuarantineFilter(NamedTuple):
    """Which bodies are wanted."""

    #: One of these; none stands for all.
    reasons: tuple[Reason, ...] = ()
    #: When they were first received.
    received_since: datetime | None = None
    received_before: datetime | None = None
    path: CallbackPath | None = None
    #: Without those of which a replay has stored everything.
    is_unstored: bool = False


class QuarantinedBody(NamedTuple):
    """A body of the quarantine, without its bytes."""

    id: int
    reason: str
    #: When it was received first, and last.
    received_at: datetime
    last_received_at: datetime
    #: How often the same bytes were received.
    times: int
    #: Without the token.
    path: str
    #: The campaign whose token it came through.
    campaign_id: UUID | None
    content_type: str
    content_encoding: str
    #: In bytes.
    size: int
    #: The first `PREVIEW_BYTES`.
    beginning: bytes
    #: The last replay, and what became of the body; None without one.
    replayed_at: datetime | None
    replay_outcome: str | None
    #: Why not all of it was stored.
    replay_reason: str | None


class BodyPage(NamedTuple):
    """Some bodies of a list, and where the next ones are."""

    bodies: Sequence[QuarantinedBody]
    #: The id after which the list goes on, perhaps of a body that was not wanted.
    end: int | None


class StoredOctets(NamedTuple):
    """The bytes of a body of the quarantine, and all that says how they are read."""

    octets: bytes
    sha256: bytes
    received_at: datetime
    path: str
    campaign_id: UUID | None
    content_type: str
    content_encoding: str
    #: Whether they are an element of an array, serialised again.
    payload_reserialised: bool
    replay_outcome: str | None


_COLUMNS: Final = f"""
id, reason, received_at, last_received_at, times, path, campaign_id, content_type,
    content_encoding, octet_length(body), substr(body, 1, {PREVIEW_BYTES}), replayed_at,
    replay_outcome, replay_reason
"""
_OCTETS: Final = text("""
SELECT body, sha256, received_at, path, campaign_id, content_type, content_encoding,
    payload_reserialised, replay_outcome
FROM quarantine WHERE id = :id
""")
_WANTED: Final = """
(CAST(:reasons AS text[]) IS NULL OR reason = ANY(CAST(:reasons AS text[])))
AND (CAST(:since AS timestamptz) IS NULL OR received_at >= CAST(:since AS timestamptz))
AND (CAST(:before AS timestamptz) IS NULL OR received_at < CAST(:before AS timestamptz))
AND (CAST(:path AS text) IS NULL OR path LIKE CAST(:path AS text))
AND (NOT :is_unstored OR replay_outcome IS DISTINCT FROM 'stored')
"""
_FIND: Final = text(f"SELECT {_COLUMNS} FROM quarantine WHERE id = :id")
_FIND_BODY: Final = text("SELECT id FROM quarantine WHERE sha256 = :sha256")


class _Order(NamedTuple):
    """The statements of a list in one order."""

    page: TextClause
    #: The id of the last body to scan; no row if the list ends before.
    end_of_scan: TextClause
    #: What every id is beyond.
    start: int


def _ordered(order: str, *, beyond: str, within: str, start: int) -> _Order:
    page = f"""
    SELECT {_COLUMNS} FROM quarantine
    WHERE id {beyond} :after AND (CAST(:end AS bigint) IS NULL OR id {within} CAST(:end AS bigint))
        AND {_WANTED}
    ORDER BY id {order} LIMIT :limit
    """
    end_of_scan = f"""
    SELECT id FROM quarantine WHERE id {beyond} :after ORDER BY id {order} OFFSET :scanned LIMIT 1
    """
    return _Order(text(page), text(end_of_scan), start)


_OLDEST_FIRST: Final = _ordered("ASC", beyond=">", within="<=", start=0)
_NEWEST_FIRST: Final = _ordered("DESC", beyond="<", within=">=", start=2**63 - 1)
_COUNT: Final = text(f"SELECT count(*) FROM quarantine WHERE {_WANTED}")
_NOTE_REPLAY: Final = text(f"""
UPDATE quarantine
SET replayed_at = now(), replay_outcome = :outcome, replay_reason = :reason
WHERE id = :id RETURNING {_COLUMNS}
""")
_DROP: Final = text("DELETE FROM quarantine WHERE id = :id RETURNING id")


async def page_of_quarantine(
    database: Database,
    wanted: QuarantineFilter,
    *,
    after: int | None,
    limit: int,
    is_newest_first: bool = False,
) -> BodyPage:
    """
    At most *limit* bodies in the order of their ids, or in the opposite one, beyond the id *after*.

    With a filter at most `MAX_SCANNED_ITEMS` are scanned: the page may be short or empty without
    being the last.
    """
    order = _NEWEST_FIRST if is_newest_first else _OLDEST_FIRST
    begin = order.start if after is None else after
    given: dict[str, Any] = {"after": begin, "limit": limit + 1, **_parameters(wanted)}
    async with database.reading(planner=_ALONG_THE_KEY) as session:
        end: int | None = None
        if any(wanted):
            scan = {"after": given["after"], "scanned": MAX_SCANNED_ITEMS - 1}
            end = await session.scalar(order.end_of_scan, scan)
        rows = (await session.execute(order.page, given | {"end": end})).all()
    bodies = [QuarantinedBody(*row) for row in rows[:limit]]
    return BodyPage(bodies, bodies[-1].id if len(rows) > limit else end)


async def count_quarantine(database: Database, wanted: QuarantineFilter) -> int:
    """How many bodies there are. It scans all."""
    async with database.reading() as session:
        return int((await session.execute(_COUNT, _parameters(wanted))).scalar_one())


async def find_body(database: Database, octets: bytes) -> int | None:
    """The id of the body that is *octets*; None if it is not there."""
    async with database.reading() as session:
        found: int | None = await session.scalar(
            _FIND_BODY, {"sha256": hashlib.sha256(octets).digest()}
        )
    return found


async def find_quarantined(database: Database, body_id: int) -> QuarantinedBody | None:
    """The body of that id."""
    async with database.reading() as session:
        row = (await session.execute(_FIND, {"id": body_id})).one_or_none()
    return None if row is None else QuarantinedBody(*row)


async def find_octets(database: Database, body_id: int) -> StoredOctets | None:
    """The bytes of the body of that id."""
    async with database.reading() as session:
        row = (await session.execute(_OCTETS, {"id": body_id})).one_or_none()
    return None if row is None else StoredOctets(*row)


async def note_replay(
    database: Database, body_id: int, outcome: ReplayOutcome, reason: Reason | None
) -> QuarantinedBody | None:
    """Record what became of a body that was replayed; None if the body is gone meanwhile."""
    async with database.writing() as session:
        given = {"id": body_id, "outcome": outcome, "reason": reason}
        row = (await session.execute(_NOTE_REPLAY, given)).one_or_none()
    return None if row is None else QuarantinedBody(*row)


async def drop_quarantined(database: Database, body_id: int) -> bool:
    """Remove a body for good; whether there was one."""
    async with database.writing() as session:
        return await session.scalar(_DROP, {"id": body_id}) is not None


def _parameters(wanted: QuarantineFilter) -> dict[str, Any]:
    return {
        "reasons": list(wanted.reasons) or None,
        "since": wanted.received_since,
        "before": wanted.received_before,
        "path": None if wanted.path is None else f"%/{wanted.path}",
        "is_unstored": wanted.is_unstored,
    }
