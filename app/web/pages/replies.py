"""Replies: what recipients wrote back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from starlette.responses import Response

from app.db.campaigns import find_campaign
from app.db.dashboard.names import names_of_campaigns
from app.db.dashboard.reply_pages import (
    ReplyPosition,
    ReplyTimes,
    page_of_newest_replies,
    page_of_newest_replies_to,
)
from app.db.inbound_messages import InboundFilter, Reply, page_of_inbound_messages
from app.domain.tracking_id import canonical_id
from app.errors import InvalidCursor
from app.kit.cursor import encode_cursor
from app.kit.instants import parse_instant
from app.web.fields import MAX_ROW_ID, NO_SUCH_PAGE, as_field, instant_in, position_in, value_in
from app.web.routes import PageRoute
from app.web.visit import Visit

_ITEMS: Final = 50
#: As they stand in the URL.
_FIELDS: Final = ("campaign", "message", "since", "before")
#: A longer text is folded.
_FOLDED_CHARACTERS: Final = 300
_SUMMARY_CHARACTERS: Final = 120
#: A reply that was under way for longer is said to have been.
_USUAL_DELAY: Final = timedelta(minutes=1)


class ReplyLine(NamedTuple):
    """A reply as the person who asks may see it."""

    id: int
    number: str
    text: str
    #: The beginning of a long text; empty if it is short enough to be shown whole.
    beginning: str
    media: str
    filename: str
    received_at: datetime
    #: How long before that it was sent, by Routee's clock; None if not long before, or not known.
    delay: timedelta | None
    campaign_id: str | None
    campaign_name: str
    message_id: str | None


class _Page(NamedTuple):
    replies: Sequence[Reply]
    #: The position of the next page.
    end: Sequence[str | int] | None


async def show_replies(visit: Visit) -> Response:
    """The replies that match: the newest first, to one message the oldest first."""
    given = {name: visit.query.get(name, "") for name in _FIELDS}
    campaign = value_in(given["campaign"], "id of a campaign")
    message = value_in(given["message"], "id of a message")
    times = ReplyTimes(instant_in(given["since"]), instant_in(given["before"]))
    scope = f"page of replies {(campaign, message, times)}"
    if message is not None:
        page = await _to_message(visit, canonical_id(message), campaign, times, scope)
    elif campaign is not None:
        page = await _to_campaign(visit, await _routee_id(visit, campaign), times, scope)
    else:
        page = await _of_all(visit, times, scope)
    return visit.page(
        "replies.html",
        title="Replies",
        lines=await reply_lines(visit, page.replies),
        cursor=None if page.end is None else encode_cursor([*page.end], scope=scope),
        is_short=page.end is not None and len(page.replies) < _ITEMS,
        is_first=not visit.query.get("cursor"),
        fields=given | {"since": as_field(times.since), "before": as_field(times.before)},
    )


async def reply_lines(visit: Visit, replies: Sequence[Reply]) -> list[ReplyLine]:
    """
    The lines of *replies*.

    Raises:
        DatabaseUnavailable: the names of their campaigns cannot be read.
    """
    names = await names_of_campaigns(
        visit.parts.reads, {reply.campaign_tracking_id for reply in replies}
    )
    return [_line(visit, reply, names.get(reply.campaign_tracking_id or "")) for reply in replies]


def _line(visit: Visit, reply: Reply, known_name: str | None) -> ReplyLine:
    row = reply.row
    text = visit.text(row.message)
    is_long = len(text) > _FOLDED_CHARACTERS
    return ReplyLine(
        id=row.id,
        number=visit.number(row.sender),
        text=text,
        beginning=text[:_SUMMARY_CHARACTERS] if is_long else "",
        media=visit.text(row.media),
        filename=visit.text(row.filename),
        received_at=row.received_at,
        delay=_delay(row.sent_at, row.received_at),
        campaign_id=reply.campaign_tracking_id,
        campaign_name=visit.text(known_name or row.campaign_name),
        message_id=row.reference_tracking_id,
    )


def _delay(sent_at: datetime | None, received_at: datetime) -> timedelta | None:
    delay = None if sent_at is None else received_at - sent_at
    return None if delay is None or delay < _USUAL_DELAY else delay


async def _of_all(visit: Visit, times: ReplyTimes, scope: str) -> _Page:
    before = _received(visit, scope)
    page = await page_of_newest_replies(visit.parts.reads, times, before=before, limit=_ITEMS)
    end = page.end
    return _Page(page.replies, None if end is None else (end.received_at.isoformat(), end.id))


async def _to_campaign(visit: Visit, tracking_id: str, times: ReplyTimes, scope: str) -> _Page:
    above = _id(visit, scope)
    page = await page_of_newest_replies_to(
        visit.parts.reads, tracking_id, times, above=above, limit=_ITEMS
    )
    return _Page(page.replies, None if page.end is None else (page.end,))


async def _to_message(
    visit: Visit, message: str, campaign: str | None, times: ReplyTimes, scope: str
) -> _Page:
    wanted = InboundFilter(
        None if campaign is None else await _routee_id(visit, campaign), message, None, *times
    )
    after = _id(visit, scope)
    page = await page_of_inbound_messages(visit.parts.reads, wanted, after=after, limit=_ITEMS)
    return _Page(page.replies, None if page.end is None else (page.end,))


async def _routee_id(visit: Visit, campaign: str) -> str:
    """Routee's id of the campaign if *campaign* is our id, else the given id."""
    row = await find_campaign(visit.parts.reads, canonical_id(campaign))
    known = None if row is None else row.tracking_id
    return known or canonical_id(campaign)


def _id(visit: Visit, scope: str) -> int | None:
    match position_in(visit.query.get("cursor", ""), scope=scope):
        case None:
            return None
        case [int(position)] if 0 <= position <= MAX_ROW_ID:
            return position
    raise InvalidCursor(NO_SUCH_PAGE)


def _received(visit: Visit, scope: str) -> ReplyPosition | None:
    match position_in(visit.query.get("cursor", ""), scope=scope):
        case None:
            return None
        case [str(instant), int(number)] if 0 <= number <= MAX_ROW_ID:
            received_at = parse_instant(instant)
            if received_at is not None and received_at.tzinfo is not None:
                return ReplyPosition(received_at, number)
    raise InvalidCursor(NO_SUCH_PAGE)


ROUTES: Final = (PageRoute("/ui/replies", show_replies),)
