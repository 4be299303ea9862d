"""
Payloads without what is an event's own.

A skeleton is a payload with marks in place of the message, its number and two times.
`form_payload` in the database puts back what the columns tell.
"""

import re
from datetime import UTC, datetime
from typing import Final

from app.domain.event import DeliveryEvent

MAX_PAYLOAD_BYTES: Final = 16 * 1024

#: Of the id, the number, the time of the status and that of creation: characters that Unicode keeps
#: out of texts. All begin with the same two bytes.
MARKS: Final = tuple(chr(code).encode() for code in range(0xFDD0, 0xFDD4))
_RESERVED: Final = b"\xef\xb7"
_MARK: Final = re.compile(b"(%b)" % b"|".join(MARKS))
_MICROSECONDS_A_MILLISECOND: Final = 1000

#: What the marks stand for, in their order; empty where there is nothing to put back.
Own = tuple[bytes, bytes, bytes, bytes]


def own_of(event: DeliveryEvent) -> Own | None:
    """
    What is the event's own; None: it cannot be packed.

    A time is its own only as Routee spells it. An event without a campaign may have to be bound to
    one, which changes it.
    """
    message, recipient = event.message_tracking_id, event.recipient or ""
    if (
        not 0 < len(event.payload) <= MAX_PAYLOAD_BYTES
        or event.campaign_tracking_id is None
        or not message.isascii()
        or not recipient.isascii()
    ):
        return None
    return (
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


class Filling:
    """Says whether a payload is what a skeleton becomes: a third quicker than to make it one."""

    __slots__ = ("_places", "_template")

    def __init__(self, skeleton: bytes) -> None:
        literals = _MARK.split(skeleton)
        self._places = [MARKS.index(mark) for mark in literals[1::2]]
        self._template = b"%b".join(literal.replace(b"%", b"%%") for literal in literals[::2])

    def is_of(self, payload: bytes, own: Own) -> bool:
        """Whether *payload* is the skeleton with all of its marks filled by what is *own*."""
        values = tuple([own[place] for place in self._places])
        return all(values) and payload == self._template % values


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
    """As Routee spells it, if it can be; `isoformat` takes twice as long with a time zone."""
    if at is None or at.tzinfo is not UTC or at.microsecond % _MICROSECONDS_A_MILLISECOND:
        return b""
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        *(at.year, at.month, at.day, at.hour, at.minute, at.second),
        at.microsecond // _MICROSECONDS_A_MILLISECOND,
    )
