"""Binding campaigns to their trackingIds, and messages to their campaigns."""

from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

import asyncpg

from app.db.failures import Contended, translating
from app.domain.campaign import Submission


class Claim(Enum):
    """How the campaign that a callback names relates to the campaign of its token."""

    #: It is the same campaign, perhaps bound to its trackingId just now.
    OWN = auto()
    #: It was not launched here: ours was copied, with its URLs, in Routee's console.
    COPY = auto()
    #: It is another campaign of ours, or another token or a shared callback secret made it known.
    FOREIGN = auto()


_OBSERVE: Final = """
INSERT INTO campaigns (tracking_id, submission, observed_through)
SELECT tracking_id, 'observed', $2 FROM unnest($1::text[]) AS given(tracking_id)
ORDER BY tracking_id COLLATE "C"
ON CONFLICT (tracking_id) DO NOTHING
"""
_TRACKING_ID_LOCKED: Final = "SELECT tracking_id FROM campaigns WHERE id = $1 FOR UPDATE"
#: One statement: between two, another process may bind our campaign to the trackingId, which would
#: then seem to be that of a foreign one.
_CLAIM: Final = """
SELECT own.tracking_id AS known, holder.id, holder.submission, holder.observed_through
FROM (SELECT $1::uuid AS id) AS given
LEFT JOIN campaigns own ON own.id = given.id
LEFT JOIN campaigns holder ON holder.tracking_id = $2
"""
_HOLDER: Final = "SELECT id, submission, observed_through FROM campaigns WHERE tracking_id = $1"
_DELETE_OBSERVED: Final = "DELETE FROM campaigns WHERE tracking_id = $1 AND submission = 'observed'"
#: A callback through its token proves that Routee has accepted a campaign, whatever was recorded
#: before. A rejected one stays rejected if another campaign has taken its name.
_SET_TRACKING_ID: Final = """
UPDATE campaigns c SET
    tracking_id = $2,
    submission = CASE
        WHEN submission IN ('launching', 'unconfirmed') THEN 'launched'
        WHEN submission = 'rejected' AND NOT EXISTS (
            SELECT FROM campaigns h
            WHERE h.name = c.name AND h.id <> c.id
                AND h.submission IN ('launching', 'unconfirmed', 'launched')
        ) THEN 'launched'
        ELSE submission
    END,
    submission_reason = NULL,
    next_attempt_at = NULL,
    lease_until = NULL,
    updated_at = now()
WHERE id = $1
"""
#: A plan that was made for small tables would scan them when they have grown.
_PLANNED_ANEW: Final = "SET LOCAL plan_cache_mode = force_custom_plan"
#: In the same order of rows as every other writer. Another callback may have bound a message to a
#: campaign. The least that its events name counts, and these events are about to name this one.
_BIND_MESSAGES: Final = """
WITH unbound AS (
    SELECT message_tracking_id FROM messages
    WHERE message_tracking_id IN (
        SELECT message_tracking_id FROM messages
        WHERE campaign_id = $1 AND campaign_tracking_id IS NULL
        UNION ALL
        SELECT message_tracking_id FROM events
        WHERE campaign_id = $1 AND campaign_tracking_id IS NULL
    )
    ORDER BY message_tracking_id COLLATE "C" FOR UPDATE
),
bound AS (
    UPDATE messages m
    SET campaign_tracking_id = LEAST(m.campaign_tracking_id, $2), updated_at = now()
    FROM unbound u
    WHERE m.message_tracking_id = u.message_tracking_id
        AND (m.campaign_tracking_id IS NULL OR m.campaign_tracking_id > $2)
    RETURNING old.campaign_tracking_id AS old_campaign, new.status
)
INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
SELECT campaign, status, sum(messages)
FROM (
    SELECT old_campaign, status, -1 FROM bound WHERE old_campaign IS NOT NULL
    UNION ALL
    SELECT $2, status, 1 FROM bound
) AS transitions (campaign, status, messages)
GROUP BY campaign, status
"""
_BIND_EVENTS: Final = """
UPDATE events SET campaign_tracking_id = $2
WHERE campaign_id = $1 AND campaign_tracking_id IS NULL
"""
_BIND_INBOUND: Final = """
UPDATE inbound_messages SET campaign_tracking_id = $2
WHERE campaign_id = $1 AND campaign_tracking_id IS NULL
"""


