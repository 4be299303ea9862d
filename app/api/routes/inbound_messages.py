"""The recipients' replies."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from app.api.feed_json import REPLY_MEMBERS, inbound_message_json
from app.api.parts import (
    GivenId,
    Moment,
    Number,
    Paging,
    PagingDep,
    Parts,
    PartsDep,
    Reader,
    cursor_after,
    json_answer,
    list_answer,
    row_id,
    row_time,
)
from app.api.sparse import Fields, fields_among, sparse
from app.api.wire import Instant, Page, Wire
from app.db.campaigns import find_campaign
from app.db.inbound_messages import (
    InboundFilter,
    Reply,
    find_inbound_message,
    page_of_inbound_messages,
    page_of_received_messages,
)
from app.errors import NotFound

router = APIRouter(prefix="/v1/inbound-messages", tags=["inbound messages"])


class InboundMessageOut(Wire):
    """A message from a recipient."""

    id: str
    #: The recipient's number.
    from_: str | None = Field(alias="from")
    #: The Viber sender it was sent to.
    to: str | None
    message: str | None
    media: str | None
    filename: str | None
    sent_at: Instant | None
    received_at: Instant
    #: The reply's own, else that of the message that it answers.
    campaign_tracking_id: str | None
    campaign_name: str | None
    reference_tracking_id: str | None
    label: str | None


ReplyFields = Annotated[Fields, Depends(fields_among(REPLY_MEMBERS))]


@router.get("", summary="Replies, the oldest first", response_model=Page[InboundMessageOut])
async def list_inbound_messages(  # noqa: PLR0913 (the parameters of the call)
    parts: PartsDep,
    _: Reader,
    *,
    campaign_tracking_id: Annotated[GivenId | None, Query(alias="campaignTrackingId")] = None,
    reference_tracking_id: Annotated[GivenId | None, Query(alias="referenceTrackingId")] = None,
    from_: Annotated[Number | None, Query(alias="from")] = None,
    received_since: Annotated[Moment | None, Query(alias="receivedSince")] = None,
    received_before: Annotated[Moment | None, Query(alias="receivedBefore")] = None,
    fields: ReplyFields,
    paging: PagingDep,
) -> Response:
    """
    Recipients' replies, in the order in which they were stored.

    A page scans at most 10,000 replies: with filters that few replies pass it may be short or empty
    although `nextCursor` is not null.
    """
    wanted = InboundFilter(
        await _routee_id(parts, campaign_tracking_id),
        reference_tracking_id,
        from_,
        received_since,
        received_before,
    )
    scope = f"inbound messages {wanted._replace(campaign_tracking_id=campaign_tracking_id)}"
    as_json = sparse(inbound_message_json, fields)
    if not wanted.has_key:
        replies, cursor = await _received(parts, wanted, scope, paging)
        return await list_answer(parts, replies, as_json, cursor=cursor)
    after = paging.position(scope=scope, of=row_id)
    page = await page_of_inbound_messages(parts.reads, wanted, after=after, limit=paging.limit)
    cursor = cursor_after(page.end, scope=scope)
    return await list_answer(parts, page.replies, as_json, cursor=cursor)


async def _received(
    parts: Parts, wanted: InboundFilter, scope: str, paging: Paging
) -> tuple[Sequence[Reply], str | None]:
    """The replies of one page, and the cursor of the next page."""
    after = paging.position(scope=scope, of=_receipt)
    replies = await page_of_received_messages(
        parts.reads, wanted, after=after, limit=paging.limit + 1
    )
    return paging.cut(
        replies,
        position=lambda reply: [reply.row.received_at.isoformat(), reply.row.id],
        scope=scope,
    )


def _receipt(instant: str, inbound_id: str | int) -> tuple[datetime, int]:
    return row_time(instant), row_id(inbound_id)


async def _routee_id(parts: Parts, campaign_tracking_id: str | None) -> str | None:
    """Routee's id of the campaign if *campaign_tracking_id* is our id, else the given id."""
    if campaign_tracking_id is None:
        return None
    row = await find_campaign(parts.database, campaign_tracking_id)
    return campaign_tracking_id if row is None else row.tracking_id or campaign_tracking_id


@router.get("/{id}", summary="One reply", response_model=InboundMessageOut)
async def get_inbound_message(
    inbound_id: Annotated[str, Path(alias="id")],
    parts: PartsDep,
    _: Reader,
    fields: ReplyFields,
) -> Response:
    """The reply with this id."""
    found = None
    if inbound_id.isascii() and inbound_id.isdigit():
        with suppress(ValueError):  # no row can have such an id
            found = await find_inbound_message(parts.reads, row_id(inbound_id))
    if found is None:
        raise NotFound(f"There is no inbound message {inbound_id!r}.")
    return json_answer(sparse(inbound_message_json, fields)(found))
