"""
Messages by their newest event: the feed's index of the events, from its end backwards.

A message is where its newest event is. Events of others that are stored while a person turns the
pages are left out: the first page says where they begin.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.dashboard.planner import LOOK_UPS
from app.db.database import Database
from app.db.feed.positions import COMMIT_DELAY, position_before
from app.db.messages import CurrentMessage, messages_of
from app.domain.feed import BEGINNING, Position
from app.domain.status import Status

#: How many events one statement looks at: the first page of all messages needs few of them.
_STEPS: Final = (500, 2_000, 7_500)
#: How many events one page looks at.
MAX_EVENTS: Final = sum(_STEPS)


class ActivityFilter(NamedTuple):
    """Which messages are wanted, and within which time of receipt their events count."""

    #: Empty for all.
    statuses: tuple[Status, ...] = ()
    #: Exactly this reason in Routee's words, and this country as Routee spells it.
    detailed_status: str | None = None
    country: str | None = None
    received_since: datetime | None = None
    received_before: datetime | None = None


class Walk(NamedTuple):
    """How far the pages have come."""

    #: The newest event that counts.
    top: Position
    #: The event at which the next page begins, not included; *top* itself is, at the beginning.
    at: Position


class Active(NamedTuple):
    """A message, and when its newest event of those that count was received."""

    message: CurrentMessage
    received_at: datetime


class ActivityPage(NamedTuple):
    """Some messages, the one with the newest event first."""

    items: Sequence[Active]
    #: Where the list goes on, perhaps behind events of messages that were not wanted.
    end: Walk | None
    #: How many events were looked at.
    looked_at: int


class _Found(NamedTuple):
    """A wanted message, by its newest event."""

    position: Position
    message_tracking_id: str
    received_at: datetime


class _Step(NamedTuple):
    """What one statement has found."""

    found: Sequence[_Found]
    #: The last event that was looked at; None if there was none.
    last: Position | None
    looked_at: int


_NEWEST: Final = text("""
SELECT feed_epoch, xid, id FROM events ORDER BY feed_epoch DESC, xid DESC, id DESC LIMIT 1
""")
_IN_TIME: Final = """(
    (CAST(:since AS timestamptz) IS NULL OR {event}.received_at >= CAST(:since AS timestamptz))
    AND (CAST(:before AS timestamptz) IS NULL OR {event}.received_at < CAST(:before AS timestamptz))
)"""
_AT: Final = (
    "(CAST(:{name}_epoch AS smallint), CAST(:{name}_xid AS xid8), CAST(:{name}_id AS bigint))"
)
#: OFFSET 0: one lookup for each message, in the order of the events, until there are enough.
_LOOK: Final = text(f"""
WITH looked AS MATERIALIZED (
    SELECT feed_epoch, xid, id, message_tracking_id, received_at FROM events
    WHERE (feed_epoch, xid, id) < {_AT.format(name="at")}
        AND (feed_epoch, xid, id) > {_AT.format(name="floor")}
    ORDER BY feed_epoch DESC, xid DESC, id DESC LIMIT :items
),
reached AS (
    SELECT feed_epoch, xid, id, (SELECT count(*) FROM looked) AS items
    FROM looked ORDER BY feed_epoch, xid, id LIMIT 1
),
newest AS MATERIALIZED (
    SELECT DISTINCT ON (message_tracking_id) * FROM looked AS l
    WHERE {_IN_TIME.format(event="l")}
    ORDER BY message_tracking_id, feed_epoch DESC, xid DESC, id DESC
),
found AS (
    SELECT n.* FROM (
        SELECT * FROM newest ORDER BY feed_epoch DESC, xid DESC, id DESC OFFSET 0
    ) AS n
    CROSS JOIN LATERAL (
        SELECT first_occurred_at, last_occurred_at FROM messages
        WHERE message_tracking_id = n.message_tracking_id
            AND (CAST(:statuses AS text[]) IS NULL OR status = ANY(CAST(:statuses AS text[])))
            AND (CAST(:reason AS text) IS NULL OR detailed_status = CAST(:reason AS text))
            AND (CAST(:country AS text) IS NULL OR country = CAST(:country AS text))
        OFFSET 0
    ) AS m
    WHERE NOT EXISTS (
        SELECT FROM events AS e
        WHERE e.message_tracking_id = n.message_tracking_id
            AND (
                e.occurred_at = 'epoch'
                OR e.occurred_at BETWEEN m.first_occurred_at AND m.last_occurred_at
            )
            AND (e.feed_epoch, e.xid, e.id) > (n.feed_epoch, n.xid, n.id)
            AND (e.feed_epoch, e.xid, e.id) <= {_AT.format(name="top")}
            AND {_IN_TIME.format(event="e")}
    )
    ORDER BY n.feed_epoch DESC, n.xid DESC, n.id DESC LIMIT :wanted
)
SELECT r.items, r.feed_epoch, r.xid, r.id,
    f.feed_epoch, f.xid, f.id, f.message_tracking_id, f.received_at
