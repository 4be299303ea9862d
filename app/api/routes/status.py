"""The status of a message or a campaign, by its trackingId."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from app.api.caching import NOT_MODIFIED
from app.api.fast_reads import RevalidatedRead
from app.api.message_json import message_status_json
from app.api.parts import PartsDep, Reader, TrackingId, json_answer
from app.api.routes.campaigns import CampaignSummary, counted_campaign
from app.api.routes.messages import MessageMembers
from app.db.campaigns import find_campaign
from app.errors import NotFound

router = APIRouter(
    prefix="/v1/status", tags=["status"], route_class=RevalidatedRead, responses=NOT_MODIFIED
)


class MessageStatus(MessageMembers):
    """A message."""

    kind: Literal["message"] = "message"


class CampaignStatus(CampaignSummary):
    """A campaign without its long members."""

    kind: Literal["campaign"] = "campaign"


AnyStatus = Annotated[MessageStatus | CampaignStatus, Field(discriminator="kind")]


@router.get(
    "/{tracking_id}", summary="The status of a message or a campaign", response_model=AnyStatus
)
async def get_status(tracking_id: TrackingId, parts: PartsDep, _: Reader) -> Response:
    """For a caller that has a trackingId and does not know whether it is of a message."""
    row = await parts.current.find(tracking_id)
    if row is not None:
        return json_answer(message_status_json(row))
    campaign = await find_campaign(parts.database, tracking_id)
    if campaign is None:
        raise NotFound(f"Neither a message nor a campaign {tracking_id!r} is known.")
    return json_answer(await counted_campaign(parts, campaign, kind="campaign"))
