"""Messages and their history."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, Field

from app.api.caching import NOT_MODIFIED
from app.api.fast_reads import RevalidatedRead
from app.api.history import HistoryItem, history_json
from app.api.message_json import (
    EXPLAINED_MESSAGE_MEMBERS,
    MESSAGE_MEMBERS,
    explained_message_json,
    message_json,
)
from app.api.parts import (
    MAX_LIMIT,
    GivenId,
    Moment,
    Number,
    Paging,
    PagingDep,
    Parts,
    PartsDep,
    Reader,
    SafeText,
    TrackingId,
    cursor_after,
    each_once,
    json_answer,
    json_body,
    json_request,
    list_answer,
    row_id,
    row_time,
    text_id,
    validated,
)
from app.api.sparse import Fields, chosen, fields_among, sparse
from app.api.wire import Instant, Money, Page, Wire, joined
from app.db.campaigns import find_campaign
from app.db.messages import (
    CampaignKey,
    CurrentMessage,
    HistoryEvent,
    MessageFilter,
    find_message,
    history_of,
    messages_of,
    page_of_messages,
    page_of_updated_messages,
    payloads_of,
)
from app.db.tables import MessageRow
from app.domain.api_key import Scope
from app.domain.history import Effect, effects_of
from app.domain.masking import SecretMask
from app.domain.status import Status
from app.domain.tracking_id import canonical_id
from app.errors import Fault, InvalidRequest, NotFound
from app.routee import reading

router = APIRouter(prefix="/v1/messages", tags=["messages"])


MessageFields = Annotated[Fields, Depends(fields_among(MESSAGE_MEMBERS))]
ExplainedMessageFields = Annotated[Fields, Depends(fields_among(EXPLAINED_MESSAGE_MEMBERS))]


class _ReadMessage(RevalidatedRead):
    """A route of `ReadById` that takes `fields` of an explained message as well."""

    async def arguments(self, request: Request) -> tuple[object, ...]:
        """The parameter is read after the others, as FastAPI resolves the dependencies."""
        arguments = await super().arguments(request)
        text = request.query_params.get("fields") if request.scope["query_string"] else None
        return *arguments, chosen(text, EXPLAINED_MESSAGE_MEMBERS)


#: Behind `router`: one message.
one = APIRouter(
    prefix="/v1/messages", tags=["messages"], route_class=_ReadMessage, responses=NOT_MODIFIED
)

#: Payloads may be large.
_PAYLOADS_AT_ONCE: Final = 20
#: How long ago `updatedAfter` may be on its own: all that was updated since is read for each page.
MAX_UPDATED_AGO: Final = timedelta(hours=24)


class MessageMembers(Wire):
    """The members of a message that are always there."""

    tracking_id: str
    campaign_tracking_id: str | None
    to: str | None
    from_: str | None = Field(alias="from")
    country: str | None
    label: str | None
    status: Status
    provider_status: str | None
    detailed_status: str | None
    description: str | None
    status_at: Instant | None
    final: bool
    overdue: bool
    queued_at: Instant | None
    sent_at: Instant | None
    delivered_at: Instant | None
    seen_at: Instant | None
    failed_at: Instant | None
    price: Money | None
    #: Routee's own time of creation.
    created_at: Instant | None
    updated_at: Instant


class MessageExplanation(Wire):
    """What the status of a message means, for people to read."""

    text: str
    action: str | None


class MessageOut(MessageMembers):
    """One message and its status."""

    #: Where one message is asked for by its id.
    explanation: MessageExplanation | None = None


def _of_unicode(text: str) -> str:
    """
    *text*, if it can be encoded in the answer.

    Raises:
        ValueError: it has a lone surrogate, which only escapes in JSON can produce.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must not have lone surrogates") from None
    return text


class Lookup(Wire, extra="forbid"):
    """The messages to look up."""

    tracking_ids: Annotated[
        list[Annotated[str, AfterValidator(_of_unicode)]],
        Field(min_length=1, max_length=MAX_LIMIT),
    ]


