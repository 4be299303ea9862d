"""The recipients' replies."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from app.api.parts import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Moment,
    Number,
    PartsDep,
    Reader,
    SafeText,
    position_in,
    row_id,
)
from app.api.wire import Instant, Page, Wire
from app.db.inbound_messages import (
    InboundFilter,
    Reply,
    find_inbound_message,
    page_of_inbound_messages,
)
from app.errors import NotFound
from app.kit.cursor import encode_cursor

router = APIRouter(prefix="/v1/inbound-messages", tags=["inbound messages"])


class InboundMessageOut(Wire):
    """A message from a recipient."""

    id: str
    #: The recipient's number.
    from_: str | None = Field(alias="from")
    #: The Viber sender it was sent to.
    to: str | None
    message: str | None
    #: Where the attachment is, as Routee spells it: it need not be a valid URL.
    media: str | None
    filename: str | None
    sent_at: Instant | None
    received_at: Instant
    #: Its own, else that of the message it answers.
    campaign_tracking_id: str | None
    campaign_name: str | None
    #: The outbound message that it answers.
    reference_tracking_id: str | None
    label: str | None


def inbound_message_out(reply: Reply) -> InboundMessageOut:
    """A stored reply as the API shows it."""
    row = reply.row
    return InboundMessageOut(
        id=str(row.id),
        from_=row.sender,
        to=row.recipient,
        message=row.message,
        media=row.media,
        filename=row.filename,
        sent_at=row.sent_at,
        received_at=row.received_at,
        campaign_tracking_id=reply.campaign_tracking_id,
        campaign_name=row.campaign_name,
        reference_tracking_id=row.reference_tracking_id,
        label=row.label,
    )


@router.get("", summary="Replies, the oldest first")
async def list_inbound_messages(  # noqa: PLR0913, PLR0917 (the parameters of the call)
    parts: PartsDep,
    _: Reader,
    campaign_tracking_id: Annotated[SafeText | None, Query(alias="campaignTrackingId")] = None,
    reference_tracking_id: Annotated[SafeText | None, Query(alias="referenceTrackingId")] = None,
    from_: Annotated[Number | None, Query(alias="from")] = None,
    received_since: Annotated[Moment | None, Query(alias="receivedSince")] = None,
    received_before: Annotated[Moment | None, Query(alias="receivedBefore")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[InboundMessageOut]:
    """What recipients answered, in the order in which it was stored."""
    wanted = InboundFilter(
        campaign_tracking_id, reference_tracking_id, from_, received_since, received_before
    )
    scope = f"inbound messages {wanted}"
    after = position_in(cursor, scope=scope, of=row_id)
    rows = await page_of_inbound_messages(parts.database, wanted, after=after, limit=limit + 1)
    more = len(rows) > limit
    return Page(
        items=[inbound_message_out(row) for row in rows[:limit]],
        next_cursor=encode_cursor([rows[limit - 1].row.id], scope=scope) if more else None,
    )


@router.get("/{id}", summary="One reply")
async def get_inbound_message(
    inbound_id: Annotated[str, Path(alias="id")], parts: PartsDep, _: Reader
) -> InboundMessageOut:
    """The reply of that id."""
    found = None
    if inbound_id.isascii() and inbound_id.isdigit():
        with suppress(ValueError):  # no row can have such an id
            found = await find_inbound_message(parts.database, row_id(inbound_id))
    if found is None:
        raise NotFound(f"There is no inbound message {inbound_id!r}.")
    return inbound_message_out(found)
