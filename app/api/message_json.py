"""
Messages as JSON, for the calls that backends poll with.

Encoding takes a tenth of the time that the model `routes.messages.MessageOut` takes. The model
describes the same members in the OpenAPI document; a test compares their bytes.
"""

from datetime import datetime
from typing import Final, Literal

import msgspec

from app.api.wire import known_time, plain_or_none
from app.db.messages import CurrentMessage
from app.domain.explanations import explained
from app.domain.status import AWAITING, is_final

_ENCODER: Final = msgspec.json.Encoder()


class _Message(msgspec.Struct, rename="camel", gc=False):
    tracking_id: str
    campaign_tracking_id: str | None
    to: str | None
    from_: str | None = msgspec.field(name="from")
    country: str | None
    label: str | None
    status: str
    provider_status: str | None
    detailed_status: str | None
    description: str | None
    status_at: datetime | None
    final: bool
    overdue: bool
    queued_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    seen_at: datetime | None
    failed_at: datetime | None
    price: str | None
    created_at: datetime | None
    updated_at: datetime


class _Explanation(msgspec.Struct, gc=False):
    text: str
    action: str | None


class _ExplainedMessage(_Message, rename="camel", gc=False):
    explanation: _Explanation


class _MessageStatus(_Message, rename="camel", gc=False):
    kind: Literal["message"] = "message"


class _Awaited(msgspec.Struct, rename="camel", gc=False):
    """A recipient without a callback: a message with its number alone."""

    tracking_id: None
    campaign_tracking_id: str | None
    to: str
    from_: None = msgspec.field(name="from", default=None)
    country: None = None
    label: None = None
    status: str = AWAITING
    provider_status: None = None
    detailed_status: None = None
    description: None = None
    status_at: None = None
    final: bool = False
    overdue: bool = False
    queued_at: None = None
    sent_at: None = None
    delivered_at: None = None
    seen_at: None = None
    failed_at: None = None
    price: None = None
    created_at: None = None
    updated_at: None = None


#: The names of the members of a message.
MESSAGE_MEMBERS: Final = _Message.__struct_encode_fields__
#: The same, and `explanation`.
EXPLAINED_MESSAGE_MEMBERS: Final = _ExplainedMessage.__struct_encode_fields__


def message_json(row: CurrentMessage) -> bytes:
    """One message."""
    return _ENCODER.encode(_message(_Message, row))


def explained_message_json(row: CurrentMessage) -> bytes:
    """One message, and what its status means and what to do about it."""
    found = explained(row)
    explanation = _Explanation(found.text, found.action)
    return _ENCODER.encode(_message(_ExplainedMessage, row, explanation))


def message_status_json(row: CurrentMessage) -> bytes:
    """One message with `kind`, which distinguishes it from a campaign."""
    return _ENCODER.encode(_message(_MessageStatus, row))


def awaited_message_json(
    number: str, *, campaign_tracking_id: str | None, is_overdue: bool
) -> bytes:
    """A recipient without a callback so far, who is overdue if the campaign is finished."""
    return _ENCODER.encode(_Awaited(None, campaign_tracking_id, number, overdue=is_overdue))


def _message(as_type: type[_Message], row: CurrentMessage, *more: object) -> _Message:
    # By position: keyword arguments would cost more than all the rest.
    return as_type(
        row.message_tracking_id,
        row.campaign_tracking_id,
        row.recipient,
        row.sender,
        row.country,
        row.label,
        row.status,
        row.provider_status or None,
        row.detailed_status,
        row.description,
        known_time(row.status_at),
        is_final(row.status_rank),
        row.is_overdue,
        row.queued_at,
        row.sent_at,
        row.delivered_at,
        row.seen_at,
        row.failed_at,
        plain_or_none(row.price),
        row.created_at,
        row.updated_at,
        *more,
    )