class LookupAnswer(Wire):
    """The messages that were found."""

    #: In the order of the request, each once.
    items: list[MessageOut]
    #: As they were asked for.
    not_found: list[str]


@router.post(
    "/lookup",
    summary="The current status of many messages",
    response_model=LookupAnswer,
    openapi_extra=json_request(Lookup.model_json_schema()),
)
async def look_up_messages(
    parts: PartsDep,
    _: Reader,  # before the body: only a caller with the scope may send one
    body: Annotated[object, Depends(json_body)],
    fields: MessageFields,
) -> Response:
    """For a backend that polls for its messages: up to a thousand at once, duplicates once."""
    wanted = validated(Lookup, body)
    asked = {written: canonical_id(written) for written in wanted.tracking_ids}
    ids = dict.fromkeys(asked.values())
    rows = await messages_of(parts.reads, [one for one in ids if _can_exist(one)])
    as_json = sparse(message_json, fields)
    found = await parts.slices.mapped(as_json, (rows[one] for one in ids if one in rows))
    not_found = [written for written, one in asked.items() if one not in rows]
    return json_answer(joined(found, notFound=not_found))


def _can_exist(tracking_id: str) -> bool:
    try:
        return reading.identifier({"id": tracking_id}, "id") == tracking_id
    except reading.UnusableId:
        return False


@router.get(
    "",
    summary="The messages to a number, of a label, of a campaign, or updated recently",
    response_model=Page[MessageOut],
)
async def list_messages(  # noqa: PLR0913 (the parameters of the call)
    parts: PartsDep,
    _: Reader,
    *,
    to: Annotated[Number | None, Query(description="Only those to this number.")] = None,
    status: Annotated[
        list[Status] | None, Query(description="Only those in this status, or in one of these.")
    ] = None,
    label: Annotated[SafeText | None, Query(description="Exactly this label.")] = None,
    campaign_tracking_id: Annotated[
        GivenId | None,
        Query(alias="campaignTrackingId", description="Routee's id of a campaign, or ours."),
    ] = None,
    updated_after: Annotated[
        Moment | None,
        Query(
            alias="updatedAfter",
            description="Only those about which something new was stored since. On its own at most "
            "24 hours ago.",
        ),
    ] = None,
    fields: MessageFields,
    paging: PagingDep,
) -> Response:
    """
    In the order of their ids. A page scans at most 10,000 messages: with filters that few messages
    pass it may be short or empty although `nextCursor` is not null. `to`, `label` and
    `campaignTrackingId` use an index; `status` alone scans all messages.

    With `updatedAfter` alone, or with `status`, in the order of their updates. A caller that must
    miss nothing reads `/v1/events` instead: a callback that is being stored at this moment may get
    a slightly earlier `updatedAt`.
    """
    statuses, as_json = each_once(status), sparse(message_json, fields)
    scope = f"messages {(to, statuses, label, campaign_tracking_id, updated_after)}"
    campaign = await _campaign(parts, campaign_tracking_id)
    wanted = MessageFilter(to, campaign, label, statuses, updated_after)
    if wanted.has_key or updated_after is None:
        after = paging.position(scope=scope, of=text_id)
        page = await page_of_messages(parts.reads, wanted, after=after, limit=paging.limit)
        cursor = cursor_after(page.end, scope=scope)
        return await list_answer(parts, page.rows, as_json, cursor=cursor)
    rows, cursor = await _updated(parts, _recent(updated_after), statuses, scope, paging)
    return await list_answer(parts, rows, as_json, cursor=cursor)


async def _campaign(parts: Parts, tracking_id: str | None) -> CampaignKey | None:
    """The keys of the campaign's messages; of an unknown campaign the given id alone."""
    if tracking_id is None:
        return None
    row = await find_campaign(parts.database, tracking_id)
    return CampaignKey(tracking_id) if row is None else CampaignKey(row.tracking_id, row.id)


