"""What is committed before, and what after, Routee is asked for a campaign."""

from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, insert, update
from sqlalchemy.exc import IntegrityError

from app.db import binding
from app.db.database import Database
from app.db.tables import CampaignRow
from app.domain.campaign import Billing, Submission


class NameTaken(Exception):
    """Another campaign holds the name."""


class Intent(NamedTuple):
    """A campaign that is about to be asked for."""

    name: str
    name_generated: bool
    label: str | None
    billing: Billing
    #: The caller's body, as JSON.
    request: bytes
    warnings: list[dict[str, str]]


class Outcome(NamedTuple):
    """What Routee answered when it accepted a campaign."""

    answer: bytes
    tracking_id: str | None
    expected_messages: int | None
    cost: Decimal | None


_LAUNCHED: Final = """
UPDATE campaigns SET
    submission = 'launched', submission_reason = NULL, answer = $2, expected_messages = $3,
    cost = $4, lease_until = NULL, updated_at = now()
WHERE id = $1
"""


async def add_intent(
    database: Database, campaign_id: UUID, intent: Intent, *, lease: timedelta
) -> None:
    """
    Commit that a campaign is about to be asked for.

    Raises:
        NameTaken: a campaign of that name is being launched or was launched.
    """
    values = {
        "id": campaign_id,
        **intent._asdict(),
        "submission": Submission.LAUNCHING,
        "lease_until": func.now() + lease,
    }
    try:
        async with database.writing() as session:
            await session.execute(insert(CampaignRow).values(values))
    except IntegrityError as error:
        raise NameTaken from error


async def settle_launched(database: Database, campaign_id: UUID, outcome: Outcome) -> None:
    """Routee accepted: keep its answer, and bind what came through the campaign's token before."""
    async with database.driver() as connection, connection.transaction():
        await connection.execute(
            _LAUNCHED, campaign_id, outcome.answer, outcome.expected_messages, outcome.cost
        )
        if outcome.tracking_id is not None:
            await binding.learn(connection, campaign_id, outcome.tracking_id)


async def settle_otherwise(
    database: Database, campaign_id: UUID, submission: Submission, reason: str
) -> None:
    """Routee refused, or did not answer. A callback may have proved the contrary meanwhile."""
    change = (
        update(CampaignRow)
        .where(CampaignRow.id == campaign_id, CampaignRow.submission == Submission.LAUNCHING)
        .values(
            submission=submission,
            submission_reason=reason,
            lease_until=None,
            updated_at=func.now(),
        )
    )
    async with database.writing() as session:
        await session.execute(change)
