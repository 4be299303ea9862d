"""Campaigns: launching them, their state, and their messages."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AfterValidator, Field, WithJsonSchema

from app.api.caching import NOT_MODIFIED, Revalidated
from app.api.campaign_json import CAMPAIGN_MEMBERS, LONG_MEMBERS, campaign_json, progress_json
from app.api.message_json import awaited_message_json, message_json
from app.api.parts import (
    Admin,
    Launcher,
    Moment,
    Number,
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
from app.api.routes.messages import MessageFields
from app.api.sparse import Fields, fields_among, picked
from app.api.wire import Instant, Money, Page, Wire, joined
from app.db.campaign_progress import (
    newest_progress,
    newest_progress_of_each,
    page_of_progress,
)
from app.db.campaigns import (
    NO_TIMES,
    CampaignFilter,
    counts_of,
    counts_of_each,
    find_campaign,
    page_of_campaigns,
    times_of,
    times_of_each,
)
from app.db.messages import (
    CampaignKey,
    MessageFilter,
    awaited_of,
    page_of_messages,
)
from app.db.payloads import opened
from app.db.tables import CampaignProgressRow, CampaignRow
from app.domain.api_key import Scope
from app.domain.campaign import Billing, Submission
from app.domain.masking import SecretMask
from app.domain.status import AWAITING, Status
from app.errors import DatabaseUnavailable, Fault, InvalidRequest, NotFound
from app.routee import reading
from app.routee.campaign_fields import recipients
from app.services.launching.launches import under_way
from app.services.launching.settling import cancel, resolve

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
_one = APIRouter(route_class=Revalidated, responses=NOT_MODIFIED)


class CampaignWarning(Wire):
    """Something in the request that is allowed, but probably a mistake."""

    field: str
    code: str
    message: str


class CampaignProgressOut(Wire):
    """What Routee reported of a campaign as a whole, in Routee's words."""

    campaign_status: str | None
    #: Routee's words and counts; they are not those of `counts`.
    message_statuses: dict[str, int]
    total_recipients: int | None
    name: str | None
    occurred_at: Instant | None
    received_at: Instant


class ProgressItem(CampaignProgressOut):
    """One report in the history of a campaign."""

    id: str
    raw: str | None = None


class CampaignOut(Wire):
    """A campaign with the members of Routee's API, and its state here."""

    #: Our id, given at once.
    id: UUID
    #: Routee's; null until it is known.
    tracking_id: str | None
    submission: Submission
    submission_reason: str | None
    billing: Billing | None
    type: str | None
    state: str | None
    created_at: Instant | None
    sender_info_tracking_id: str | None
    sender_info_name: str | None
    to: list[str] | None
    contacts: list[str] | None
    groups: list[str] | None
    campaign_name: str | None
    scheduled_date: Instant | None
    body: dict[str, Any] | None
    ttl: int | None
    cost: Money | None
    total_messages: int | None
    viber_analysis: dict[str, Any] | None
    callback_url: str | None
    inbound_url: str | None
    label: str | None
    is_session_message: bool | None
    respect_quiet_hours: bool | None
    counts: dict[Status, int]
    total: int
    final_count: int
    awaiting: int | None
    finished: bool
    finished_at: Instant | None
    overdue: int
    first_event_at: Instant | None
    last_event_at: Instant | None
    progress: CampaignProgressOut | None
    warnings: list[CampaignWarning]
    updated_at: Instant


class CampaignSummary(CampaignOut):
    """A campaign without its long members, which are present only on request."""


def _storable(tracking_id: str) -> str:
    """
    *tracking_id* in its one spelling, if a callback can have it.

    Raises:
        ValueError: it cannot be stored.
    """
    try:
        found = reading.identifier({"trackingId": tracking_id}, "trackingId")
    except reading.UnusableId:
        found = None
    if found is None:
        raise ValueError("must be at most 512 bytes of UTF-8 without NUL, and not blank")
    return found


