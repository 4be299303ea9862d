"""The page of one campaign."""

import asyncio
from typing import Final, NamedTuple

from starlette.responses import Response

from app.db.dashboard.figures import FailureReason
from app.db.dashboard.names import names_of_campaigns
from app.db.inbound_messages import Reply
from app.db.tables import CampaignRow
from app.domain.campaign import Submission
from app.domain.explained_words import SUBMISSIONS
from app.domain.explanations import explanation_of
from app.domain.status import Status
from app.services.dashboard.campaign import (
    CampaignStory,
    campaign_story,
    get_campaign_row,
    request_as_launched,
)
from app.services.dashboard.durations import quantile_of
from app.web.pages.campaigns.drawn import charts_of
from app.web.visit import Visit

_MEDIAN: Final = 50
_MOST: Final = 95
#: In which a message waits for another one.
_WAITING: Final = (Status.QUEUED, Status.SENT, Status.UNKNOWN)


class ReasonLine(NamedTuple):
    """Why messages failed, in Routee's words and in ours."""

    reason: FailureReason
    detailed_status: str
    description: str
    meaning: str
    action: str | None


class ReplyLine(NamedTuple):
    """A reply, as a person may see it."""

    reply: Reply
    sender: str
    text: str


async def show_campaign(visit: Visit) -> Response:
    """How it did, why messages failed, and how it came about."""
    story = await story_of(visit)
    row = story.row
    reported = {} if row.name else await names_of_campaigns(visit.parts.reads, [row.tracking_id])
    return visit.page(
        "campaign.html",
        title=title_of(visit, row, reported.get(row.tracking_id or "")),
        is_live=row.finished_at is None and row.submission not in _OVER,
        story=story,
        row=row,
        # In a thread: those of a month take 20 ms, and callbacks do not wait.
        charts_drawn=await asyncio.to_thread(charts_of, visit, story),
        submission=SUBMISSIONS[Submission(row.submission)],
        reason=visit.text(row.submission_reason),
        label=visit.text(row.label),
        price=story.figures.price,
        cost=row.cost,
        currency=visit.parts.currency,
        times=[
            ("To deliver", *_quantiles(story, "to_deliver")),
            ("To be seen, from the delivery", *_quantiles(story, "to_see")),
        ],
        reasons=[_reason(visit, it) for it in story.figures.reasons],
        replies=[_reply(visit, it) for it in story.replies.newest],
        awaited=[visit.number(it.number) for it in story.awaited.recipients],
        waiting=_WAITING,
        history=[(step.at, visit.text(step.text)) for step in story.history],
        request=visit.text(request_as_launched(row)),
        is_unconfirmed=row.submission == Submission.UNCONFIRMED,
        is_cancellable=is_cancellable(visit, row),
    )


async def story_of(visit: Visit) -> CampaignStory:
    """
    The story of the campaign that the path names.

    Raises:
        NotFound: there is none.
    """
    # Of the primary: what was settled a moment ago has to be seen.
    row = await get_campaign_row(visit.parts.database, visit.id())
    return await campaign_story(visit.parts.reads, row)


def title_of(visit: Visit, row: CampaignRow, reported_name: str | None = None) -> str:
    """The name of a campaign, or the one that was reported, else Routee's id of it, else ours."""
    return f"Campaign {visit.text(row.name or reported_name) or row.tracking_id or row.id}"


def is_cancellable(visit: Visit, row: CampaignRow) -> bool:
    """Whether Routee may still be asked to cancel a campaign."""
    return (
        row.submission == Submission.LAUNCHED
        and row.tracking_id is not None
        and row.scheduled_at is not None
        and row.scheduled_at > visit.parts.clock()
    )


_OVER: Final = frozenset({Submission.REJECTED, Submission.CANCELLED})


def _quantiles(story: CampaignStory, measure: str) -> tuple[float | None, float | None, int]:
    buckets = story.figures.to_deliver if measure == "to_deliver" else story.figures.to_see
    number = sum(bucket.messages for bucket in buckets)
    return quantile_of(buckets, _MEDIAN), quantile_of(buckets, _MOST), number


def _reason(visit: Visit, reason: FailureReason) -> ReasonLine:
    found = explanation_of(
        reason.status, reason.detailed_status, reason.description, is_overdue=False
    )
    return ReasonLine(
        reason,
        visit.text(reason.detailed_status),
        visit.text(reason.description),
        visit.text(found.text),
        found.action,
    )


def _reply(visit: Visit, reply: Reply) -> ReplyLine:
    row = reply.row
    text = row.message or row.filename or row.media or ""
    return ReplyLine(reply, visit.number(row.sender), visit.text(text))