@translating
async def observe(
    connection: asyncpg.Connection, tracking_ids: Collection[str], *, through: UUID | None = None
) -> None:
    """
    Add a row for each campaign that callbacks name and that has none yet.

    *through* is the campaign whose token they came through; None for a shared callback secret.
    """
    await connection.execute(_OBSERVE, list(tracking_ids), through)


@translating
async def claim(connection: asyncpg.Connection, campaign_id: UUID, tracking_id: str) -> Claim:
    """
    How the campaign *tracking_id* relates to our campaign *campaign_id*, whose token named it.

    If it was not named before, it is ours: ours is bound to it, as in `bind`, or it is a copy of
    ours if ours has another trackingId already.
    """
    try:
        return await _claimed(connection, campaign_id, tracking_id)
    except asyncpg.UniqueViolationError:
        # Another campaign of ours was bound to that trackingId in this moment.
        return await _claimed(connection, campaign_id, tracking_id)


async def _claimed(connection: asyncpg.Connection, campaign_id: UUID, tracking_id: str) -> Claim:
    known, *holder = await connection.fetchrow(_CLAIM, campaign_id, tracking_id) or [None] * 4
    if holder[0] is not None:
        claim = _claim_on(holder, campaign_id)
        if claim is not Claim.COPY or known is not None:
            return claim
    async with connection.transaction():
        own = await connection.fetchrow(_TRACKING_ID_LOCKED, campaign_id)
        # Locks the trackingId: no other transaction can be the first to name it until this ends.
        await observe(connection, [tracking_id], through=campaign_id)
        # A statement of its own, to see who named it first.
        holder_now = await connection.fetchrow(_HOLDER, tracking_id)
        if holder_now is None:
            raise Contended("The row of a campaign was removed in this moment.")
        claim = _claim_on(tuple(holder_now), campaign_id)
        if claim is not Claim.COPY or own is None or own["tracking_id"] is not None:
            return claim
        await _bind_locked(connection, campaign_id, tracking_id)
        return Claim.OWN


def _claim_on(holder: Sequence[Any], campaign_id: UUID) -> Claim:
    """What *holder*, who has the trackingId, is to the campaign of the token."""
    its_id, submission, observed_through = holder
    if its_id == campaign_id:
        return Claim.OWN
    is_through_it = submission == Submission.OBSERVED and observed_through == campaign_id
    return Claim.COPY if is_through_it else Claim.FOREIGN


async def bind(connection: asyncpg.Connection, campaign_id: UUID, tracking_id: str) -> bool:
    """
    Bind our campaign to its trackingId, and to the campaign all that came through its token before.

    For who knows it for certain: from Routee's answer, or from a person. In one transaction. The
    row of an observed campaign with that id is deleted. False if the campaign does not exist, or
    has another trackingId already, which is never replaced.

    Raises:
        asyncpg.UniqueViolationError: another campaign of ours has that trackingId.
    """
    async with connection.transaction():
        row = await connection.fetchrow(_TRACKING_ID_LOCKED, campaign_id)
        if row is None:
            return False
        if row["tracking_id"] is not None:
            return bool(row["tracking_id"] == tracking_id)
        # Locks the trackingId: no other transaction can add it between the next two statements.
        await observe(connection, [tracking_id])
        await _bind_locked(connection, campaign_id, tracking_id)
    return True


async def _bind_locked(connection: asyncpg.Connection, campaign_id: UUID, tracking_id: str) -> None:
    """Bind a campaign whose row is locked to a trackingId that has a row."""
    await connection.execute(_DELETE_OBSERVED, tracking_id)
    await connection.execute(_SET_TRACKING_ID, campaign_id, tracking_id)
    await connection.execute(_PLANNED_ANEW)
    await connection.execute(_BIND_MESSAGES, campaign_id, tracking_id)
    await connection.execute(_BIND_EVENTS, campaign_id, tracking_id)
    await connection.execute(_BIND_INBOUND, campaign_id, tracking_id)
