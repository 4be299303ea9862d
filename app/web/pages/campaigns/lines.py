"""Campaigns as lists show them."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from app.db.dashboard.campaigns import ListedCampaign
from app.domain.campaign import Submission
from app.domain.explained_words import SUBMISSIONS
from app.domain.explanations import Explanation
from app.services.dashboard.campaigns import CountedCampaign
from app.web.charts import Chart, bar_of_counts
from app.web.charts.words import cut
from app.web.visit import Visit

#: Of a name or a label; the page of the campaign has the whole.
_SHOWN_COLUMNS: Final = 80


class CampaignLine(NamedTuple):
    """One campaign of a list, as a person may see it."""

    campaign: ListedCampaign
    #: Its name, or what stands for it.
    name: str
    label: str
    submission: Explanation
    #: Its messages by status.
    bar: Chart
    expected: int
    #: Expected messages without a final status: awaited, or overdue once it is finished.
    missing: int


def lines_of(visit: Visit, items: Iterable[CountedCampaign]) -> list[CampaignLine]:
    """*items* as the person of *visit* may see them."""
    return [
        CampaignLine(
            item.campaign,
            cut(name_of(visit, item.campaign), _SHOWN_COLUMNS),
            cut(visit.text(item.campaign.label), _SHOWN_COLUMNS),
            SUBMISSIONS[Submission(item.campaign.submission)],
            bar_of_counts(item.counts, item.expected),
            item.expected,
            item.missing,
        )
        for item in items
    ]


def name_of(visit: Visit, campaign: ListedCampaign) -> str:
    """The name of *campaign*, else Routee's id of it, else ours."""
    return visit.text(campaign.name) or campaign.tracking_id or str(campaign.id)
