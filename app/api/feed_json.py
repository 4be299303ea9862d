"""
Pages of the feed, also as CloudEvents, and replies, as JSON.

The model `routes.events.FeedPageOut` describes the same members in the OpenAPI document; a test
compares their bytes.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from app.api.cloud_events import CloudEvent
from app.api.sparse import sparse
from app.api.wire import joined, known_time, plain_or_none
from app.db.feed.pages import FeedNotice, FeedPage, InboundItem, Item, NoticeItem, StatusItem
from app.db.inbound_messages import Reply
from app.domain.event import Source
from app.domain.feed import FeedItemType, encode_position
from app.domain.status import status_of
from app.kit.slices import Slices
from app.services.feed.pages import FeedForm

_ENCODER: Final = msgspec.json.Encoder()
_SOURCES: Final = {source.value: source.name.lower() for source in Source}


class _Status(msgspec.Struct, rename="camel", gc=False):
    status: str
    provider_status: str | None
    detailed_status: str | None
    description: str | None
    to: str | None
    price: str | None
    changed: bool
    reason: str
    message_status: str | None


class _InboundMessage(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    id: str
    from_: str | None = msgspec.field(name="from")
    to: str | None
    message: str | None
    media: str | None
    filename: str | None
    sent_at: datetime | None
    received_at: datetime
    campaign_tracking_id: str | None
    campaign_name: str | None
    reference_tracking_id: str | None
    label: str | None


class _Overdue(msgspec.Struct, rename="camel", gc=False):
    to: str | None
    status: str | None


class _Campaign(msgspec.Struct, rename="camel", gc=False):
    campaign_id: str | None
    campaign_name: str | None
    label: str | None
    submission_reason: str | None


class _FinishedCampaign(msgspec.Struct, rename="camel", gc=False):
    campaign_id: str | None
    campaign_name: str | None
    label: str | None
    submission_reason: str | None
    total: int
    final_count: int
    overdue: int


class _Erasure(msgspec.Struct, rename="camel", gc=False):
    erasure_id: str
    recipient_key: str
    earlier_recipient_keys: list[str]


_Data = _Status | _InboundMessage | _Overdue | _Campaign | _FinishedCampaign | _Erasure


class _Item(msgspec.Struct, rename="camel", gc=False):
    id: str
    tracking_id: str | None
    campaign_tracking_id: str | None
    occurred_at: datetime | None
    received_at: datetime
    source: str
    type: FeedItemType
    data: _Data


#: The names of the members of a reply, and of an item of the feed.
REPLY_MEMBERS: Final = _InboundMessage.__struct_encode_fields__
ITEM_MEMBERS: Final = _Item.__struct_encode_fields__


async def feed_json(page: FeedPage, form: FeedForm, slices: Slices) -> bytes:
    """The body for *page*."""
    as_json = sparse(_item_json, form.members)
    if form.as_cloud_events:
        batch = await slices.mapped(lambda item: _cloud_event(item, as_json(item)), page.items)
        return b"[%b]" % b",".join(batch)
    if not form.as_events:
        return joined(
            await slices.mapped(as_json, page.items), nextCursor=encode_position(page.end)
        )
    events = await slices.mapped(lambda item: _event(item, as_json(item)), page.items)
    if not page.items or page.items[-1].position != page.end:
        # An id alone: a client remembers it, and has passed what the filter leaves out.
        events.append(b"id: %b\n\n" % encode_position(page.end).encode())
    return b"".join(events)


#: Line ends to Python's `splitlines`, with which some clients read a stream; not to HTML.
_LINE_ENDS: Final = {end.encode(): f"\\u{ord(end):04x}".encode() for end in "\u0085\u2028\u2029"}


def _event(item: Item, data: bytes) -> bytes:
    """A server-sent event; its JSON is on one line, for whatever reader."""
    for end, escaped in _LINE_ENDS.items():
        data = data.replace(end, escaped)
    cursor = encode_position(item.position).encode()
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor, _type_of(item).encode(), data)


def _type_of(item: Item) -> FeedItemType:
    if isinstance(item, StatusItem):
        return FeedItemType.STATUS
    return FeedItemType.INBOUND if isinstance(item, InboundItem) else FeedItemType(item.notice.type)


def _item_json(item: Item) -> bytes:
    return _ENCODER.encode(_item(item))


def _cloud_event(item: Item, data: bytes) -> bytes:
    shown = _item(item)
    event = CloudEvent(
        shown.id,
        shown.type,
        shown.occurred_at or shown.received_at,
        msgspec.Raw(data),
        shown.tracking_id or shown.campaign_tracking_id or msgspec.UNSET,
    )
    return _ENCODER.encode(event)


def _item(item: Item) -> _Item:
    if isinstance(item, StatusItem):
        return _status(item)
    return _inbound_message(item) if isinstance(item, InboundItem) else _notice(item)


def _status(item: StatusItem) -> _Item:
    event = item.event
    # By position: keyword arguments would cost more than all the rest.
    data = _Status(
        status_of(event.status_key),
        event.provider_status or None,
        event.detailed_status,
        event.description,
        event.recipient,
        plain_or_none(event.price),
        item.effect.changed,
        item.effect,
        item.message_status,
    )
    return _Item(
        str(event.id),
        event.message_tracking_id,
        item.campaign_tracking_id,
        known_time(event.occurred_at),
        event.received_at,
        _SOURCES[event.source],
        FeedItemType.STATUS,
        data,
    )


def inbound_message_json(reply: Reply) -> bytes:
    """A reply, as the model `InboundMessageOut` describes it."""
    return _ENCODER.encode(_reply(reply))


def _reply(reply: Reply) -> _InboundMessage:
    row = reply.row
    return _InboundMessage(
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


def _inbound_message(item: InboundItem) -> _Item:
    data = _reply(item.reply)
    return _Item(
        data.id,
        data.reference_tracking_id,
        data.campaign_tracking_id,
        data.sent_at,
        data.received_at,
        _SOURCES[Source.CALLBACK.value],
        FeedItemType.INBOUND,
        data,
    )


#: By the type of a notice.
_NOTICES: Final[dict[FeedItemType, type[_Overdue | _Campaign | _FinishedCampaign | _Erasure]]] = {
    FeedItemType.OVERDUE: _Overdue,
    FeedItemType.LAUNCHED: _Campaign,
    FeedItemType.REJECTED: _Campaign,
    FeedItemType.CANCELLED: _Campaign,
    FeedItemType.FINISHED: _FinishedCampaign,
    FeedItemType.ERASED: _Erasure,
}


def _notice(item: NoticeItem) -> _Item:
    notice = item.notice
    kind = FeedItemType(notice.type)
    return _Item(
        str(notice.id),
        notice.message_tracking_id,
        item.campaign_tracking_id,
        notice.received_at,
        notice.received_at,
        "service",
        kind,
        _notice_data(kind, notice),
    )


def _notice_data(kind: FeedItemType, notice: FeedNotice) -> _Data:
    campaign = None if notice.campaign_id is None else str(notice.campaign_id)
    stored: dict[str, Any] = {"campaignId": campaign, **notice.data}
    return msgspec.convert(stored, _NOTICES[kind])
