"""The recipients of a campaign of whom Routee has reported nothing."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from app.db.database import Database
from app.db.messages import Awaited, CampaignKey, awaited_of
from app.db.tables import CampaignRow
from app.domain.campaign import Submission
from app.routee.campaign_fields import recipients

#: How many recipients one page looks up.
MAX_LOOKED_AT: Final = 10_000
_NOT_SENT: Final = frozenset({Submission.REJECTED, Submission.CANCELLED})


class AwaitedPage(NamedTuple):
    """Some awaited recipients, and where the next ones are."""

    #: In the order of the request.
    recipients: Sequence[Awaited]
    #: The position after which the list goes on, perhaps of a recipient who is not awaited.
    end: int | None


async def page_of_awaited(
    database: Database, campaign: CampaignRow, *, after: int = 0, limit: int
) -> AwaitedPage:
    """
    At most *limit* numbers of the request without a message so far, beyond position *after*.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    if campaign.submission in _NOT_SENT:
        return AwaitedPage((), None)
    most = after + MAX_LOOKED_AT
    # In a thread: reading very many numbers takes tens of milliseconds, and callbacks do not wait.
    numbers = await asyncio.to_thread(recipients, campaign.request, most=most + 1)
    part = numbers[after:most]
    if not part:
        return AwaitedPage((), None)
    key = CampaignKey(campaign.tracking_id, campaign.id)
    found = await awaited_of(database, key, part, after=0, limit=limit + 1)
    shown = [Awaited(after + one.position, one.number) for one in found[:limit]]
    if len(found) > limit:
        return AwaitedPage(shown, shown[-1].position)
    reached = after + len(part)
    return AwaitedPage(shown, reached if reached < len(numbers) else None)
