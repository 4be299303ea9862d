"""What is committed before, between and after the attempts to have a campaign launched."""

from collections.abc import Collection
from datetime import timedelta
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


class IdempotencyKey(NamedTuple):
    """What a caller names its request by, so that repeating it does nothing twice."""

    api_key_id: UUID
    key: str
    #: SHA-256 of the request: another request under the same key is a mistake.
    fingerprint: bytes


class Earlier(NamedTuple):
    """The launch that a key stands for already."""

    campaign_id: UUID
    fingerprint: bytes


class Outcome(NamedTuple):
    """What Routee answered when it accepted a campaign."""

    answer: bytes
    tracking_id: str | None
    expected_messages: int | None
    cost: Decimal | None


class OpenLaunch(NamedTuple):
    """A campaign of which it is not known whether Routee has accepted it."""

    campaign_id: UUID
    name: str
    name_generated: bool
    request: bytes
    #: How often Routee was asked, this time included.
    attempts: int


#: A trackingId that a callback taught stays; so does a cancellation.
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
    Commit that a campaign is going to be asked for. `begin` says that it is.

    Unless *idempotency_key* stands for a launch already: then that one is returned, and nothing is
    changed. A twin at the same moment waits for the first.

    Raises:
        NameTaken: a campaign of that name is being launched or was launched.
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
    """The launch that one of *keys* stands for, if any."""
    query = select(IdempotencyKeyRow.campaign_id, IdempotencyKeyRow.fingerprint).where(
        IdempotencyKeyRow.api_key_id == api_key_id, IdempotencyKeyRow.key.in_(keys)
    )
    async with database.reading() as session:
        row = (await session.execute(query.limit(1))).one_or_none()
    return None if row is None else Earlier(row[0], row[1])


async def begin(database: Database, campaign_id: UUID) -> bool:
    """
    Commit that Routee is being asked for the first time; False when it must not be any more.

    A step of its own after the intent: when this commit is in doubt, the intent is known for
    certain, and the caller can be told where to look instead of launching again.
    """
    intended = and_(
        CampaignRow.id == campaign_id,
        CampaignRow.submission == Submission.LAUNCHING,
        CampaignRow.attempts == 0,
    )
    async with database.writing() as session:
        return await _change(session, intended, attempts=1)


async def drop_never_asked(database: Database) -> None:
    """Reject intents whose owner died before it asked Routee: nobody was told that they began."""
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
    async with database.writing() as session:
        dropped = (await session.scalars(change)).all()
        theirs = IdempotencyKeyRow.campaign_id.in_(dropped)
        await session.execute(delete(IdempotencyKeyRow).where(theirs))


async def take_up(database: Database, *, lease: timedelta) -> OpenLaunch | None:
    """
    A launch whose owner died, or else one that is due for another attempt; for the caller alone.

    Until *lease* has passed nobody else gets it. Then it is due again, should the caller die too.
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
    Routee accepted: keep its answer, and bind what came through the campaign's token before.

    False when the trackingId could not be learnt, because the campaign has another one already, or
    another campaign has this one: a launch that was paid for is kept all the same.
    """
    async with database.driver() as connection, connection.transaction():
        await connection.execute(
            _LAUNCHED, campaign_id, outcome.answer, outcome.expected_messages, outcome.cost
        )
        if outcome.tracking_id is None:
            return True
        try:
            return await binding.learn(connection, campaign_id, outcome.tracking_id)
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
    Settle a launch that is still open otherwise than by an answer of Routee's that accepts it.

    With *forget_key* its idempotency key is free again. False when it is not open any more, because
    a callback may have proved that it was accepted, or when *attempt* is not the latest one: what
    became of a later one is not for this one to say, unless it is launched.
    """
    which = and_(CampaignRow.id == campaign_id, _OPEN)
    if submission is not Submission.LAUNCHED:
        which = and_(which, CampaignRow.attempts == attempt)
    next_attempt_at = None if next_attempt_in is None else func.now() + next_attempt_in
    async with database.writing() as session:
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
    A person says what became of an unconfirmed launch.

    False when it is not unconfirmed, or Routee is being asked again at this moment.

    Raises:
        TrackingIdTaken: another campaign has that trackingId; nothing is changed.
    """
    async with database.driver() as connection, connection.transaction():
        if not await connection.fetchval(_RESOLVE, campaign_id, submission, reason):
            return False
        if tracking_id is not None:
            try:
                await binding.learn(connection, campaign_id, tracking_id)
            except asyncpg.UniqueViolationError:
                raise TrackingIdTaken from None
        return True


async def settle_cancelled(database: Database, campaign_id: UUID) -> None:
    """Routee has deleted it before its time."""
    async with database.writing() as session:
        await _change(
            session,
            CampaignRow.id == campaign_id,
            submission=Submission.CANCELLED,
            submission_reason=None,
        )


async def forget_idempotency_keys(database: Database, *, older_than: timedelta) -> None:
    """Let go of keys that nobody repeats any more."""
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
    row = (await session.execute(query)).one()
    return Earlier(row[0], row[1])


async def _change(session: AsyncSession, which: ColumnElement[bool], **values: object) -> bool:
    change = update(CampaignRow).where(which).values(updated_at=func.now(), **values)
    changed = await session.scalars(change.returning(CampaignRow.id))
    return changed.first() is not None
