"""The status of whatever has a trackingId."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from app.api.caching import NOT_MODIFIED, Revalidated
from app.api.parts import PartsDep, Reader, TrackingId
from app.api.routes.campaigns import CampaignOut, campaign_out
from app.api.routes.messages import MessageOut, message_out
from app.db.campaigns import counts_of, find_campaign
from app.db.messages import find_message
from app.errors import NotFound

router = APIRouter(
    prefix="/v1/status", tags=["status"], route_class=Revalidated, responses=NOT_MODIFIED
)


class MessageStatus(MessageOut):
    """A message."""

    kind: Literal["message"] = "message"


class CampaignStatus(CampaignOut):
    """A campaign."""

    kind: Literal["campaign"] = "campaign"


AnyStatus = Annotated[MessageStatus | CampaignStatus, Field(discriminator="kind")]


@router.get("/{tracking_id}", summary="The status of a message or a campaign")
async def get_status(tracking_id: TrackingId, parts: PartsDep, _: Reader) -> AnyStatus:
    """For a caller that has a trackingId and need not know of what."""
    message = await find_message(parts.reads, tracking_id)
    if message is not None:
        return MessageStatus.model_validate(dict(message_out(message)))
    campaign = await find_campaign(parts.database, tracking_id)
    if campaign is None:
        raise NotFound(f"Neither a message nor a campaign {tracking_id!r} is known.")
    counts = await counts_of(parts.database, campaign.tracking_id or "")
    return CampaignStatus.model_validate(dict(campaign_out(campaign, counts)))
