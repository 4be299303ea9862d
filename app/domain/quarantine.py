"""What could not be read, or may not be believed, is kept byte for byte with the reason."""

import hashlib
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class Reason(StrEnum):
    """Why bytes are in the quarantine."""

    NOT_UTF8 = "not-utf-8"
    NOT_JSON = "not-json"
    #: JSON, but neither an object nor an array of objects.
    NOT_AN_OBJECT = "not-an-object"
    #: An array in which some elements could not be read; the others were stored.
    PARTLY_UNREADABLE = "partly-unreadable"
    #: An array of more elements than one request may store within its time.
    TOO_MANY_ELEMENTS = "too-many-elements"
    #: Neither a message's progress (no id) nor an inbound message.
    NO_MESSAGE_ID = "no-message-id"
    #: An id is longer than 512 bytes, or has a character that cannot be stored.
    UNUSABLE_ID = "unusable-id"
    #: The campaign of the token is not the campaign of the message.
    CAMPAIGN_MISMATCH = "campaign-mismatch"
    #: The database refused the values of this very callback.
    REFUSED_BY_DATABASE = "refused-by-database"
    #: It happened so long ago that what is known of it may have been removed already.
    EXPIRED = "expired"


class Quarantined(NamedTuple):
    """One request body that was set aside."""

    sha256: bytes
    reason: Reason
    body: bytes
    #: The path it was posted to, without its token.
    path: str
    #: The campaign whose token it came through.
    campaign_id: UUID | None


def quarantined(
    body: bytes, reason: Reason, *, path: str, campaign_id: UUID | None = None
) -> Quarantined:
    """Set *body* aside."""
    return Quarantined(hashlib.sha256(body).digest(), reason, body, path, campaign_id)
