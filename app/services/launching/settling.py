"""Settling a launch by a person: resolving an unconfirmed one, or cancelling a scheduled one."""

from uuid import UUID

from app.db.campaigns import find_campaign
from app.db.database import Database
from app.db.launching.launches import TrackingIdTaken, resolve_unconfirmed, settle_cancelled
from app.db.tables import CampaignRow
from app.domain.campaign import Submission
from app.errors import (
    ApiError,
    CampaignNotCancellable,
    CampaignNotUnconfirmed,
    Fault,
    InvalidRequest,
    LaunchInProgress,
    NotFound,
)
from app.routee.client import RouteeClient
from app.services.launching.attempts import LEASE


async def resolve(
    database: Database, tracking_id: str, submission: Submission, *, routee_id: str | None
) -> UUID:
    """
    Settle an unconfirmed launch as a person reports it, and return our id of the campaign.

    *submission* is launched or rejected; *routee_id* is its trackingId, if the person found it.

    Raises:
        NotFound: there is no such campaign.
        InvalidRequest: another campaign has that trackingId.
        CampaignNotUnconfirmed: it is settled already.
        LaunchInProgress: Routee is being asked again at this moment, and may still accept it.
    """
    campaign = await _campaign(database, tracking_id)
    try:
        resolved = await resolve_unconfirmed(
            database,
            campaign.id,
            submission,
            tracking_id=routee_id if submission is Submission.LAUNCHED else None,
            reason="resolved by a person",
        )
    except TrackingIdTaken:
        fault = Fault("trackingId", "is that of another campaign")
        raise InvalidRequest(faults=(fault,)) from None
    if not resolved:
        raise await _unresolvable(database, tracking_id)
    return campaign.id


async def _unresolvable(database: Database, tracking_id: str) -> ApiError:
    campaign = await _campaign(database, tracking_id)
    if campaign.submission == Submission.UNCONFIRMED:
        return LaunchInProgress(
            "Routee is being asked for it again at this moment. Wait for the answer.",
            retry_after_seconds=int(LEASE.total_seconds()),
        )
    return CampaignNotUnconfirmed(f"It is {campaign.submission}; there is nothing to resolve.")


async def cancel(database: Database, client: RouteeClient, tracking_id: str) -> UUID:
    """
    Delete a scheduled campaign at Routee before its time, and return our id of it.

    Raises:
        NotFound: there is no such campaign.
        CampaignNotCancellable: Routee did not accept it, or its trackingId is unknown.
        RouteeRefused: Routee does not know it, or has begun to send it.
        RouteeUnavailable: it may have been deleted; asking again is harmless.
    """
    campaign = await _campaign(database, tracking_id)
    if campaign.submission == Submission.CANCELLED:
        return campaign.id
    if campaign.tracking_id is None or campaign.submission == Submission.REJECTED:
        raise CampaignNotCancellable(
            f"It is {campaign.submission} and has no trackingId by which Routee could delete it."
        )
    await client.delete_campaign(campaign.tracking_id)
    await settle_cancelled(database, campaign.id)
    return campaign.id


async def _campaign(database: Database, tracking_id: str) -> CampaignRow:
    campaign = await find_campaign(database, tracking_id)
    if campaign is None:
        raise NotFound(f"There is no campaign {tracking_id!r}.")
    return campaign
