"""The statuses of a message and their ranks."""

from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from typing import Final


class Status(StrEnum):
    """The status of a message. A word of Routee's that is not in this list reads as `UNKNOWN`."""

    #: Any other word; the provider's own word is stored beside it.
    UNKNOWN = "UNKNOWN"
    #: Accepted by Routee, or being sent again.
    QUEUED = "QUEUED"
    #: Handed to Viber.
    SENT = "SENT"
    #: Viber could not deliver it: not a Viber user, opted out, and the like.
    UNDELIVERED = "UNDELIVERED"
    #: Its time to live expired.
    EXPIRED = "EXPIRED"
    #: It failed at Routee or Viber.
    FAILED = "FAILED"
    #: It was never sent; the balance was too low.
    UNSENT = "UNSENT"
    #: It is on the recipient's device.
    DELIVERED = "DELIVERED"
    #: The recipient has seen it.
    SEEN = "SEEN"


#: Shown for a recipient without any callback yet. No stored message has it.
AWAITING: Final = "AWAITING"

#: The greater rank wins, whatever the times are, because callbacks arrive in any order.
RANK: Final[dict[str, int]] = {
    Status.UNKNOWN: 0,
    Status.QUEUED: 1,
    Status.SENT: 2,
    Status.UNDELIVERED: 3,
    Status.EXPIRED: 3,
    Status.FAILED: 3,
    Status.UNSENT: 3,
    Status.DELIVERED: 4,
    Status.SEEN: 5,
}

#: From this rank on no further callback is expected, though a failure may become DELIVERED.
FINAL_RANK: Final = 3

FAILURES: Final = frozenset(
    {Status.UNDELIVERED, Status.EXPIRED, Status.FAILED, Status.UNSENT},
)

#: Latin letters alone, and one for each: `str.upper` makes SS of an ß, and knows more letters in
#: each version of Python. The i of Turkish, and letters of full width, are taken for Latin ones.
_CAPITALS: Final = {
    **{ord(small): small.upper() for small in ascii_lowercase},
    **dict.fromkeys(map(ord, "\u0131\u0130"), "I"),
    **{0xFF21 + at: letter for at, letter in enumerate(ascii_uppercase)},
    **{0xFF41 + at: letter for at, letter in enumerate(ascii_uppercase)},
}

_BY_KEY: Final[dict[str, Status]] = {status.value: status for status in Status}


def key_of(word: str) -> str:
    """The provider's *word* upper-cased, as many characters as it has."""
    return word.upper() if word.isascii() else word.translate(_CAPITALS)


def status_of(status_key: str) -> Status:
    """The status for the provider's word, upper-cased."""
    return _BY_KEY.get(status_key, Status.UNKNOWN)


def rank_of(status_key: str) -> int:
    """The rank of the provider's word, upper-cased; 0 for an unknown word."""
    return RANK.get(status_key, 0)


def is_final(rank: int) -> bool:
    """Whether a status of this rank is final."""
    return rank >= FINAL_RANK
