"""The callbacks of a campaign in the order of posting, and a queue by due time."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import Random
from typing import Generic, TypeVar

from app.sandbox.behaviour import Behaviour
from app.sandbox.ledger import Fate, Occurrence, SimulatedCampaign, SimulatedReply
from app.sandbox.payloads import Document, inbound_callback, status_callback

T = TypeVar("T")

#: A duplicate is posted within this time after the acknowledgement.
_DUPLICATED_WITHIN_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class Posting:
    """One callback to post: its document, its URL, and the number of its repeats."""

    url: str
    subject: Occurrence | SimulatedReply
    #: Makes the payload for each attempt, so that a waiting callback takes little memory.
    document: Callable[[], Document]
    at: datetime
    #: Seconds between the acknowledgement and a second copy; None for no copy.
    doubled_after_seconds: float | None = None
    is_double: bool = False
    repeats: int = 0


def postings_of(campaign: SimulatedCampaign, *, behaviour: Behaviour, rng: Random) -> list[Posting]:
    """
    The callbacks to post for *campaign*, in their order.

    Sets the fate of each callback in the ledger: pending, or lost.
    """
    statuses = list(_status_postings(campaign))
    lost = _share_of(statuses, behaviour.lost_share, rng)
    for posting in lost:
        posting.subject.fate = Fate.LOST
    kept = [posting for posting in statuses if posting.subject.fate is not Fate.LOST]
    postings = sorted([*kept, *_reply_postings(campaign)], key=lambda posting: posting.at)
    for posting in postings:
        posting.subject.fate = Fate.PENDING
    for posting in _share_of(postings, behaviour.duplicate_share, rng):
        posting.doubled_after_seconds = rng.uniform(0, _DUPLICATED_WITHIN_SECONDS)
    if behaviour.shuffled:
        rng.shuffle(postings)
    return postings


def _status_postings(campaign: SimulatedCampaign) -> Iterator[Posting]:
    url = campaign.request.callback_url
    if not url:
        return
    for message in campaign.messages.values():
        for occurrence in message.occurrences:
            document = partial(status_callback, campaign, message, occurrence)
            yield Posting(url, occurrence, document, occurrence.occurred_at)


def _reply_postings(campaign: SimulatedCampaign) -> Iterator[Posting]:
    url = campaign.request.inbound_url
    if not url:
        return
    for message in campaign.messages.values():
        for reply in message.replies:
            document = partial(inbound_callback, campaign, message, reply)
            yield Posting(url, reply, document, reply.sent_at)


def _share_of(postings: Sequence[Posting], share: float, rng: Random) -> list[Posting]:
    """A random sample of this share of *postings*, rounded to a whole number."""
    return rng.sample(postings, round(len(postings) * share))


class PostingQueue(Generic[T]):
    """Hands out each posting once it is due, the earliest first; equal ones first in, first out."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._added = asyncio.Event()

    def add(self, posting: T, *, in_seconds: float) -> None:
        """Add *posting*, due in so many seconds."""
        due = asyncio.get_running_loop().time() + in_seconds
        heapq.heappush(self._entries, (due, next(self._order), posting))
        self._added.set()

    async def next(self) -> T:
        """Wait until the earliest posting is due, and remove it. For one caller at a time."""
        while (seconds := self._seconds_until_next()) is None or seconds > 0:
            self._added.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._added.wait()
        return heapq.heappop(self._entries)[2]

    def _seconds_until_next(self) -> float | None:
        if not self._entries:
            return None
        return self._entries[0][0] - asyncio.get_running_loop().time()