def _as_status(word: str) -> str:
    if word != AWAITING and word not in Status.__members__:
        raise ValueError(f"must be {AWAITING} or one of {', '.join(Status)}")
    return word


#: The status of a message, or AWAITING.
AnyStatus = Annotated[
    str,
    AfterValidator(_as_status),
    WithJsonSchema({"type": "string", "enum": [*Status, AWAITING]}),
]


class CampaignMessage(Wire):
    """
    A message of a campaign.

    One without a callback so far has the status `AWAITING`, its number and the campaign's id alone;
    all other members are null, and `final` is false.
    """

    tracking_id: str | None
    campaign_tracking_id: str | None
    to: str | None
    from_: str | None = Field(alias="from")
    country: str | None
    label: str | None
    status: AnyStatus
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
    created_at: Instant | None
    updated_at: Instant | None


class CampaignMessages(Wire):
    """One page of a campaign's messages, the awaited ones after all others."""

    items: list[CampaignMessage]
    next_cursor: str | None
    #: How many messages the whole list has by the counts, without the awaited ones; null with the
    #: filter `to`, and while the campaign's trackingId is unknown.
    total: int | None


#: Submissions without messages to come.
_NOT_SENT: Final = frozenset({Submission.REJECTED, Submission.CANCELLED})


class Resolution(Wire, extra="forbid"):
    """What a person found out about an unconfirmed launch."""

    submission: Literal[Submission.LAUNCHED, Submission.REJECTED]
    #: Routee's trackingId of it, if it was launched and the person found it.
    tracking_id: Annotated[str, Field(min_length=1), AfterValidator(_storable)] | None = None


@router.post(
    "",
    summary="Launch a campaign",
    status_code=HTTPStatus.CREATED,
    response_model=CampaignOut,
    responses={
        HTTPStatus.ACCEPTED: {"model": CampaignOut, "description": "No usable answer of Routee"}
    },
    openapi_extra=json_request({"type": "object"}, description="Routee's campaign request."),
)
async def launch_campaign(
    parts: PartsDep,
    caller: Launcher,  # before the body: only a caller with the scope may send one
    request: Annotated[object, Depends(json_body)],
    *,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="Any text. A request that is repeated with it launches nothing twice.",
        ),
    ] = None,
    check_media: Annotated[
        bool, Query(alias="preflight", description="Ask the hosts of its media first.")
    ] = False,
) -> Response:
    """
    Ask Routee for a campaign, with this service as its `callbackUrl` and `inboundUrl`.

    201 when Routee accepted it. 202 when Routee gave no usable answer: the campaign may have been
    accepted and must not be sent again; a later attempt or its first callback settles it. With an
    `Idempotency-Key` that was used before, the answer is the current state of that launch, with the
    header `Idempotency-Replayed: true`.
    """
    launched = await parts.launching.launch(
        request,
        api_key_id=caller.id,
        idempotency_key=idempotency_key,
        check_media=check_media,
    )
    try:
        row = await _row(parts, str(launched.campaign_id))
        body = await counted_campaign(parts, row, left_out=())
    except DatabaseUnavailable:
        raise under_way(launched.campaign_id) from None
    headers = {"Location": f"/v1/campaigns/{launched.campaign_id}"}
    if launched.replayed:
        headers["Idempotency-Replayed"] = "true"
    is_unconfirmed = row.submission == Submission.UNCONFIRMED
    status = HTTPStatus.ACCEPTED if is_unconfirmed else HTTPStatus.CREATED
    return json_answer(body, status, headers)


#: How many campaigns are read at once: each may have thousands of recipients.
_CAMPAIGNS_AT_ONCE: Final = 100
_MAX_LONG_ITEMS: Final = 100


CampaignFields = Annotated[Fields, Depends(fields_among(CAMPAIGN_MEMBERS, on_request=LONG_MEMBERS))]


