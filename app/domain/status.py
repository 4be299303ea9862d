"""The only place that knows which statuses there are and which of two is further on."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where one message stands. A word that Routee may add one day reads as `UNKNOWN`."""

    #: A word that is not in this list; the provider's own word is kept beside it.
    UNKNOWN = "UNKNOWN"
    #: Accepted by Routee, or being sent again.
    QUEUED = "QUEUED"
    #: Handed to Viber.
    SENT = "SENT"
    #: Viber could not deliver it: not a Viber user, opted out, and the like.
    UNDELIVERED = "UNDELIVERED"
    #: Its time to live ran out.
    EXPIRED = "EXPIRED"
    #: It failed at Routee or Viber.
    FAILED = "FAILED"
    #: It was never sent; the balance was too low.
    UNSENT = "UNSENT"
    #: It is on the recipient's device.
    DELIVERED = "DELIVERED"
    #: The recipient has seen it.
    SEEN = "SEEN"


#: Shown for a recipient of whose message nothing is known yet. No message is ever in it.
AWAITING: Final = "AWAITING"

#: The greater rank wins whatever the times say: deliveries are reported in any order.
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

#: From this rank on no further callback is owed, though a failure may still become DELIVERED.
FINAL_RANK: Final = 3

FAILURES: Final = frozenset(
    {Status.UNDELIVERED, Status.EXPIRED, Status.FAILED, Status.UNSENT},
)

_BY_KEY: Final[dict[str, Status]] = {status.value: status for status in Status}


def status_of(status_key: str) -> Status:
    """The status that the provider's word, upper-cased, stands for."""
    return _BY_KEY.get(status_key, Status.UNKNOWN)


def rank_of(status_key: str) -> int:
    """The rank of the provider's word, upper-cased; 0 for a word that is not known."""
    return RANK.get(status_key, 0)


def is_final(rank: int) -> bool:
    """Whether a message of this rank has reached an end."""
    return rank >= FINAL_RANK
