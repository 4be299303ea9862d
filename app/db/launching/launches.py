"""What is committed before, between and after the attempts to launch a campaign."""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.launching import binding
from app.db.tables import CampaignRow, IdempotencyKeyRow
from app.domain.campaign import Billing, Submission


class NameTaken(Exception):
    """Another campaign holds the name."""


class TrackingIdTaken(Exception):
    """Another campaign has the trackingId."""


class Intent(NamedTuple):
    """A campaign that is about to be asked for."""

    name: str
    name_generated: bool
    label: str | None
    billing: Billing
    #: The caller's body, as JSON.
    request: bytes
    warnings: list[dict[str, str]]
    ttl_seconds: int | None
    scheduled_at: datetime | None


class IdempotencyKey(NamedTuple):
    """The caller's name of a request: repeating the request launches nothing twice."""

    api_key_id: UUID
    key: str
    #: SHA-256 of the request: another request under the same key is refused.
    fingerprint: bytes


class Earlier(NamedTuple):
    """The launch that an idempotency key was used for before."""

    campaign_id: UUID
    fingerprint: bytes


class Outcome(NamedTuple):
    """What Routee answered when it accepted a campaign."""

    answer: bytes
    tracking_id: str | None
    expected_messages: int | None
    cost: Decimal | None


class OpenLaunch(NamedTuple):
    """A launch that Routee may or may not have accepted."""

    campaign_id: UUID
    name: str
    name_generated: bool
    request: bytes
    #: How often Routee was asked, including this time.
    attempts: int


#: A cancellation stays.
_LAUNCHED: Final = """
UPDATE campaigns SET
    submission = CASE WHEN submission = 'cancelled' THEN submission ELSE 'launched' END,
    submission_reason = NULL, answer = $2, expected_messages = $3, cost = $4,
    lease_until = NULL, next_attempt_at = NULL, updated_at = now()
WHERE id = $1
"""
_RESOLVE: Final = """
UPDATE campaigns SET
    submission = $2, submission_reason = $3, lease_until = NULL, next_attempt_at = NULL,
    updated_at = now()
WHERE id = $1 AND submission = 'unconfirmed' AND (lease_until IS NULL OR lease_until < now())
RETURNING true
"""
_OPEN: Final = CampaignRow.submission.in_([Submission.LAUNCHING, Submission.UNCONFIRMED])


async def add_intent(
    database: Database,
    campaign_id: UUID,
    intent: Intent,
    *,
    lease: timedelta,
    idempotency_key: IdempotencyKey | None,
) -> Earlier | None:
    """
    Commit that a campaign is going to be launched; `begin` commits that Routee is being asked.

    If *idempotency_key* was used before, the earlier launch is returned and nothing is changed,
    unless that was rejected and this is another request: then the key stands for this one. A
    concurrent request with the same key waits for the first.

    Raises:
        NameTaken: a campaign of that name is being launched, or was launched.
    """
    values = {
        "id": campaign_id,
        **intent._asdict(),
        "submission": Submission.LAUNCHING,
        "attempts": 0,
        "lease_until": func.now() + lease,
    }
    try:
        async with database.writing() as session:
            earlier = await _find_earlier(session, campaign_id, idempotency_key)
            if earlier is None:
                await session.execute(insert(CampaignRow).values(values))
            return earlier
    except IntegrityError as error:
        raise NameTaken from error


async def find_earlier(
    database: Database, api_key_id: UUID, keys: Collection[str]
) -> Earlier | None:
    """The launch that one of *keys* was used for, if any."""
    query = select(IdempotencyKeyRow.campaign_id, IdempotencyKeyRow.fingerprint).where(
        IdempotencyKeyRow.api_key_id == api_key_id, IdempotencyKeyRow.key.in_(keys)
    )
    query = query.order_by(IdempotencyKeyRow.created_at.desc()).limit(1)
    async with database.reading() as session:
        row = (await session.execute(query)).one_or_none()
    return None if row is None else Earlier(row[0], row[1])


