"""Everything that the page of one campaign shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.db.campaign_progress import newest_reports
from app.db.campaigns import counts_of, find_campaign, times_of
from app.db.dashboard.figures import Figures, figures_of
from app.db.dashboard.replies import CampaignReplies, replies_to
from app.db.database import Database
from app.db.tables import CampaignRow
from app.domain.campaign import Submission
from app.domain.finishing import final_count
from app.domain.status import FAILURES, Status
from app.errors import NotFound
from app.services.dashboard.awaited import AwaitedPage, page_of_awaited
from app.services.dashboard.campaigns import without_zeros
from app.services.dashboard.launch_history import HistoryStep, launch_history

#: Of replies, awaited recipients and reports of Routee, the page shows so many.
MAX_REPLIES: Final = 10
MAX_AWAITED: Final = 10
MAX_REPORTS: Final = 20
#: Of the list of recipients in a request.
MAX_LISTED: Final = 20
_MAX_REQUEST_CHARACTERS: Final = 20_000
_NOTHING: Final = CampaignReplies((), 0, is_more=False)


@dataclass(frozen=True, slots=True)
class CampaignStory:
    """A campaign, and how it did."""

    row: CampaignRow
    #: How many messages are in each status.
    counts: Mapping[str, int]
    figures: Figures
    replies: CampaignReplies
    #: The first of the recipients of whom nothing was reported; not looked up if none are missing.
    awaited: AwaitedPage
    #: In the order of time.
    history: Sequence[HistoryStep]
    first_event_at: datetime | None
    last_event_at: datetime | None

    @property
    def total(self) -> int:
        """How many messages are known."""
        return sum(self.counts.values())

    @property
    def expected(self) -> int:
        """How many messages were announced, or came if these are more."""
        return max(self.row.expected_messages or 0, self.total)

    @property
    def arrived(self) -> int:
        """How many messages were delivered, seen ones included."""
        return self.counts.get(Status.DELIVERED, 0) + self.seen

    @property
    def seen(self) -> int:
        """How many messages were seen."""
        return self.counts.get(Status.SEEN, 0)

    @property
    def failed(self) -> int:
        """How many messages failed."""
        return sum(self.counts.get(status, 0) for status in FAILURES)

    @property
    def without_callback(self) -> int:
        """How many announced messages nothing was reported of."""
        return self.expected - self.total if self._sends else 0

    @property
    def unfinished(self) -> int:
        """How many expected messages have no final status: awaited, or overdue."""
        return self.expected - final_count(self.counts) if self._sends else 0

    @property
    def _sends(self) -> bool:
        return self.row.submission in {Submission.LAUNCHED, Submission.OBSERVED}


async def campaign_story(database: Database, row: CampaignRow) -> CampaignStory:
    """
    How the campaign of *row* did.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    keys = [key for key in (row.tracking_id, f"ours:{row.id}") if key is not None]
    known = row.tracking_id
    counts = {} if known is None else without_zeros(await counts_of(database, known))
    replies = _NOTHING if known is None else await replies_to(database, known, limit=MAX_REPLIES)
    reports = [] if known is None else await newest_reports(database, known, limit=MAX_REPORTS)
    times = await times_of(database, row)
    is_short = row.expected_messages is None or row.expected_messages > sum(counts.values())
    awaited = AwaitedPage((), None)
    if is_short:
        awaited = await page_of_awaited(database, row, limit=MAX_AWAITED)
    return CampaignStory(
        row=row,
        counts=counts,
        figures=await figures_of(database, keys),
        replies=replies,
        awaited=awaited,
        history=launch_history(row, times, reports),
        first_event_at=times.first_event_at,
        last_event_at=times.last_event_at,
    )


async def get_campaign_row(database: Database, tracking_id: str) -> CampaignRow:
    """
    The campaign of Routee's *tracking_id*, or of our id.

    Raises:
        NotFound: there is none.
    """
    row = await find_campaign(database, tracking_id)
    if row is None:
        raise NotFound(f"There is no campaign {tracking_id!r}.")
    return row


def request_as_launched(row: CampaignRow) -> str:
    """
    The request that a program sent, as indented JSON; empty if the campaign was not launched here.

    Of its recipients only the first are listed, and of a text beyond any measure the beginning.
    """
    if row.request is None:
        return ""
    text = row.request.decode(errors="replace")
    try:
        request = json.loads(text)
        if isinstance(request, dict):
            request = {name: _shortened(value) for name, value in request.items()}
        text = json.dumps(request, ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        pass  # as it is
    return text[:_MAX_REQUEST_CHARACTERS]


def _shortened(value: object) -> object:
    if not isinstance(value, list) or len(value) <= MAX_LISTED:
        return value
    return [*value[:MAX_LISTED], f"… and {len(value) - MAX_LISTED:,} more"]
