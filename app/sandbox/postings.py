"""The only file that decides which callbacks are posted, in which order, and which twice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import Random

from app.sandbox.behaviour import Behaviour
from app.sandbox.ledger import Fate, Occurrence, Reply, SimulatedCampaign
from app.sandbox.payloads import Document, inbound_callback, status_callback

#: A doubled callback is posted again within so many seconds of its acknowledgement.
_DOUBLED_WITHIN_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class Posting:
    """One callback on its way: what, where to, and how often it was repeated."""

    url: str
    subject: Occurrence | Reply
    #: Makes the payload, anew for each attempt, so that waiting costs no memory.
    document: Callable[[], Document]
    at: datetime
    #: Seconds from the acknowledgement until it is posted once more; None: never.
    doubled_after_seconds: float | None = None
    is_double: bool = False
    repeats: int = 0

    @property
    def is_inbound(self) -> bool:
        """True for a reply, False for a status."""
        return isinstance(self.subject, Reply)


def postings_of(campaign: SimulatedCampaign, *, behaviour: Behaviour, rng: Random) -> list[Posting]:
    """
    What is to be posted for *campaign*, in the order in which it should go out.

    Writes the fate of each callback into the ledger: pending, or lost.
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
        posting.doubled_after_seconds = rng.uniform(0, _DOUBLED_WITHIN_SECONDS)
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
    """Exactly this share of them, to the nearest whole number."""
    return rng.sample(postings, round(len(postings) * share))