async def begin(database: Database, campaign_id: UUID) -> bool:
    """
    Commit that Routee is being asked for the first time; False if it must not be asked any more.

    A transaction of its own: if this commit is in doubt, the intent is certain, and the answer can
    name the campaign instead of having the caller launch again.
    """
    intended = and_(
        CampaignRow.id == campaign_id,
        CampaignRow.submission == Submission.LAUNCHING,
        CampaignRow.attempts == 0,
    )
    async with database.writing() as session:
        return await _change(session, intended, attempts=1)


async def drop_never_asked(database: Database) -> None:
    """Reject intents of processes that died before they asked Routee, and free their keys."""
    never_asked = and_(
        CampaignRow.submission == Submission.LAUNCHING,
        CampaignRow.attempts == 0,
        CampaignRow.lease_until < func.now(),
    )
    change = (
        update(CampaignRow)
        .where(never_asked)
        .values(
            submission=Submission.REJECTED,
            submission_reason="Routee was never asked for it.",
            lease_until=None,
            updated_at=func.now(),
        )
        .returning(CampaignRow.id)
    )
    async with database.writing_feed() as session:
        dropped = (await session.scalars(change)).all()
        theirs = IdempotencyKeyRow.campaign_id.in_(dropped)
        await session.execute(delete(IdempotencyKeyRow).where(theirs))


