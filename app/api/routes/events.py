"""The feed of everything that is stored."""

import asyncio
import re
from collections.abc import Coroutine
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.types import Receive

from app.api.parts import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Limit,
    Parts,
    PartsDep,
    Reader,
    SafeText,
    json_answer,
)
from app.api.routes.inbound_messages import InboundMessageOut
from app.api.wire import Instant, Money, Wire
from app.db.campaigns import find_campaign
from app.db.database import Database
from app.db.feed import CampaignKeys, FeedFilter
from app.domain.feed import Kind, Position, PositionInvalid, decode_position
from app.domain.history import Effect
from app.domain.status import Status
from app.errors import InvalidCursor
from app.services.feed.pages import Feed

router = APIRouter(prefix="/v1/events", tags=["events"])

T = TypeVar("T")

MAX_WAIT_SECONDS: Final = 30
#: A cursor, then perhaps the other two: any order but this one is rare enough for the long way.
_PLAIN_QUERY: Final = re.compile(
    r"after=(?P<after>[\w-]{1,100})(?:&limit=(?P<limit>\d{1,4}))?(?:&wait=(?P<wait>\d{1,2}))?",
    re.ASCII,
)
#: In a query, the plus of an offset reads as a blank.
_OFFSET_WITH_BLANK: Final = re.compile(r" (?=\d\d:\d\d$)")


class StatusData(Wire):
    """What an event tells of its message."""

    #: In our vocabulary.
    status: Status
    #: Routee's own word.
    provider_status: str | None
    detailed_status: str | None
    description: str | None
    to: str | None
    price: Money | None
    #: Whether it became the status of the message, by all that stands before it in the feed.
    changed: bool
    reason: Effect
    #: Where the message stands now; null when it was removed.
    message_status: Status | None


class FeedItem(Wire):
    """What all items have."""

    id: str
    #: The message that the item is about; for a reply the one that it answers.
    tracking_id: str | None
    campaign_tracking_id: str | None
    #: Null when Routee did not say.
    occurred_at: Instant | None
    received_at: Instant
    #: `callback` when Routee posted it, `tracking` when we asked.
    source: str


class StatusFeedItem(FeedItem):
    """A message reached a status."""

    type: Literal[Kind.STATUS] = Kind.STATUS
    data: StatusData


class InboundFeedItem(FeedItem):
    """A recipient replied."""

    type: Literal[Kind.INBOUND] = Kind.INBOUND
    data: InboundMessageOut


class FeedOut(Wire):
    """One page of the feed."""

    items: list[Annotated[StatusFeedItem | InboundFeedItem, Field(discriminator="type")]]
    #: For the parameter `after` of the next call; always there.
    next_cursor: str


@router.get("", summary="Everything that happened, in one order", response_model=FeedOut)
async def list_events(  # noqa: PLR0913 (the parameters of the call)
    request: Request,
    parts: PartsDep,
    _: Reader,
    *,
    after: Annotated[
        str,
        Query(
            max_length=100,
            description="`nextCursor` of the page before, `beginning`, `now`, or a time in ISO "
            "8601: from a minute before it on, so that nothing received since is missed.",
        ),
    ] = "beginning",
    limit: Limit = DEFAULT_LIMIT,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=MAX_WAIT_SECONDS,
            allow_inf_nan=False,
            description="For how many seconds to wait for an item if there is none.",
        ),
    ] = 0,
    kind: Annotated[Kind | None, Query(alias="type")] = None,
    campaign_tracking_id: Annotated[
        SafeText | None,
        Query(alias="campaignTrackingId", description="Routee's id of a campaign, or ours."),
    ] = None,
) -> Response:
    """
    Every status event and every reply, none left out and none twice, the same order for everybody.

    Go on with `nextCursor`, also when the page is empty. It is independent of `type` and
    `campaignTrackingId`. An empty page without `wait` may be followed by others: a campaign's items
    can be far between. 410: items that were not read have been removed; the detail says how to go
    on.

    Whoever applies the items in order, and only those that are `changed`, has the status of each
    message at the end. `messageStatus` is where it stands now.
    """
    wanted = FeedFilter(kind, await _campaign(parts.database, campaign_tracking_id))
    asked = Asked(wanted, await _place(parts.feed, after), limit, wait)
    return json_answer(await feed_body(parts, asked, request.receive))


class Asked(NamedTuple):
    """What a call of `list_events` asks for."""

    wanted: FeedFilter
    after: Position
    limit: int
    wait_seconds: float


async def feed_body(parts: Parts, asked: Asked, receive: Receive) -> bytes:
    """
    The body of the answer of `list_events`.

    Raises:
        CursorExpired: something beyond the place has been removed.
    """
    wanted, after, limit, wait_seconds = asked
    reading = parts.feed.page(wanted, after=after, limit=limit, wait_seconds=wait_seconds)
    page = await (_unless_gone(receive, reading) if wait_seconds else reading)
    return b"" if page is None else page.body  # an answer that no client reads may be empty


def plainly_asked(query: str) -> Asked | None:
    """
    What *query* asks for, if it goes on from a cursor and has nothing that needs a closer look.

    It is for the many who follow the feed. None says nothing of whether *query* is valid.
    """
    given = _PLAIN_QUERY.fullmatch(query)
    if given is None:
        return None
    limit, wait_seconds = int(given["limit"] or DEFAULT_LIMIT), float(given["wait"] or 0)
    if not (1 <= limit <= MAX_LIMIT and wait_seconds <= MAX_WAIT_SECONDS):
        return None
    try:
        return Asked(FeedFilter(), decode_position(given["after"]), limit, wait_seconds)
    except PositionInvalid:
        return None


async def _campaign(database: Database, tracking_id: str | None) -> CampaignKeys | None:
    """By what the campaign's items are known; one that we do not know yet may still come."""
    if tracking_id is None:
        return None
    row = await find_campaign(database, tracking_id)
    if row is None:
        return CampaignKeys(tracking_id, None)
    return CampaignKeys(row.tracking_id, row.id)


async def _place(feed: Feed, after: str) -> Position:
    if after == "beginning":
        return await feed.oldest()
    if after == "now":
        return await feed.newest()
    instant = _instant(after)
    if instant is not None:
        return await feed.before(instant)
    try:
        return decode_position(after)
    except PositionInvalid:
        raise InvalidCursor(
            "`after` is `nextCursor` of the page before, unchanged, or `beginning`, or `now`, or a "
            "time with its offset, such as 2026-01-31T12:00:00Z."
        ) from None


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(_OFFSET_WITH_BLANK.sub("+", text))
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


async def _unless_gone(receive: Receive, doing: Coroutine[Any, Any, T]) -> T | None:
    """What *doing* gives; None, and it is given up, when the client hangs up meanwhile."""
    work, gone = asyncio.create_task(doing), asyncio.create_task(_hang_up(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