@router.get("", summary="Campaigns, the newest first", response_model=Page[CampaignSummary])
async def list_campaigns(  # noqa: PLR0913 (the parameters of the call)
    parts: PartsDep,
    _: Reader,
    *,
    name: Annotated[SafeText | None, Query(description="Exactly this name.")] = None,
    label: Annotated[SafeText | None, Query(description="Exactly this label.")] = None,
    submission: Annotated[
        list[Submission] | None,
        Query(description="Only those in this state, or in one of these."),
    ] = None,
    created_since: Annotated[Moment | None, Query(alias="createdSince")] = None,
    created_before: Annotated[Moment | None, Query(alias="createdBefore")] = None,
    fields: CampaignFields,
    paging: PagingDep,
) -> Response:
    """
    Every campaign that was launched here or named in a callback, with its counts.

    Members that may have thousands of entries, or long texts, are there only if `fields` names
    them: `to`, `contacts`, `groups`, `body` and `viberAnalysis`. `limit` may be at most 100 then.
    """
    left_out = _left_out(fields)
    if paging.limit > _MAX_LONG_ITEMS and not left_out.issuperset(LONG_MEMBERS):
        message = f"must be at most {_MAX_LONG_ITEMS} with these `fields`"
        raise InvalidRequest(faults=(Fault("limit", message),))
    wanted = CampaignFilter(name, label, each_once(submission), created_since, created_before)
    scope = f"campaigns {wanted}"
    before = paging.position(scope=scope, of=lambda position: UUID(str(position)))
    items: list[tuple[UUID, bytes]] = []
    async for part in _in_parts(parts, wanted, before, paging.limit + 1):
        items += await _listed_campaigns(parts, part, left_out)
    page, cursor = paging.cut(items, position=lambda item: [str(item[0])], scope=scope)
    return json_answer(joined([item for _, item in page], nextCursor=cursor))


def _left_out(fields: Fields) -> frozenset[str]:
    return frozenset(LONG_MEMBERS if fields is None else CAMPAIGN_MEMBERS).difference(fields or ())


async def _listed_campaigns(
    parts: Parts, rows: Sequence[CampaignRow], left_out: frozenset[str]
) -> Sequence[tuple[UUID, bytes]]:
    """Campaigns with their ids."""
    tracking_ids = [row.tracking_id for row in rows if row.tracking_id is not None]
    counts = await counts_of_each(parts.reads, tracking_ids)
    progress = await newest_progress_of_each(parts.reads, tracking_ids)
    times = await times_of_each(parts.reads, rows)

    def _listed(row: CampaignRow) -> tuple[UUID, bytes]:
        key = row.tracking_id or ""
        of_it = counts.get(key, {}), progress.get(key), times.get(row.id, NO_TIMES)
        return row.id, campaign_json(row, *of_it, left_out=left_out)

    return await parts.slices.mapped(_listed, rows)


async def _in_parts(
    parts: Parts, wanted: CampaignFilter, before: UUID | None, limit: int
) -> AsyncIterator[Sequence[CampaignRow]]:
    """At most *limit* campaigns; only a part of them is in memory at a time."""
    while limit > 0:
        size = min(limit, _CAMPAIGNS_AT_ONCE)
        part = await page_of_campaigns(parts.reads, wanted, before=before, limit=size)
        yield part
        if len(part) < size:
            return
        before, limit = part[-1].id, limit - size


@router.delete(
    "/{tracking_id}", summary="Cancel a scheduled campaign", response_model=CampaignSummary
)
async def cancel_campaign(tracking_id: TrackingId, parts: PartsDep, _: Launcher) -> Response:
    """Delete a campaign at Routee before its time. Repeating it is harmless."""
    campaign_id = await cancel(parts.database, parts.routee, tracking_id)
    return await _campaign(parts, str(campaign_id))


