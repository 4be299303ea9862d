"""Request bodies that cannot be read, or may not be believed, and the reason for each."""

import hashlib
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from app.domain.masking import SecretMask

#: Of a body, this much is enough to make a preview of.
PREVIEW_BYTES: Final = 2048
PREVIEW_CHARACTERS: Final = 500


class Reason(StrEnum):
    """Why a body is in the quarantine."""

    NOT_UTF8 = "not-utf-8"
    NOT_JSON = "not-json"
    #: Its content encoding is not one that is opened here.
    UNKNOWN_ENCODING = "unknown-encoding"
    #: It is not encoded as its content encoding says, or ends too early.
    NOT_DECOMPRESSIBLE = "not-decompressible"
    #: It opens to more bytes than a body may have.
    DECOMPRESSED_TOO_LARGE = "decompressed-too-large"
    #: JSON, but neither an object nor an array of objects.
    NOT_AN_OBJECT = "not-an-object"
    #: An array or an envelope with invalid elements; its other elements were stored.
    PARTLY_UNREADABLE = "partly-unreadable"
    #: An envelope with more messages than one may have.
    TOO_MANY_ELEMENTS = "too-many-elements"
    #: Neither a progress callback, which has an id, nor an inbound message.
    NO_MESSAGE_ID = "no-message-id"
    #: It has the id of a message or a campaign, and nothing that says anything about it.
    NO_STATUS = "no-status"
    #: An id is longer than 512 bytes, or has a character that cannot be stored.
    UNUSABLE_ID = "unusable-id"
    #: The token belongs to another campaign than the message.
    CAMPAIGN_MISMATCH = "campaign-mismatch"
    #: The database refused the values of this very callback.
    REFUSED_BY_DATABASE = "refused-by-database"
    #: It is so old that retention may have removed earlier copies of it.
    EXPIRED = "expired"
    #: Storing it from the buffer met an unforeseen error, again and again.
    UNFORESEEN_ERROR = "unforeseen-error"
    #: A message of the buffer, which may hold many callbacks, and cannot be opened.
    DAMAGED_BUFFER_MESSAGE = "damaged-buffer-message"


class CallbackPath(StrEnum):
    """The callback URL that a body was posted to, by its last segment."""

    STATUS = "status"
    INBOUND = "inbound"


class ReplayOutcome(StrEnum):
    """What became of a body of the quarantine when it was replayed."""

    #: All of it is stored, now or already before.
    STORED = "stored"
    #: A part of it is stored.
    PARTLY_STORED = "partly-stored"
    #: Nothing of it is stored.
    NOT_STORED = "not-stored"
    #: An erasure has emptied it: nothing is left to be stored.
    ERASED = "erased"
    #: It met an unforeseen error; a later version may store it.
    FAILED = "failed"


class Quarantined(NamedTuple):
    """One request body in the quarantine."""

    sha256: bytes
    reason: Reason
    body: bytes
    #: The path it was posted to, without its token.
    path: str
    #: The campaign whose token it came through.
    campaign_id: UUID | None
    #: The headers `Content-Type` and `Content-Encoding` that it came with; empty if there are none.
    content_type: str
    content_encoding: str
    #: Whether *body* is an element of an array, serialised again.
    payload_reserialised: bool = False


def quarantined(  # noqa: PLR0913 (all that is kept of a body)
    body: bytes,
    reason: Reason,
    *,
    path: str,
    campaign_id: UUID | None = None,
    content_type: str = "",
    content_encoding: str = "",
    payload_reserialised: bool = False,
) -> Quarantined:
    """The entry of *body* for the quarantine."""
    digest = hashlib.sha256(body).digest()
    return Quarantined(
        digest,
        reason,
        body,
        path,
        campaign_id,
        content_type,
        content_encoding,
        payload_reserialised,
    )


def is_emptied(body: bytes, sha256: bytes) -> bool:
    """Whether an erasure has emptied the body that was stored under *sha256*."""
    return not body and sha256 != hashlib.sha256(b"").digest()


def preview_of(beginning: bytes, mask: SecretMask) -> str:
    """
    The first `PREVIEW_CHARACTERS` of a body that begins so, its secrets masked.

    Without NUL: in UTF-16 it would stand between the letters of a secret.
    """
    text = beginning.replace(b"\0", b"").decode(errors="replace")
    return mask.shown(text)[:PREVIEW_CHARACTERS]
