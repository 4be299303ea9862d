"""
Which campaigns and messages are to be compared with Routee's tracking, and how far that is.

A comparison is a row of `reconciliations`. Its position is stored with each page, so any process
goes on with one that was interrupted.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Text, bindparam, text

from app.db.campaigns import first_id_at
from app.db.database import Database
from app.db.finishing import EXAMINED, PART_ITEMS, PLANNER
from app.domain.event import DeliveryEvent, EventIdentity
from app.domain.reconcile import LOOK_BACK, QUIET, Outcome

#: More events of one page are a fault; the rest counts as new.
_MAX_STORED_ITEMS: Final = 20_000
_BEGINNING: Final = UUID(int=0)

#: Of the next part of the campaigns that Routee has accepted. Without all final statuses, one is
#: compared again and again once nothing has happened for long or its time is over; any is compared
#: once after that, as a final status may have been followed by another. With `:at_once` all are.
_DUE: Final = text(f"""
WITH part AS MATERIALIZED (
    SELECT * FROM campaigns
    WHERE submission IN ('launched', 'observed') AND id > :after ORDER BY id LIMIT {PART_ITEMS}
),
due AS (
    SELECT p.id FROM ({EXAMINED}) AS e
    JOIN part AS p ON p.id = e.id
    LEFT JOIN reconciliations AS r ON r.campaign_id = p.id
    WHERE :at_once OR (
        (r.campaign_id IS NULL OR r.ended_at IS NOT NULL)
        AND greatest(p.created_at, p.scheduled_at)
            > now() - make_interval(secs => :look_back_seconds)
        AND CASE
            WHEN e.is_complete
                OR (p.expected_messages IS NULL AND e.final_count = e.total AND e.is_over)
            THEN e.is_over AND coalesce(
                r.ended_at < e.over_at OR (r.outcome = 'failed' AND r.next_at <= now()), true
            )
            ELSE coalesce(r.next_at <= now(), true) AND (
                e.is_over OR now() - make_interval(secs => :quiet_seconds) > greatest(
                    p.created_at, p.scheduled_at, (
                        SELECT max(t.last_event_at) FROM bi_campaign_facts AS t
                        WHERE t.campaign_key IN (p.tracking_id, 'ours:' || p.id)
                    )
                )
            )
        END
    )
)
SELECT p.id, due.id IS NOT NULL FROM part AS p LEFT JOIN due ON due.id = p.id ORDER BY p.id
""")
#: One that waits or runs stays as it is, but for who asked.
_ASK: Final = text("""
INSERT INTO reconciliations AS r (campaign_id, asked_by)
SELECT id, CAST(:asked_by AS text) FROM unnest(CAST(:ids AS uuid[])) AS given (id) ORDER BY id
ON CONFLICT (campaign_id) DO UPDATE SET
    asked_by = coalesce(excluded.asked_by, r.asked_by),
    asked_at = CASE WHEN r.ended_at IS NULL THEN r.asked_at ELSE now() END,
    began_at = CASE WHEN r.ended_at IS NULL THEN r.began_at END,
    page = CASE WHEN r.ended_at IS NULL THEN r.page ELSE 0 END,
    failures = CASE WHEN r.ended_at IS NULL THEN r.failures ELSE 0 END,
    counts = CASE WHEN r.ended_at IS NULL THEN r.counts ELSE '{}' END,
    outcome = NULL, ended_at = NULL
