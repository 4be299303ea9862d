"""The feed: all status events, replies and notices in one order."""

from functools import partial
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from app.api.cloud_events import MEDIA_TYPE as BATCH_TYPE
from app.api.cloud_events import wants_batch
from app.api.document.cloud_events import ANSWER
from app.api.fast_reads import FastRead
from app.api.feed_json import ITEM_MEMBERS
from app.api.feed_stream import MEDIA_TYPE, FeedStream, wants_stream
from app.api.history import ShownEffect
from app.api.parts import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    GivenId,
    Parts,
    PartsDep,
    Reader,
    each_once,
    json_answer,
    parts_of,
    unless_gone,
    verified_caller,
)
from app.api.routes.inbound_messages import InboundMessageOut
from app.api.sparse import DESCRIPTION as FIELDS_DESCRIPTION
from app.api.sparse import chosen
from app.api.wire import Instant, Money, Wire
from app.db.campaigns import find_campaign
from app.db.database import Database
from app.db.feed.pages import CampaignKeys, FeedFilter
from app.domain.api_key import Scope
from app.domain.feed import (
    FeedItemType,
    Position,
    PositionInvalid,
    decode_position,
    encode_position,
)
from app.domain.status import Status
from app.errors import InvalidCursor, NotFound
from app.kit.instants import parse_instant
from app.services.feed.pages import Feed, FeedForm, ServedPage

MAX_WAIT_SECONDS: Final = 30
#: The same URL has several forms of an answer.
_VARY: Final = {"Vary": "Accept"}
_STREAM: Final[dict[str, Any]] = {MEDIA_TYPE: {"schema": {"type": "string"}}}
#: Of a parameter that takes many.
MAX_VALUES: Final = 20


class StatusData(Wire):
    """What an event says about its message."""

    status: Status
    provider_status: str | None
    detailed_status: str | None
    description: str | None
    to: str | None
    price: Money | None
    #: Whether it became the status of the message, given all earlier items of the feed.
    changed: bool
    reason: ShownEffect
    message_status: Status | None


class FeedItem(Wire):
    """The members of all items."""

    id: str
    #: The message that the item is about; for a reply, the message that it answers.
    tracking_id: str | None
    campaign_tracking_id: str | None
    occurred_at: Instant | None
    received_at: Instant
    source: str


class StatusFeedItem(FeedItem):
    """A message reached a status."""

    type: Literal[FeedItemType.STATUS] = FeedItemType.STATUS
    data: StatusData


class InboundFeedItem(FeedItem):
    """A recipient replied."""

    type: Literal[FeedItemType.INBOUND] = FeedItemType.INBOUND
    data: InboundMessageOut


class OverdueData(Wire):
    """A message without a final status, as it was when its campaign was finished."""

    to: str | None
    status: Status | None


class OverdueFeedItem(FeedItem):
    """A message of a campaign that is being finished has no final status."""

    type: Literal[FeedItemType.OVERDUE] = FeedItemType.OVERDUE
    data: OverdueData


class CampaignData(Wire):
    """A campaign, as it was then."""

    #: Ours.
    campaign_id: str | None
    campaign_name: str | None
    label: str | None
    submission_reason: str | None


class LaunchedFeedItem(FeedItem):
    """Routee accepted a campaign."""

    type: Literal[FeedItemType.LAUNCHED] = FeedItemType.LAUNCHED
    data: CampaignData


class RejectedFeedItem(FeedItem):
    """Routee refused a campaign."""

    type: Literal[FeedItemType.REJECTED] = FeedItemType.REJECTED
    data: CampaignData


class CancelledFeedItem(FeedItem):
    """A scheduled campaign was cancelled."""

    type: Literal[FeedItemType.CANCELLED] = FeedItemType.CANCELLED
    data: CampaignData


class FinishedData(CampaignData):
    """A campaign and its numbers, as they were when it was finished."""

    total: int
    final_count: int
    overdue: int


class FinishedFeedItem(FeedItem):
    """Nothing more is expected of a campaign."""

    type: Literal[FeedItemType.FINISHED] = FeedItemType.FINISHED
    data: FinishedData


class ErasedData(Wire):
    """Who was erased, for those who know the number."""

    erasure_id: str
    #: As `POST /v1/recipients/keys` gives it for the number.
    recipient_key: str
    #: The same by keys that were the current one earlier.
    earlier_recipient_keys: list[str]


class ErasedFeedItem(FeedItem):
    """All that is stored of a recipient is pseudonymised."""

    type: Literal[FeedItemType.ERASED] = FeedItemType.ERASED
    data: ErasedData


AnyFeedItem = Annotated[
    StatusFeedItem
    | InboundFeedItem
    | OverdueFeedItem
    | LaunchedFeedItem
    | RejectedFeedItem
    | CancelledFeedItem
    | FinishedFeedItem
    | ErasedFeedItem,
    Field(discriminator="type"),
]


class FeedPageOut(Wire):
    """
    One page of the feed.

    The types of items may become more, so the document shows one open kind of item, made of all of
    these (`document.feed`).
    """

    items: list[AnyFeedItem]
    next_cursor: str


class FeedQuery(BaseModel):
    """The parameters of a call."""

    model_config = ConfigDict(frozen=True)

    after: str = Field(
        default="beginning",
        max_length=100,
        description="`nextCursor` of the page before, `beginning`, `now`, or a time in ISO "
        "8601: from a minute before it on, so that nothing received since is missed.",
    )
    limit: int = Field(
        default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="How many items at most."
    )
    wait: float = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        allow_inf_nan=False,
        description="For how many seconds to wait for an item if there is none.",
    )
    kinds: list[FeedItemType] = Field(
        default=[],
        alias="type",
        max_length=MAX_VALUES,
        description="Only items of this type, or of one of these.",
    )
    fields: str | None = Field(default=None, description=FIELDS_DESCRIPTION)
    campaign_tracking_ids: list[GivenId] = Field(
        default=[],
        alias="campaignTrackingId",
        max_length=MAX_VALUES,
        description="Routee's id of a campaign, or ours: only its items, or those of one of these "
        f"campaigns, at most {MAX_VALUES}. 404 for one that is not known.",
    )


