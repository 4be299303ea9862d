"""A recipient's reply. Routee documents no id of it, so its content is its identity."""

import hashlib
import json
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

#: The first byte of every identity, so that a new rule cannot collide with stored rows.
IDENTITY_VERSION: Final = 1


class InboundMessage(NamedTuple):
    """A message from a recipient to a Viber sender."""

    #: See `identity_of`, `identity_of_id` and `identity_of_bytes`.
    identity: bytes
    #: The recipient's number.
    sender: str | None
    #: The Viber sender that it was sent to.
    recipient: str | None
    message: str | None
    #: The address of the attachment as the provider spells it; it need not be a valid URL.
    media: str | None
    filename: str | None
    sent_at: datetime | None
    campaign_tracking_id: str | None
    campaign_name: str | None
    #: Our own campaign, if the message came through that campaign's token.
    campaign_id: UUID | None
    #: The outbound message that it answers.
    reference_tracking_id: str | None
    label: str | None
    payload: bytes
    payload_dictionary: int
    payload_reserialised: bool


class Content(NamedTuple):
    """What distinguishes a reply from other replies."""

    sender: str | None
    recipient: str | None
    reference_tracking_id: str | None
    #: The time of sending, in one spelling if it is readable, else as it arrived.
    sent: str | None
    message: str | None
    media: str | None
    filename: str | None


def identity_of(content: Content) -> bytes:
    """33 bytes that are equal for two deliveries of the same reply: a version and a SHA-256."""
    return _identity(list(content))


def identity_of_id(name: str, value: str) -> bytes:
    """The identity of a reply that has an id of its own, *value*, in the member *name*."""
    return _identity([name, value])


def identity_of_bytes(payload: bytes) -> bytes:
    """The identity of a reply that nothing but its bytes distinguishes from others."""
    return _identity([hashlib.sha256(payload).hexdigest()])


def _identity(content: list[str | None]) -> bytes:
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return bytes([IDENTITY_VERSION]) + hashlib.sha256(text.encode("ascii")).digest()
