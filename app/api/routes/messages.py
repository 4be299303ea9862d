"""Messages and their history."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from app.api.history import Step, told_history
from app.api.parts import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    PartsDep,
    Reader,
    TrackingId,
    position_in,
    row_id,
)
from app.api.wire import Instant, Money, Page, Wire, known_time
from app.db.messages import find_message, history_of
from app.db.tables import MessageRow
from app.domain.api_key import Scope
from app.domain.status import Status, is_final
from app.errors import NotFound
from app.kit.cursor import encode_cursor

router = APIRouter(prefix="/v1/messages", tags=["messages"])


class MessageOut(Wire):
    """Where one message stands."""

    tracking_id: str
    campaign_tracking_id: str | None
    to: str | None
    from_: str | None = Field(alias="from")
    country: str | None
    label: str | None
    #: In our vocabulary.
    status: Status
    #: Routee's own word.
    provider_status: str | None
    detailed_status: str | None
    description: str | None
    #: When the status was reached; null when Routee did not say.
    status_at: Instant | None
    #: No further callback is owed. A failure may still become DELIVERED, a DELIVERED SEEN.
    final: bool
    queued_at: Instant | None
    sent_at: Instant | None
    delivered_at: Instant | None
    seen_at: Instant | None
    failed_at: Instant | None
    price: Money | None
    #: Routee's own time of creation.
    created_at: Instant | None
    #: When we last stored something new about it.
    updated_at: Instant


def message_out(row: MessageRow) -> MessageOut:
    """A stored message as the API shows it."""
    return MessageOut(
        tracking_id=row.message_tracking_id,
        campaign_tracking_id=row.campaign_tracking_id,
        to=row.recipient,
        from_=row.sender,
        country=row.country,
        label=row.label,
        status=Status(row.status),
        provider_status=row.provider_status or None,
        detailed_status=row.detailed_status,
        description=row.description,
        status_at=known_time(row.status_at),
        final=is_final(row.status_rank),
        queued_at=row.queued_at,
        sent_at=row.sent_at,
        delivered_at=row.delivered_at,
        seen_at=row.seen_at,
        failed_at=row.failed_at,
        price=row.price,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@router.get("/{tracking_id}", summary="The current status of one message")
async def get_message(tracking_id: TrackingId, parts: PartsDep, _: Reader) -> MessageOut:
    """The state that all callbacks of this message, in whatever order they came, lead to."""
    row = await find_message(parts.database, tracking_id)
    if row is None:
        raise NotFound(f"No callback has named the message {tracking_id!r} yet.")
    return message_out(row)


@router.get(
    "/{tracking_id}/events",
    summary="What happened to one message",
    response_model_exclude_unset=True,
)
async def get_history(  # noqa: PLR0913 (the parameters of the call)
    tracking_id: TrackingId,
    parts: PartsDep,
    caller: Reader,
    *,
    raw: Annotated[
        bool,
        Query(description="With each payload: secrets masked, exact for a key of scope `admin`."),
    ] = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[Step]:
    """
    Every distinct event in the order in which it was stored.

    `changed` says whether it became the current status then, `reason` why or why not: `advanced`,
    `filled` (overtaken, but the first of its status), `late` (overtaken, and its status known) or
    `lower-rank` (later in time, but a status does not fall back).
    """
    scope = f"events of {tracking_id}"
    after = position_in(cursor, scope=scope, of=row_id) or 0
    message = await find_message(parts.database, tracking_id)
    if message is None:
        raise NotFound(f"No callback has named the message {tracking_id!r} yet.")
    events = await history_of(parts.database, message, with_payload=raw)
    steps = told_history(events, raw=raw, exact=caller.allows(Scope.ADMIN))
    rest = [step for step in steps if int(step.id) > after]
    more = len(rest) > limit
    return Page(
        items=rest[:limit],
        next_cursor=encode_cursor([int(rest[limit - 1].id)], scope=scope) if more else None,
    )