class _ReadFeed(FastRead):
    """Answered without FastAPI's dependency injection."""

    async def arguments(self, request: Request) -> tuple[object, ...]:
        """The key is verified before the parameters, as FastAPI does it."""
        reader = await verified_caller(request, Scope.READ)
        try:
            query = FeedQuery.model_validate(_values(request.query_params))
        except ValidationError as error:
            faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors()]
            raise RequestValidationError(faults) from None
        return request, await parts_of(request), reader, query


#: Parameters that take many values.
_LISTS: Final = ("type", "campaignTrackingId")


def _values(given: QueryParams) -> dict[str, object]:
    values: dict[str, object] = dict(given)
    return values | {name: given.getlist(name) for name in _LISTS if name in values}


router = APIRouter(prefix="/v1/events", tags=["events"], route_class=_ReadFeed)


@router.get(
    "",
    summary="Everything that happened, in one order",
    response_model=FeedPageOut,
    responses={200: {**ANSWER, "content": ANSWER["content"] | _STREAM}},
)
async def list_events(
    request: Request, parts: PartsDep, _: Reader, query: Annotated[FeedQuery, Query()]
) -> Response:
    """
    All status events, replies and notices of this service, each exactly once, in the same order for
    every caller.

    Go on with `nextCursor`, also when the page is empty. It is independent of `type` and
    `campaignTrackingId`. An empty page without `wait` may be followed by others: a campaign's items
    can be far between. 410: items that were not read have been removed; the detail says how to go
    on.

    A caller that applies the items in order, and only those that are `changed`, has the status of
    each message at the end. `messageStatus` is the status that the message has now.

    With `Accept: application/cloudevents-batch+json` the page is a batch of CloudEvents 1.0, whose
    `data` are the items, and the header `Link` leads to the next page.

    With `Accept: text/event-stream` the same items come as server-sent events: `id` is the cursor
    after the item, `event` its type, `data` the item. A comment comes every 15 seconds without an
    item. A stream ends after 5 minutes, or with its key; go on with the header `Last-Event-ID`,
    which wins over `after`. `wait` has no effect on it, and `limit` none on what is sent.
    """
    accept = request.headers.get("accept", "")
    is_stream = wants_stream(accept)
    is_batch = not is_stream and wants_batch(accept)
    form = FeedForm(chosen(query.fields, ITEM_MEMBERS), is_stream, is_batch)
    wanted = await _filter(parts.database, query)
    if is_stream:
        return await _stream(request, parts, wanted, query, form)
    page = partial(
        parts.feed.page,
        wanted,
        after=await _position(parts.feed, query.after),
        limit=query.limit,
        wait_seconds=query.wait,
        form=form,
    )
    if not query.wait:
        served: ServedPage | None = await page()
    else:
        with parts.feed.place():
            served = await unless_gone(request.receive, page())
    if served is None:  # an answer to a client that has hung up is not read
        return json_answer(b"")
    if is_batch:
        links = {"Link": _link(request, served.end)}
        return Response(served.body, headers=_VARY | links, media_type=BATCH_TYPE)
    return json_answer(served.body, headers=_VARY)


def _link(request: Request, end: Position) -> str:
    """The next page: the same call, beyond *end*."""
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    return f'<?{urlencode([("after", encode_position(end)), *given])}>; rel="next"'


async def _stream(
    request: Request, parts: Parts, wanted: FeedFilter, query: FeedQuery, form: FeedForm
) -> Response:
    """The stream, once its first page was read: until then a failure is answered as a problem."""
    last = request.headers.get("last-event-id")
    after = await _position(parts.feed, last or query.after)
    first = await parts.feed.page(wanted, after=after, limit=query.limit, form=form)
    parts.feed.require_place()
    return FeedStream(
        parts.feed,
        wanted,
        first,
        after=after,
        limit=query.limit,
        form=form,
        verify=lambda: verified_caller(request, Scope.READ),
    )


async def _filter(database: Database, query: FeedQuery) -> FeedFilter:
    """
    What *query* asks for, in one spelling, so that all who ask for it share one read.

    Raises:
        NotFound: a campaign is not known. One that is known may have no items so far.
    """
    kinds = each_once(query.kinds) or tuple(FeedItemType)
    campaigns = [await _campaign(database, one) for one in each_once(query.campaign_tracking_ids)]
    return FeedFilter(kinds, tuple(dict.fromkeys(campaigns)))


async def _campaign(database: Database, tracking_id: str) -> CampaignKeys:
    row = await find_campaign(database, tracking_id)
    if row is None:
        raise NotFound(
            f"There is no campaign {tracking_id!r}: it was not launched here, and no callback has "
            "named it so far."
        )
    return CampaignKeys(row.tracking_id, row.id)


async def _position(feed: Feed, after: str) -> Position:
    if after == "beginning":
        return await feed.oldest()
    if after == "now":
        return await feed.newest()
    instant = parse_instant(after)
    if instant is not None and instant.tzinfo is not None:
        return await feed.before(instant)
    try:
        return decode_position(after)
    except PositionInvalid:
        raise InvalidCursor(
            "`after` is `nextCursor` of the page before, unchanged, or `beginning`, or `now`, or a "
            "time with its offset, such as 2026-01-31T12:00:00Z."
        ) from None