FROM reached AS r LEFT JOIN found AS f ON true
ORDER BY f.feed_epoch DESC, f.xid DESC, f.id DESC
""")  # noqa: S608 (made of constants)


async def page_of_activity(
    database: Database, wanted: ActivityFilter, *, walk: Walk | None, limit: int
) -> ActivityPage:
    """
    At most *limit* messages from *walk* on, the one with the newest event first.

    Each message is on one page only. At most `MAX_EVENTS` are looked at: the page may be short or
    empty without being the last.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    floor = BEGINNING
    if wanted.received_since is not None:
        floor = await position_before(database, wanted.received_since)
    walk = walk or await _beginning(database, wanted)
    if walk is None:
        return ActivityPage((), None, 0)
    found: list[_Found] = []
    at, looked_at = walk.at, 0
    async with database.reading(planner=LOOK_UPS) as session:
        for items in _STEPS:
            bounds = {"items": items, "wanted": limit + 1 - len(found)}
            given = _parameters(wanted) | _named("floor", floor) | _named("top", walk.top)
            step = await _step(session, given | bounds | _named("at", at))
            found += step.found
            looked_at += step.looked_at
            is_end = step.looked_at < items or step.last is None
            at = at if step.last is None else step.last
            if is_end or len(found) > limit:
                break
    if len(found) > limit:
        end: Walk | None = Walk(walk.top, found[limit - 1].position)
    else:
        end = None if is_end else Walk(walk.top, at)
    return ActivityPage(await _current(database, found[:limit]), end, looked_at)


async def _beginning(database: Database, wanted: ActivityFilter) -> Walk | None:
    """Where the list begins; None without events."""
    if wanted.received_before is None:
        async with database.reading(planner=LOOK_UPS) as session:
            row = (await session.execute(_NEWEST)).one_or_none()
        top = None if row is None else Position._make(row)
    else:
        # Positions are nearly in the order of receipt, but not quite.
        top = await position_before(database, wanted.received_before + 2 * COMMIT_DELAY)
    return None if top is None else Walk(top, top._replace(id=top.id + 1))


async def _step(session: AsyncSession, given: dict[str, Any]) -> _Step:
    rows = (await session.execute(_LOOK, given)).all()
    if not rows:
        return _Step((), None, 0)
    found = [_Found(Position(*row[4:7]), row[7], row[8]) for row in rows if row[7] is not None]
    return _Step(found, Position(*rows[0][1:4]), rows[0][0])


async def _current(database: Database, found: Sequence[_Found]) -> Sequence[Active]:
    messages = await messages_of(database, [it.message_tracking_id for it in found])
    return [
        Active(messages[it.message_tracking_id], it.received_at)
        for it in found
        if it.message_tracking_id in messages
    ]


def _parameters(wanted: ActivityFilter) -> dict[str, Any]:
    return {
        "statuses": list(wanted.statuses) or None,
        "reason": wanted.detailed_status,
        "country": wanted.country,
        "since": wanted.received_since,
        "before": wanted.received_before,
    }


def _named(name: str, position: Position) -> dict[str, int]:
    epoch, xid, number = position
    return {f"{name}_epoch": epoch, f"{name}_xid": xid, f"{name}_id": number}