@router.post(
    "/{tracking_id}/resolve",
    summary="Resolve an unconfirmed launch",
    response_model=CampaignSummary,
    openapi_extra=json_request(Resolution.model_json_schema()),
)
async def resolve_campaign(
    tracking_id: TrackingId,
    parts: PartsDep,
    _: Admin,  # before the body: only a caller with the scope may send one
    body: Annotated[object, Depends(json_body)],
) -> Response:
    """
    Settle, as a person reports it, a launch that neither an answer nor a callback has settled.

    Look it up by its name in Routee's console first: a launch that is resolved as rejected may be
    launched again, and would then be paid for twice.
    """
    resolution = validated(Resolution, body)
    campaign_id = await resolve(
        parts.database, tracking_id, resolution.submission, routee_id=resolution.tracking_id
    )
    return await _campaign(parts, str(campaign_id))


@_one.get("/{tracking_id}", summary="One campaign and its counts", response_model=CampaignSummary)
async def get_campaign(
    tracking_id: TrackingId, parts: PartsDep, _: Reader, fields: CampaignFields
) -> Response:
    """
    The campaign of Routee's trackingId, or of our own id.

    It is made to be polled, and stays below 1 kB as a rule: `to`, `contacts`, `groups`, `body` and
    `viberAnalysis` are there only if `fields` names them, as in `fields=*,to`.
    """
    return await _campaign(parts, tracking_id, fields)


