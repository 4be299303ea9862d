"""What a person settles: an unconfirmed launch, and a scheduled campaign to cancel."""

from typing import Final

import structlog
from starlette.responses import Response

from app.domain.campaign import Submission
from app.errors import CampaignNotCancellable, CampaignNotUnconfirmed, InvalidRequest
from app.routee import reading
from app.services.dashboard.campaign import get_campaign_row
from app.services.launching.settling import cancel, resolve
from app.web.fields import word_in
from app.web.pages.campaigns.one import is_cancellable, title_of
from app.web.visit import Visit

log = structlog.get_logger()

_PATH: Final = "/ui/campaigns"
_ANSWERS: Final = frozenset({Submission.LAUNCHED, Submission.REJECTED})


async def ask_before_resolving(visit: Visit) -> Response:
    """The two answers, what each means, and their buttons."""
    row = await get_campaign_row(visit.parts.database, visit.id())
    if row.submission != Submission.UNCONFIRMED:
        raise CampaignNotUnconfirmed(f"It is {row.submission}; there is nothing to settle.")
    answer = word_in(Submission, visit.query.get("as", ""), "outcome of a launch")
    return visit.page(
        "campaign_resolve.html",
        title="Was this campaign launched?",
        row=row,
        name=visit.text(row.name),
        heading_of_campaign=title_of(visit, row),
        answers=[answer] if answer in _ANSWERS else [Submission.LAUNCHED, Submission.REJECTED],
    )


async def resolve_campaign(visit: Visit) -> Response:
    """Settle it, as the person reports."""
    form = await visit.form()
    answer = word_in(Submission, form.get("submission", ""), "outcome of a launch")
    if answer not in _ANSWERS:
        raise InvalidRequest("Say whether it was launched: go back, and choose one of the answers.")
    routee_id = _routee_id(form.get("trackingId", ""))
    parts = visit.parts
    campaign_id = await resolve(parts.database, visit.id(), answer, routee_id=routee_id)
    log.info("resolved a launch", by=_name(visit), campaign=str(campaign_id), submission=answer)
    return visit.to(visit.url(_PATH, campaign_id))


async def ask_before_cancelling(visit: Visit) -> Response:
    """What cancelling means, and the button."""
    row = await get_campaign_row(visit.parts.database, visit.id())
    if not is_cancellable(visit, row):
        raise CampaignNotCancellable(
            "Only a campaign that Routee has accepted and that is scheduled for later can be "
            f"cancelled. This one is {row.submission}."
        )
    return visit.page(
        "campaign_cancel.html",
        title="Cancel this campaign?",
        row=row,
        heading_of_campaign=title_of(visit, row),
    )


async def cancel_campaign(visit: Visit) -> Response:
    """Have Routee delete it; its page says that it is cancelled."""
    await visit.form()
    parts = visit.parts
    campaign_id = await cancel(parts.database, parts.routee, visit.id())
    log.info("cancelled a campaign", by=_name(visit), campaign=str(campaign_id))
    return visit.to(visit.url(_PATH, campaign_id))


def _routee_id(given: str) -> str | None:
    """
    Routee's trackingId of the campaign; None if the person left it out.

    Raises:
        InvalidRequest: no callback can name that.
    """
    if not given.strip():
        return None
    try:
        return reading.identifier({"trackingId": given.strip()}, "trackingId")
    except reading.UnusableId:
        raise InvalidRequest(
            "A trackingId has at most 512 bytes. Copy it from Routee's console."
        ) from None


def _name(visit: Visit) -> str:
    return "" if visit.person is None else visit.person.name
