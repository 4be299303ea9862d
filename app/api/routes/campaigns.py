"""Campaigns: launching them, where they stand, and their messages."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response

from app.api.parts import (
    DEFAULT_LIMIT,
    Cursor,
    Launcher,
    Limit,
    Parts,
    PartsDep,
    Reader,
    SafeText,
    TrackingId,
    position_in,
)
from app.api.routes.messages import MessageOut, message_out
from app.api.wire import Instant, Money, Page, Wire
from app.db.campaigns import counts_of, find_campaign
from app.db.messages import MessageFilter, page_of_campaign_messages
from app.db.tables import CampaignRow
from app.domain.campaign import Billing, Submission
from app.domain.status import RANK, Status, is_final
from app.errors import NotFound
from app.kit.cursor import encode_cursor
from app.routee.campaign_fields import passed_on

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])


class Warned(Wire):
    """Something in the request that is allowed, but doubtful."""

    field: str
    code: str
    message: str


class CampaignOut(Wire):
    """A campaign in Routee's words, and what became of it."""

    #: Ours, from the first moment.
    id: UUID
    #: Routee's; null until it is known.
    tracking_id: str | None
    #: How far asking Routee for it has come; `observed`: it was not launched here.
    submission: Submission
    submission_reason: str | None
    billing: Billing | None
    type: Any
    #: Routee's word when it was launched; Routee offers no way to read it again.
    state: Any
    created_at: Any
    sender_info_tracking_id: Any
    sender_info_name: Any
    to: Any
    contacts: Any
    groups: Any
    campaign_name: Any
    scheduled_date: Any
    body: Any
    ttl: Any
    cost: Money | None
    total_messages: Any
    viber_analysis: Any
    #: Ours, as Routee was given it; the token is masked.
    callback_url: Any
    inbound_url: Any
    label: Any
    is_session_message: Any
    respect_quiet_hours: Any
    #: How many messages are in each status now.
    counts: dict[Status, int]
    #: The sum of `counts`: messages of which a callback was received.
    total: int
    #: How many of them have reached an end.
    final_count: int
    #: Expected messages without any callback; null when it is not known how many to expect.
    awaiting: int | None
    warnings: list[Warned]
    updated_at: Instant


def campaign_out(row: CampaignRow, counted: dict[str, int]) -> CampaignOut:
    """A stored campaign as the API shows it."""
    counts = {status: counted.get(status, 0) for status in Status}
    total = sum(counts.values())
    fields = passed_on(request=row.request, answer=row.answer)
    ours = {
        "id": row.id,
        "trackingId": row.tracking_id,
        "submission": row.submission,
        "submissionReason": row.submission_reason,
        "billing": row.billing,
        "campaignName": row.name,
        "cost": row.cost,
        "counts": counts,
        "total": total,
        "finalCount": sum(count for status, count in counts.items() if is_final(RANK[status])),
        "awaiting": None
        if row.expected_messages is None
        else max(row.expected_messages - total, 0),
        "warnings": row.warnings,
        "updatedAt": row.updated_at,
    }
    return CampaignOut.model_validate({**fields, **ours})


@router.post(
    "",
    summary="Launch a campaign",
    status_code=HTTPStatus.CREATED,
    responses={HTTPStatus.ACCEPTED: {"model": CampaignOut, "description": "Routee has not said"}},
)
async def launch_campaign(
    request: Annotated[dict[str, Any], Body(description="Routee's campaign request.")],
    response: Response,
    parts: PartsDep,
    _: Launcher,
) -> CampaignOut:
    """
    Ask Routee for a campaign, with this service as its `callbackUrl` and `inboundUrl`.

    201 when Routee accepted it. 202 when Routee gave no usable answer: it may have been accepted,
    must not be sent again, and is settled by its first callback.
    """
    campaign_id = await parts.launching.launch(request)
    campaign = await _campaign(parts, str(campaign_id))
    response.headers["Location"] = f"/v1/campaigns/{campaign_id}"
    if campaign.submission is Submission.UNCONFIRMED:
        response.status_code = HTTPStatus.ACCEPTED
    return campaign


@router.get("/{tracking_id}", summary="One campaign and its counts")
async def get_campaign(tracking_id: TrackingId, parts: PartsDep, _: Reader) -> CampaignOut:
    """The campaign of Routee's trackingId, or of our own id."""
    return await _campaign(parts, tracking_id)


@router.get("/{tracking_id}/messages", summary="The messages of one campaign")
async def list_campaign_messages(  # noqa: PLR0913, PLR0917 (the parameters of the call)
    tracking_id: TrackingId,
    parts: PartsDep,
    _: Reader,
    status: Annotated[Status | None, Query(description="Only those in this status.")] = None,
    to: Annotated[SafeText | None, Query(description="Only those to this number.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[MessageOut]:
    """Every message of which a callback was received, in the order of their ids."""
    scope = f"messages of {tracking_id} {status} {to}"
    position = position_in(cursor, scope=scope)
    campaign = await find_campaign(parts.database, tracking_id)
    if campaign is None:
        raise NotFound(f"There is no campaign {tracking_id!r}.")
    if campaign.tracking_id is None:
        return Page(items=[], next_cursor=None)
    rows = await page_of_campaign_messages(
        parts.database,
        campaign.tracking_id,
        MessageFilter(status, to),
        after=str(position[0]) if position else None,
        limit=limit + 1,
    )
    more = len(rows) > limit
    last = rows[limit - 1].message_tracking_id if more else ""
    return Page(
        items=[message_out(row) for row in rows[:limit]],
        next_cursor=encode_cursor([last], scope=scope) if more else None,
    )


async def _campaign(parts: Parts, tracking_id: str) -> CampaignOut:
    row = await find_campaign(parts.database, tracking_id)
    if row is None:
        raise NotFound(f"There is no campaign {tracking_id!r}.")
    counts = await counts_of(parts.database, row.tracking_id) if row.tracking_id else {}
    return campaign_out(row, counts)