""")
_COLUMNS: Final = """
r.campaign_id, c.tracking_id, c.submission, c.finished_at IS NOT NULL AS is_finished, r.asked_at,
r.began_at, r.ended_at, r.next_at, r.page, r.fruitless, r.outcome, r.counts
"""
_FIND: Final = text(f"""
SELECT {_COLUMNS} FROM reconciliations AS r JOIN campaigns AS c ON c.id = r.campaign_id
WHERE r.campaign_id = :id
""")
_NEXT: Final = text(f"""
SELECT {_COLUMNS} FROM reconciliations AS r JOIN campaigns AS c ON c.id = r.campaign_id
WHERE r.ended_at IS NULL ORDER BY r.asked_by IS NULL, r.asked_at, r.campaign_id LIMIT 1
""")
_ARE_OPEN: Final = text("""
SELECT count(*) FROM reconciliations
WHERE ended_at IS NULL AND (CAST(:ids AS uuid[]) IS NULL OR campaign_id = ANY(:ids))
""")
_BEGIN: Final = text("""
UPDATE reconciliations SET began_at = now() WHERE campaign_id = :id AND began_at IS NULL
""")
_NOTE_PAGE: Final = text("""
UPDATE reconciliations SET page = :page, failures = 0, counts = CAST(:counts AS jsonb)
WHERE campaign_id = :id AND ended_at IS NULL
""")
_NOTE_FAILURE: Final = text("""
UPDATE reconciliations SET failures = failures + 1
WHERE campaign_id = :id AND ended_at IS NULL RETURNING failures
""")
_END: Final = text("""
UPDATE reconciliations SET ended_at = now(), next_at = now() + CAST(:pause AS interval),
    outcome = :outcome, fruitless = :fruitless, counts = CAST(:counts AS jsonb)
WHERE campaign_id = :id AND ended_at IS NULL
""")
#: An observed campaign is deleted when it turns out to be one that was launched here.
_DROP_ORPHANS: Final = text("""
DELETE FROM reconciliations AS r WHERE ended_at IS NULL
    AND NOT EXISTS (SELECT FROM campaigns AS c WHERE c.id = r.campaign_id)
