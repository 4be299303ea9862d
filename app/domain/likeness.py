"""
What many callbacks have in common.

The callbacks of a campaign are alike but for the message, its number and two times. What is left
when these are taken out is their likeness: a skeleton of the payload, with marks in place of what
is an event's own, and what all of them tell otherwise. The function `form_payload` in the database
puts back what the marks stand for.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from app.domain.event import DeliveryEvent

#: A text of 1000 characters, each escaped, takes 6 KiB.
MAX_PAYLOAD_BYTES: Final = 8 * 1024

#: Of the id, the number, the time of the status and that of creation: characters that Unicode keeps
#: out of texts. All begin with the same two bytes.
MARKS: Final = tuple(chr(code).encode() for code in range(0xFDD0, 0xFDD4))
_RESERVED: Final = b"\xef\xb7"
_MARK: Final = re.compile(b"(%b)" % b"|".join(MARKS))
_MICROSECONDS_A_MILLISECOND: Final = 1000

#: From the provider's word for the status to the campaign, and from the sender to the price.
Shared = tuple[
    *tuple[str, str | None, str | None, str | None],
    *tuple[str | None, str | None, str | None, Decimal | None],
]


class Own(NamedTuple):
    """What is an event's own, as its payload spells it; empty where it tells nothing."""

    message: bytes
    number: bytes
    occurred: bytes
    created: bytes


class Likeness:
    """What callbacks have in common. Each is like itself only: `==` says whether it is the same."""

    __slots__ = ("shared", "skeleton")

    def __init__(self, skeleton: bytes, shared: Shared) -> None:
        #: Of the payload, with `MARKS`.
        self.skeleton = skeleton
        self.shared = shared


class LikeEvent(DeliveryEvent):
    """An event of which it is known whether it has something in common with others."""

    #: None: nothing that is known, or it was changed since.
    likeness: Likeness | None = None


def shared_of(event: DeliveryEvent) -> Shared:
    """What *event* tells that others may tell too: everything but what is its own."""
    return event[4:8] + event[10:14]


def likeness_of(event: DeliveryEvent) -> Likeness | None:
    """What *event* may have in common with others; None: nothing can be taken out of it."""
    own = own_of(event)
    skeleton = None if own is None else skeleton_of(event.payload, own)
    return None if skeleton is None else Likeness(skeleton, shared_of(event))


def own_of(event: DeliveryEvent) -> Own | None:
    """
    What is the event's own; None: it cannot be told apart.

    A time is its own only as the database can put it back. An event without a campaign may have to
    be bound to one, which changes it.
    """
    message, recipient = event.message_tracking_id, event.recipient or ""
    if (
        not 0 < len(event.payload) <= MAX_PAYLOAD_BYTES
        or event.campaign_tracking_id is None
        or not message.isascii()
        or not recipient.isascii()
    ):
        return None
    return Own(
        message.encode(),
        recipient.lstrip("+").encode(),
        _spelt(event.occurred_at),
        _spelt(event.created_at),
    )


def skeleton_of(payload: bytes, own: Own) -> bytes | None:
    """*payload* with marks for what is *own*; None: it is no text that can be marked."""
    if not _may_be_marked(payload):
        return None
    for value, mark in zip(own, MARKS, strict=True):
        # Where it is first found: to look for more takes six times as long.
        place = payload.find(value)
        if place >= 0 and value:
            payload = payload[:place] + mark + payload[place + len(value) :]
    return payload


def parts_of(skeleton: bytes) -> tuple[list[bytes], list[int]]:
    """The texts around the marks of *skeleton*, one more than those, and the places of `MARKS`."""
    texts = _MARK.split(skeleton)
    return texts[::2], [MARKS.index(mark) for mark in texts[1::2]]


def filled(skeleton: bytes, own: Own) -> bytes:
    """The payload of which *skeleton* is one, if the event's own is *own*."""
    return _MARK.sub(lambda mark: own[MARKS.index(mark[0])], skeleton)


def _may_be_marked(payload: bytes) -> bool:
    """Whether it is a text, with no NUL, in which nothing looks like a mark."""
    if b"\0" in payload:
        return False
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return _RESERVED not in payload


def _spelt(at: datetime | None) -> bytes:
    """
    As `form_payload` in the database spells it, if that can be, in UTC with milliseconds.

    `isoformat` takes twice as long with a time zone.
    """
    if at is None or at.tzinfo is not UTC or at.microsecond % _MICROSECONDS_A_MILLISECOND:
        return b""
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        *(at.year, at.month, at.day, at.hour, at.minute, at.second),
        at.microsecond // _MICROSECONDS_A_MILLISECOND,
    )