async def take_up(database: Database, *, lease: timedelta) -> OpenLaunch | None:
    """
    A launch whose process died, or else one that is due for another attempt.

    No other process gets it until *lease* has passed. Then it is due again.
    """
    orphaned = and_(
        CampaignRow.submission == Submission.LAUNCHING,
        CampaignRow.attempts > 0,
        CampaignRow.lease_until < func.now(),
    )
    due = and_(
        CampaignRow.submission == Submission.UNCONFIRMED,
        CampaignRow.next_attempt_at <= func.now(),
        or_(CampaignRow.lease_until.is_(None), CampaignRow.lease_until < func.now()),
    )
    next_one = (
        select(CampaignRow.id)
        .where(_OPEN, or_(orphaned, due))
        .order_by(CampaignRow.submission != Submission.LAUNCHING, CampaignRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    change = (
        update(CampaignRow)
        .where(CampaignRow.id == next_one)
        .values(
            submission=Submission.UNCONFIRMED,
            lease_until=func.now() + lease,
            next_attempt_at=func.now(),
            attempts=CampaignRow.attempts + 1,
            updated_at=func.now(),
        )
        .returning(
            CampaignRow.id,
            CampaignRow.name,
            CampaignRow.name_generated,
            CampaignRow.request,
            CampaignRow.attempts,
        )
    )
    async with database.writing() as session:
        row = (await session.execute(change)).one_or_none()
    if row is None:
        return None
    campaign_id, name, name_generated, request, attempts = row
    return OpenLaunch(campaign_id, name or "", name_generated, request or b"", attempts)


async def settle_launched(database: Database, campaign_id: UUID, outcome: Outcome) -> bool:
    """
    Store that Routee accepted, and its answer, and bind the campaign to its trackingId.

    False if it could not be bound, because it has another trackingId already, or another campaign
    has this one. The launch was paid for, so that the rest is stored all the same.
    """
    await database.keep_epoch()
    async with database.driver() as connection, connection.transaction():
        await connection.execute(
            _LAUNCHED, campaign_id, outcome.answer, outcome.expected_messages, outcome.cost
        )
        if outcome.tracking_id is None:
            return True
        try:
            return await binding.bind(connection, campaign_id, outcome.tracking_id)
        except asyncpg.UniqueViolationError:
            return False


async def settle_open(  # noqa: PLR0913 (what becomes of a row, column by column)
    database: Database,
    campaign_id: UUID,
    submission: Submission,
    *,
    attempt: int,
    reason: str | None,
    next_attempt_in: timedelta | None = None,
    forget_key: bool = False,
) -> bool:
    """
    Settle an open launch in any way but by an answer that accepts it.

    With *forget_key* its idempotency key can be used again. False if the launch is not open any
    more, as a callback may have proved that it was accepted, or if *attempt* is not the latest one,
    which alone may settle it as anything but launched.
    """
    which = and_(CampaignRow.id == campaign_id, _OPEN)
    if submission is not Submission.LAUNCHED:
        which = and_(which, CampaignRow.attempts == attempt)
    next_attempt_at = None if next_attempt_in is None else func.now() + next_attempt_in
    async with database.writing_feed() as session:
        settled = await _change(
            session,
            which,
            submission=submission,
            submission_reason=reason,
            lease_until=None,
            next_attempt_at=next_attempt_at,
        )
        if settled and forget_key:
            its = IdempotencyKeyRow.campaign_id == campaign_id
            await session.execute(delete(IdempotencyKeyRow).where(its))
        return settled


async def resolve_unconfirmed(
    database: Database,
    campaign_id: UUID,
    submission: Submission,
    *,
    tracking_id: str | None,
    reason: str,
) -> bool:
    """
    Settle an unconfirmed launch as a person says.

    False if it is not unconfirmed, or Routee is being asked again at this moment.

    Raises:
        TrackingIdTaken: another campaign has that trackingId; nothing is changed.
    """
    await database.keep_epoch()
    async with database.driver() as connection, connection.transaction():
        if not await connection.fetchval(_RESOLVE, campaign_id, submission, reason):
            return False
        if tracking_id is not None:
            try:
                await binding.bind(connection, campaign_id, tracking_id)
            except asyncpg.UniqueViolationError:
                raise TrackingIdTaken from None
        return True


async def settle_cancelled(database: Database, campaign_id: UUID) -> None:
    """Store that Routee has deleted a scheduled campaign."""
    async with database.writing_feed() as session:
        await _change(
            session,
            CampaignRow.id == campaign_id,
            submission=Submission.CANCELLED,
            submission_reason=None,
        )


async def forget_idempotency_keys(database: Database, *, older_than: timedelta) -> None:
    """Delete idempotency keys that are *older_than* clients repeat requests."""
    async with database.writing() as session:
        old = IdempotencyKeyRow.created_at < func.now() - older_than
        await session.execute(delete(IdempotencyKeyRow).where(old))


async def _find_earlier(
    session: AsyncSession, campaign_id: UUID, key: IdempotencyKey | None
) -> Earlier | None:
    if key is None:
        return None
    values = {**key._asdict(), "campaign_id": campaign_id}
    claimed = upsert(IdempotencyKeyRow).values(values).on_conflict_do_nothing()
    claimed_by_us = await session.scalar(claimed.returning(IdempotencyKeyRow.campaign_id))
    if claimed_by_us is not None:
        return None
    query = select(IdempotencyKeyRow.campaign_id, IdempotencyKeyRow.fingerprint).where(
        IdempotencyKeyRow.api_key_id == key.api_key_id, IdempotencyKeyRow.key == key.key
    )
    row = (await session.execute(query.with_for_update())).one()
    earlier = Earlier(row[0], row[1])
    if earlier.fingerprint == key.fingerprint or not await _is_rejected(session, earlier):
        return earlier
    its = and_(IdempotencyKeyRow.api_key_id == key.api_key_id, IdempotencyKeyRow.key == key.key)
    values |= {"created_at": func.now()}
    await session.execute(update(IdempotencyKeyRow).where(its).values(values))
    return None


async def _is_rejected(session: AsyncSession, earlier: Earlier) -> bool:
    query = select(CampaignRow.submission).where(CampaignRow.id == earlier.campaign_id)
    return await session.scalar(query) == Submission.REJECTED


async def _change(session: AsyncSession, which: ColumnElement[bool], **values: object) -> bool:
    change = update(CampaignRow).where(which).values(updated_at=func.now(), **values)
    changed = await session.scalars(change.returning(CampaignRow.id))
    return changed.first() is not None
