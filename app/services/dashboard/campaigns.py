"""Lists of campaigns with where their messages stand."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from app.db.campaigns import counts_of_each
from app.db.dashboard.campaigns import CampaignSearch, ListedCampaign, page_of_listed_campaigns
from app.db.database import Database
from app.domain.finishing import SENT, final_count


class CountedCampaign(NamedTuple):
    """A campaign, and how many of its messages are in each status."""

    campaign: ListedCampaign
    counts: Mapping[str, int]

    @property
    def expected(self) -> int:
        """How many messages were announced, or came if these are more."""
        return max(self.campaign.expected_messages or 0, sum(self.counts.values()))

    @property
    def missing(self) -> int:
        """How many of them have no final status; 0 for a campaign that sends nothing."""
        if self.campaign.submission not in SENT:
            return 0
        return self.expected - final_count(self.counts)


class CountedPage(NamedTuple):
    """Some campaigns of a list, and where the next ones are."""

    items: Sequence[CountedCampaign]
    #: The id before which the list goes on, perhaps of a campaign that was not wanted.
    end: UUID | None
    #: How many campaigns were looked at.
    looked_at: int


async def page_of_counted_campaigns(
    database: Database, wanted: CampaignSearch, *, before: UUID | None, limit: int
) -> CountedPage:
    """
    `page_of_listed_campaigns`, with where the messages stand.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    page = await page_of_listed_campaigns(database, wanted, before=before, limit=limit)
    return CountedPage(await counted(database, page.campaigns), page.end, page.looked_at)


async def counted(
    database: Database, campaigns: Sequence[ListedCampaign]
) -> Sequence[CountedCampaign]:
    """Where the messages of *campaigns* stand."""
    tracking_ids = [it.tracking_id for it in campaigns if it.tracking_id is not None]
    counts = await counts_of_each(database, tracking_ids) if tracking_ids else {}
    return [
        CountedCampaign(it, without_zeros(counts.get(it.tracking_id or "", {}))) for it in campaigns
    ]


def without_zeros(counts: Mapping[str, int]) -> dict[str, int]:
    """*counts* of statuses that messages are in now; those that all have left are counted as 0."""
    return {status: number for status, number in counts.items() if number}