""")
_PAUSED_FOR: Final = text("""
SELECT extract(epoch FROM paused_until - now())::double precision FROM reconcile_state
""")
_PAUSE: Final = text("""
UPDATE reconcile_state SET paused_until = now() + make_interval(secs => :seconds)
""")
#: Through the token of a campaign whose trackingId is not known, any message of it will do; others
#: are asked for while they are not final.
_UNBOUND: Final = """
WITH part AS MATERIALIZED (
    SELECT message_tracking_id, campaign_id, status_rank, updated_at FROM messages
    WHERE {which} AND campaign_tracking_id IS NULL AND message_tracking_id > :after
    ORDER BY message_tracking_id LIMIT 1000
)
SELECT p.message_tracking_id, p.campaign_id, p.message_tracking_id IN (
    SELECT q.message_tracking_id FROM part AS q
    LEFT JOIN message_reconciliations AS r ON r.message_tracking_id = q.message_tracking_id
    WHERE {wanted} AND coalesce(r.next_at <= now(), true)
) AS is_wanted FROM part AS p ORDER BY p.message_tracking_id
"""
_OF_CAMPAIGN: Final = text(
    _UNBOUND.format(which="campaign_id = CAST(:campaign_id AS uuid)", wanted="true")
)
_LOOSE: Final = text(
    _UNBOUND.format(
        which="true",
        wanted="q.campaign_id IS NULL AND q.status_rank < 3"
        " AND q.updated_at < now() - make_interval(secs => :quiet_seconds)",
    )
)
_NOTE_MESSAGE: Final = text("""
INSERT INTO message_reconciliations AS r (message_tracking_id, next_at)
VALUES (:message, now() + CAST(:pause AS interval))
ON CONFLICT (message_tracking_id) DO UPDATE SET next_at = excluded.next_at
""")
#: What is bound to a campaign, or was removed, is not asked for any more.
_FORGET_MESSAGES: Final = text("""
DELETE FROM message_reconciliations WHERE next_at < now() - CAST(:age AS interval)
""")
_STORED: Final = text(f"""
SELECT e.message_tracking_id, e.status_key, e.occurred_at, e.digest
FROM unnest(:messages, :words) AS given (message, word)
JOIN events AS e ON e.message_tracking_id = given.message AND e.status_key = given.word
LIMIT {_MAX_STORED_ITEMS}
""").bindparams(bindparam("messages", type_=ARRAY(Text)), bindparam("words", type_=ARRAY(Text)))
#: Of the campaigns of late, those that are finished or not.
_MISSING: Final = text(f"""
WITH part AS MATERIALIZED (
    SELECT * FROM campaigns
    WHERE submission IN ('launched', 'observed') AND id > :after
        AND (finished_at IS NOT NULL) = :finished AND coalesce(scheduled_at <= now(), true)
)
SELECT coalesce(sum(expected - final_count), 0)::bigint FROM ({EXAMINED}) AS examined
WHERE expected > final_count
""")


class Reconciliation(NamedTuple):
    """The comparison of one campaign, as it stands."""

    campaign_id: UUID
    #: Routee's id of it, if it is known by now.
    tracking_id: str | None
    submission: str
    is_finished: bool
    asked_at: datetime
    #: None while it waits.
    began_at: datetime | None
    #: None while it waits or runs.
    ended_at: datetime | None
    #: When it may become due again; None until it was compared once.
    next_at: datetime | None
    #: The next page to read.
    page: int
    fruitless: int
    #: None while it waits or runs.
    outcome: Outcome | None
    #: What was found so far, see `services.reconcile.comparison`.
    counts: Counter[str]


def _reconciliation(row: Sequence[Any]) -> Reconciliation:
    found = Reconciliation._make(row)
    outcome = None if found.outcome is None else Outcome(found.outcome)
    return found._replace(outcome=outcome, counts=Counter(found.counts))


class UnboundMessage(NamedTuple):
    """A message whose campaign has no trackingId here."""

    message_tracking_id: str
    #: Ours, if it came through the token of a campaign.
    campaign_id: UUID | None
    #: Whether Routee may be asked for it now.
    is_wanted: bool


async def due_campaigns(
    database: Database, *, after: UUID, at_once: bool = False
) -> tuple[list[UUID], UUID]:
    """
    The campaigns to compare among the next thousand beyond *after*, an id of ours.

    With *at_once* all of them. The other value is where the next part begins;
    *after* itself if there are no more.
    """
    given = {
        "after": after,
        "at_once": at_once,
        "quiet_seconds": QUIET.total_seconds(),
        "look_back_seconds": LOOK_BACK.total_seconds(),
    }
    async with database.reading(planner=PLANNER) as session:
        rows = (await session.execute(_DUE, given)).all()
    return [row[0] for row in rows if row[1]], rows[-1][0] if rows else after


def first_id_since(since: datetime) -> UUID:
    """The id beyond which campaigns were made at *since* or later."""
    return first_id_at(since, -timedelta(days=1))


async def ask_for(database: Database, campaigns: Sequence[UUID], *, asked_by: str | None) -> None:
    """Store that *campaigns* are to be compared; what waits or runs already is not begun anew."""
    if not campaigns:
        return
    async with database.writing() as session:
        await session.execute(_ASK, {"ids": list(campaigns), "asked_by": asked_by})


async def find_reconciliation(database: Database, campaign_id: UUID) -> Reconciliation | None:
    """The last or current comparison of a campaign."""
    async with database.reading() as session:
        row = (await session.execute(_FIND, {"id": campaign_id})).one_or_none()
    return None if row is None else _reconciliation(row)


async def next_reconciliation(database: Database) -> Reconciliation | None:
    """The one to do next, or to go on with: those that callers asked for first."""
    async with database.reading() as session:
        row = (await session.execute(_NEXT)).one_or_none()
    return None if row is None else _reconciliation(row)


async def count_open(database: Database, campaigns: Collection[UUID] | None = None) -> int:
    """How many comparisons, of *campaigns* or of all, wait or run."""
    given = {"ids": None if campaigns is None else list(campaigns)}
    async with database.reading() as session:
        return int(await session.scalar(_ARE_OPEN, given) or 0)


async def begin(database: Database, campaign_id: UUID) -> None:
    """Record that a comparison runs."""
    async with database.writing() as session:
        await session.execute(_BEGIN, {"id": campaign_id})


async def note_page(
    database: Database, campaign_id: UUID, *, page: int, counts: Mapping[str, int]
) -> None:
    """Record that all before *page* is stored, and what was found in it."""
    given = {"id": campaign_id, "page": page, "counts": json.dumps(dict(counts))}
    async with database.writing() as session:
        await session.execute(_NOTE_PAGE, given)


async def note_failure(database: Database, campaign_id: UUID) -> int:
    """Record that Routee did not answer; how often in a row that is now."""
    async with database.writing() as session:
        return int(await session.scalar(_NOTE_FAILURE, {"id": campaign_id}) or 0)


async def end(  # noqa: PLR0913 (the columns of the row)
    database: Database,
    campaign_id: UUID,
    outcome: Outcome,
    *,
    counts: Mapping[str, int],
    fruitless: int,
    pause: timedelta,
) -> None:
    """Record that a comparison has ended, and for how long it is not due again."""
    given = {
        "id": campaign_id,
        "outcome": outcome.value,
        "counts": json.dumps(dict(counts)),
        "fruitless": fruitless,
        "pause": pause,
    }
    async with database.writing() as session:
        await session.execute(_END, given)


async def drop_orphans(database: Database) -> None:
    """Delete open comparisons of campaigns that have no row any more."""
    async with database.writing() as session:
        await session.execute(_DROP_ORPHANS)


async def paused_seconds(database: Database) -> float:
    """For how many seconds Routee is not to be asked; not positive if it may be."""
    async with database.reading() as session:
        return float(await session.scalar(_PAUSED_FOR) or 0.0)


async def pause(database: Database, seconds: float) -> None:
    """Have no process ask Routee for *seconds*."""
    async with database.writing() as session:
        await session.execute(_PAUSE, {"seconds": float(seconds)})


async def unbound_messages(
    database: Database, *, after: str, campaign_id: UUID | None = None
) -> list[UnboundMessage]:
    """
    The next thousand messages beyond *after* whose campaign has no trackingId here.

    Of our campaign *campaign_id*, or of all; then those of no campaign are wanted which are not
    final and have not changed for long.
    """
    query = _LOOSE if campaign_id is None else _OF_CAMPAIGN
    given = {
        "after": after,
        "campaign_id": campaign_id,
        "quiet_seconds": QUIET.total_seconds(),
    }
    async with database.reading(planner=PLANNER) as session:
        return [UnboundMessage._make(row) for row in await session.execute(query, given)]


async def note_message(database: Database, message: str, *, pause: timedelta) -> None:
    """Record that Routee was asked for *message*, and for how long it is not to be asked again."""
    async with database.writing() as session:
        await session.execute(_NOTE_MESSAGE, {"message": message, "pause": pause})


async def forget_messages(database: Database, *, age: timedelta) -> None:
    """Delete what was noted of messages that could have been asked for *age* ago."""
    async with database.writing() as session:
        await session.execute(_FORGET_MESSAGES, {"age": age})


async def stored_identities(
    database: Database, events: Collection[DeliveryEvent]
) -> dict[tuple[str, str], set[EventIdentity]]:
    """The identities of stored events, by the messages and words of *events*."""
    wanted = sorted({event[:2] for event in events})
    given = {"messages": [one[0] for one in wanted], "words": [one[1] for one in wanted]}
    found: dict[tuple[str, str], set[EventIdentity]] = {}
    async with database.reading(planner=PLANNER) as session:
        for row in await session.execute(_STORED, given):
            identity: EventIdentity = (row[0], row[1], row[2].astimezone(UTC), bytes(row[3]))
            found.setdefault(identity[:2], set()).add(identity)
    return found


async def count_missing(database: Database, *, since: datetime, finished: bool) -> int:
    """
    How many expected messages have no final status, of campaigns since *since* that have begun.

    Of the *finished* ones they are overdue, of the others awaited.
    """
    given = {"after": first_id_since(since), "finished": finished}
    async with database.reading(planner=PLANNER) as session:
        return int(await session.scalar(_MISSING, given) or 0)
