"""The only file that knows what a place in the feed is, and how it is written as a cursor."""

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


class Kind(StrEnum):
    """What an item of the feed tells of."""

    STATUS = "message.status"
    INBOUND = "message.inbound"


class Position(NamedTuple):
    """
    A place in the one order of status events and inbound messages.

    Ids come from one sequence, and sequences commit out of order. Transaction ids do so as well,
    but below the oldest one that is still running nothing can appear any more. They start anew on
    another server, hence the epoch.
    """

    feed_epoch: int
    xid: int
    id: int


#: Before everything.
BEGINNING: Final = Position(0, 0, 0)

#: The greatest that the columns can hold.
_END: Final = Position(2**15 - 1, 2**64 - 1, 2**63 - 1)


class PositionInvalid(ValueError):
    """The text is not a cursor of the feed."""


def encode_position(position: Position) -> str:
    """
    *position* as a cursor.

    Opaque to callers of the API, but its three numbers stand between the hyphens, so that a reader
    with SQL alone can go on from it; README says how.
    """
    return _checked("-".join([_VERSION, *map(str, position)]))


def decode_position(cursor: str) -> Position:
    """
    The place that *cursor* stands for.

    Raises:
        PositionInvalid: it was changed, or is no cursor at all.
    """
    match = _PATTERN.fullmatch(cursor)
    if match is None or _checked(cursor.rpartition("-")[0]) != cursor:
        raise PositionInvalid
    position = Position(*map(int, match.groups()[:3]))
    if any(mine > most for mine, most in zip(position, _END, strict=True)):
        raise PositionInvalid
    return position


def _checked(text: str) -> str:
    return f"{text}-{hashlib.sha256(text.encode()).hexdigest()[:_CHECK_CHARACTERS]}"
