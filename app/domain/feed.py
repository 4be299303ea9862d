"""Positions in the feed, and their spelling as a cursor."""

import hashlib
import re
from enum import StrEnum
from typing import Final, NamedTuple

_VERSION: Final = "f1"
_CHECK_CHARACTERS: Final = 8
_PATTERN: Final = re.compile(
    rf"{_VERSION}-(\d{{1,5}})-(\d{{1,20}})-(\d{{1,19}})-([0-9a-f]{{{_CHECK_CHARACTERS}}})",
    re.ASCII,
)


class FeedItemType(StrEnum):
    """The types of items in the feed."""

    STATUS = "message.status"
    INBOUND = "message.inbound"
    #: A message of a finished campaign has no final status.
    OVERDUE = "message.overdue"
    LAUNCHED = "campaign.launched"
    REJECTED = "campaign.rejected"
    CANCELLED = "campaign.cancelled"
    FINISHED = "campaign.finished"
    #: All that was stored of a recipient is pseudonymised.
    ERASED = "recipient.erased"


class Position(NamedTuple):
    """
    A position in the one order of status events, inbound messages and notices.

    Ids come from one sequence, but transactions commit in another order. Ordered by transaction id
    first, no item can appear any more below the oldest running transaction. Transaction ids start
    again on another server, hence the epoch.
    """

    feed_epoch: int
    xid: int
    id: int


#: Before every item.
BEGINNING: Final = Position(0, 0, 0)

#: The greatest values that the columns can hold.
_LAST: Final = Position(2**15 - 1, 2**64 - 1, 2**63 - 1)


class PositionInvalid(ValueError):
    """The text is not a cursor of the feed."""


def encode_position(position: Position) -> str:
    """
    *position* as a cursor.

    It is opaque to API clients, but its three numbers are between the hyphens, so that a reader of
    SQL can continue from it (docs/feed.md).
    """
    return _checked("-".join([_VERSION, *map(str, position)]))


def decode_position(cursor: str) -> Position:
    """
    The position that *cursor* spells.

    Raises:
        PositionInvalid: it was changed, or is no cursor of the feed.
    """
    match = _PATTERN.fullmatch(cursor)
    if match is None or _checked(cursor.rpartition("-")[0]) != cursor:
        raise PositionInvalid
    position = Position(*map(int, match.groups()[:3]))
    if any(number > limit for number, limit in zip(position, _LAST, strict=True)):
        raise PositionInvalid
    return position


def _checked(text: str) -> str:
    return f"{text}-{hashlib.sha256(text.encode()).hexdigest()[:_CHECK_CHARACTERS]}"