def _recent(updated_after: datetime) -> datetime:
    """
    *updated_after*, if it may be the only filter.

    Raises:
        InvalidRequest: it is too long ago.
    """
    if updated_after < datetime.now(UTC) - MAX_UPDATED_AGO:
        message = "must be less than 24 hours ago, unless `to`, `label` or `campaignTrackingId` "
        message += "is given; for what is longer ago read `/v1/events`"
        raise InvalidRequest(faults=(Fault("updatedAfter", message),))
    return updated_after


async def _updated(
    parts: Parts, since: datetime, statuses: Sequence[Status], scope: str, paging: Paging
) -> tuple[Sequence[CurrentMessage], str | None]:
    """The rows of one page, and the cursor of the next page."""
    after = paging.position(scope=scope, of=_update)
    rows = await page_of_updated_messages(
        parts.reads, since, statuses, after=after, limit=paging.limit + 1
    )
    return paging.cut(
        rows,
        position=lambda row: [row.updated_at.isoformat(), row.message_tracking_id],
        scope=scope,
    )


def _update(instant: str, tracking_id: str) -> tuple[datetime, str]:
    return row_time(instant), text_id(tracking_id)


@one.get("/{tracking_id}", summary="The current status of one message", response_model=MessageOut)
async def get_message(
    tracking_id: TrackingId, parts: PartsDep, _: Reader, fields: ExplainedMessageFields
) -> Response:
    """
    The state that follows from all callbacks of this message, in any order of arrival.

    `explanation` says what it means and what to do about it, for people.
    """
    row = await parts.current.find(tracking_id)
    if row is None:
        raise NotFound(f"No callback has named the message {tracking_id!r} yet.")
    return json_answer(sparse(explained_message_json, fields)(row))


@router.get(
    "/{tracking_id}/events",
    summary="The history of one message",
    response_model=Page[HistoryItem],
)
async def get_history(
    tracking_id: TrackingId,
    parts: PartsDep,
    caller: Reader,
    *,
    raw: Annotated[
        bool,
        Query(description="With payloads; tokens are masked, except for scope `admin`."),
    ] = False,
    paging: PagingDep,
) -> Response:
    """
    Every distinct event, in the order of the feed.

    `changed` says if the event became the current status, `reason` why or why not: `advanced`,
    `filled` (overtaken, but the first of its status), `late` (overtaken, and its status known) or
    `lower-rank` (later in time, but a status does not fall back).
    """
    scope = f"events of {tracking_id}"
    after = paging.position(scope=scope, of=row_id)
    message = await find_message(parts.reads, tracking_id)
    if message is None:
        raise NotFound(f"No callback has named the message {tracking_id!r} yet.")
    events = await history_of(parts.reads, message)
    # All of them, as each effect depends on the events before.
    effects = await parts.slices.mapped(lambda effect: effect, effects_of(events))
    begin = 1 + next((at for at, event in enumerate(events) if event.id == after), -1)
    rest = list(zip(events[begin:], effects[begin:], strict=True))
    page, cursor = paging.cut(rest, position=lambda item: [item[0].id], scope=scope)
    if not raw:
        return await list_answer(parts, page, lambda item: history_json(*item), cursor=cursor)
    mask = None if caller.allows(Scope.ADMIN) else parts.mask
    items = await _with_payloads(parts, message, page, mask)
    return json_answer(joined(items, nextCursor=cursor))


async def _with_payloads(
    parts: Parts,
    message: MessageRow,
    page: Sequence[tuple[HistoryEvent, Effect]],
    mask: SecretMask | None,
) -> Sequence[bytes]:
    items: list[bytes] = []
    for at in range(0, len(page), _PAYLOADS_AT_ONCE):
        part = page[at : at + _PAYLOADS_AT_ONCE]
        payloads = await payloads_of(parts.reads, message, [event.id for event, _ in part])
        raws = [_shown(payloads.get(event.id), mask) for event, _ in part]
        items += [history_json(*item, raw=raw) for item, raw in zip(part, raws, strict=True)]
    return items


def _shown(payload: str | None, mask: SecretMask | None) -> str | None:
    return payload if payload is None or mask is None else mask.shown(payload)
