"""The pages of one campaign in Routee's tracking, compared one after another."""

from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from uuid import UUID

import structlog

from app.domain.campaign import Submission
from app.domain.reconcile import Outcome
from app.errors import RouteeRefused, RouteeUnavailable
from app.routee.tracking import content_of, is_last
from app.services.reconcile.asking import Tracking
from app.services.reconcile.comparison import Comparison

log = structlog.get_logger()

#: More pages of one campaign are no list of its messages.
MAX_PAGES: Final = 2000


class CampaignPages:
    """Compares the pages of one campaign, from *number* on, and adds to *counts* what it finds."""

    def __init__(
        self,
        campaign_id: UUID,
        tracking_id: str,
        submission: str,
        number: int,
        counts: Counter[str],
    ) -> None:
        # As callbacks through the campaign's own token: its messages are no other campaign's.
        self._campaign_id = None if submission == Submission.OBSERVED else campaign_id
        self._tracking_id = tracking_id
        self._number = number
        self._counts = counts

    async def compare(
        self,
        tracking: Tracking,
        comparison: Comparison,
        *,
        note: Callable[[int], Awaitable[None]] | None,
    ) -> Outcome:
        """Compare page after page; *note* gets the number of the next one once one is stored."""
        previous: object = None
        for number in range(self._number, MAX_PAGES):
            try:
                page = await tracking.page(self._tracking_id, number=number)
            except (RouteeRefused, RouteeUnavailable) as error:
                return self._outcome_of(error)
            content = content_of(page)
            if content is None:
                log.warning("a page of tracking has no content", page=number)
                return Outcome.FAILED
            if content and content == previous:
                log.warning("Routee repeats a page of tracking", page=number)
                return Outcome.INCOMPLETE
            previous = content
            self._counts["pages"] += 1
            self._counts.update(
                await comparison.compare(
                    content,
                    campaign_tracking_id=self._tracking_id,
                    campaign_id=self._campaign_id,
                )
            )
            if is_last(page, number):
                return Outcome.COMPARED
            if note is not None:
                await note(number + 1)
        log.warning("Routee's pages of tracking have no end", pages=MAX_PAGES)
        return Outcome.INCOMPLETE

    def _outcome_of(self, error: RouteeRefused | RouteeUnavailable) -> Outcome:
        if isinstance(error, RouteeRefused) and error.http_status == HTTPStatus.NOT_FOUND:
            return Outcome.NOT_FOUND
        log.warning("a page of tracking cannot be read", error=str(error))
        return Outcome.FAILED