@router.get(
    "/{tracking_id}/progress",
    summary="The history of a campaign as a whole",
    response_model=Page[ProgressItem],
)
async def list_campaign_progress(
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
    Every distinct report of Routee on the campaign as a whole, the oldest first.

    A report counts as of the time that it names, else as of its first receipt. The counts are
    Routee's own; the campaign's `counts` are made from the callbacks of its messages.
    """
    scope = f"progress of {tracking_id}"
    after = paging.position(scope=scope, of=_report)
    campaign = await _row(parts, tracking_id)
    rows = await page_of_progress(
        parts.reads,
        campaign.tracking_id or "",  # which no report names
        after=after,
        limit=paging.limit + 1,
        with_payload=raw,
    )
    page, cursor = paging.cut(
        rows, position=lambda row: [row.ordered_at.isoformat(), row.id], scope=scope
    )
    mask = None if caller.allows(Scope.ADMIN) else parts.mask
    return await list_answer(
        parts,
        page,
        lambda row: progress_json(row, **_raw(row, mask) if raw else {}),
        cursor=cursor,
    )


def _raw(row: CampaignProgressRow, mask: SecretMask | None) -> dict[str, str | None]:
    if row.payload is None:
        return {"raw": None}
    text = opened(row.payload, row.payload_dictionary).decode(errors="replace")
    return {"raw": text if mask is None else mask.shown(text)}


def _report(instant: str, report_id: str | int) -> tuple[datetime, int]:
    return row_time(instant), row_id(report_id)


@router.get(
    "/{tracking_id}/messages",
    summary="The messages of one campaign",
    response_model=CampaignMessages,
)
async def list_campaign_messages(  # noqa: PLR0913 (the parameters of the call)
    tracking_id: TrackingId,
    parts: PartsDep,
    _: Reader,
    *,
    status: Annotated[
        list[AnyStatus] | None,
        Query(description="Only those in this status, or in one of these."),
    ] = None,
    to: Annotated[Number | None, Query(description="Only those to this number.")] = None,
    fields: MessageFields,
    paging: PagingDep,
) -> Response:
    """
    All messages with a callback, in the order of their ids; then the awaited ones.

    A recipient in the campaign's `to` without a callback is an item with `status: "AWAITING"`,
    `trackingId: null` and its number in `to`; these come in the order of `to`, each number once.
    Recipients in `contacts` and `groups` are not listed, as their numbers are unknown here; the
    campaign's `awaiting` counts them. A message whose first callback comes while a caller reads the
    pages may be missing in both parts.

    With `status` a page scans at most 10,000 messages: it may be short or empty although
    `nextCursor` is not null.
    """
    statuses = each_once(status)
    scope = f"messages of {(tracking_id, statuses, to)}"
    start = paging.position(scope=scope, of=_start)
    campaign = await _row(parts, tracking_id)
    items, following = await _listed_messages(parts, campaign, statuses, to, start, paging.limit)
    if fields is not None:
        items = await parts.slices.mapped(lambda item: picked(item, fields), items)
    cursor = cursor_after(following, scope=scope)
    total = await _total(parts, campaign, statuses, to)
    return json_answer(joined(items, nextCursor=cursor, total=total))


#: A page begins after the message of this id, or after the awaited message of this position.
_Start = str | int


def _start(value: object) -> _Start:
    return row_id(value) if isinstance(value, int) else text_id(value)


async def _listed_messages(  # noqa: PLR0913, PLR0917 (the parameters of the call)
    parts: Parts,
    campaign: CampaignRow,
    statuses: Sequence[str],
    to: str | None,
    start: _Start | None,
    limit: int,
) -> tuple[list[bytes], _Start | None]:
    """The items of one page, and the start of the next page."""
    key = CampaignKey(campaign.tracking_id, campaign.id)
    items: list[bytes] = []
    known = tuple(Status(word) for word in statuses if word != AWAITING)
    if (known or not statuses) and not isinstance(start, int):
        wanted = MessageFilter(to, key, statuses=known)
        page = await page_of_messages(parts.reads, wanted, after=start, limit=limit)
        items += await parts.slices.mapped(message_json, page.rows)
        if page.end is not None:
            return items, page.end
    if statuses and AWAITING not in statuses:
        return items, None
    numbers = _numbers(campaign, to)
    if not numbers:
        return items, None
    after = start if isinstance(start, int) else 0
    room = limit - len(items)
    awaited = await awaited_of(parts.reads, key, numbers, after=after, limit=room + 1)
    items += [
        awaited_message_json(
            one.number,
            campaign_tracking_id=campaign.tracking_id,
            is_overdue=campaign.finished_at is not None,
        )
        for one in awaited[:room]
    ]
    if len(awaited) <= room:
        return items, None
    return items, awaited[room - 1].position if room else after


def _numbers(campaign: CampaignRow, to: str | None) -> list[str]:
    """The numbers of the campaign's recipients, each once, in the order of the request."""
    if campaign.submission in _NOT_SENT:
        return []
    return [number for number in recipients(campaign.request) if to in {None, number}]


async def _total(
    parts: Parts, campaign: CampaignRow, statuses: Sequence[str], to: str | None
) -> int | None:
    if campaign.tracking_id is None or to is not None or list(statuses) == [AWAITING]:
        return None
    counts = await counts_of(parts.reads, campaign.tracking_id)
    return sum(counts.get(word, 0) for word in statuses or counts)


async def _row(parts: Parts, tracking_id: str) -> CampaignRow:
    row = await find_campaign(parts.database, tracking_id)
    if row is None:
        raise NotFound(f"There is no campaign {tracking_id!r}.")
    return row


async def _campaign(parts: Parts, tracking_id: str, fields: Fields = None) -> Response:
    row = await _row(parts, tracking_id)
    return json_answer(await counted_campaign(parts, row, left_out=_left_out(fields)))


async def counted_campaign(
    parts: Parts, row: CampaignRow, *, left_out: Collection[str] = LONG_MEMBERS, **members: str
) -> bytes:
    """
    A stored campaign as the API shows it, as of now.

    It is without the members *left_out*, and has further *members*.
    """
    times = await times_of(parts.database, row)
    if row.tracking_id is None:
        return campaign_json(row, {}, None, times, left_out=left_out, **members)
    counts = await counts_of(parts.database, row.tracking_id)
    progress = await newest_progress(parts.database, row.tracking_id)
    return campaign_json(row, counts, progress, times, left_out=left_out, **members)


router.include_router(_one)
