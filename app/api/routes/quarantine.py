"""The quarantine: what could not be stored as a callback, and replaying it."""

from base64 import b64encode
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response

from app.api.parts import (
    Admin,
    Moment,
    PagingDep,
    Parts,
    PartsDep,
    cursor_after,
    each_once,
    json_answer,
    list_answer,
    row_id,
)
from app.api.wire import Instant, Page, Wire, open_words
from app.db.quarantine import (
    BodyPage,
    QuarantinedBody,
    QuarantineFilter,
    drop_quarantined,
    find_octets,
    find_quarantined,
    page_of_quarantine,
)
from app.domain.masking import SecretMask
from app.domain.quarantine import CallbackPath, Reason, ReplayOutcome, preview_of
from app.errors import NotFound

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

_ENCODER: Final = msgspec.json.Encoder()


class QuarantinedBodyOut(Wire):
    """A body that could not be stored as a callback, or not all of it."""

    id: str
    reason: Annotated[Reason, open_words(Reason)]
    received_at: Instant
    last_received_at: Instant
    times: int
    path: str
    campaign_id: str | None
    content_type: str
    content_encoding: str
    size: int
    preview: str
    replayed_at: Instant | None
    replay_outcome: Annotated[ReplayOutcome, open_words(ReplayOutcome)] | None
    replay_reason: Annotated[Reason, open_words(Reason)] | None
    raw: str | None = None
    raw_base64: str | None = None


async def _filter(
    reason: Annotated[
        list[Reason] | None, Query(description="Only those for this reason, or for one of these.")
    ] = None,
    received_since: Annotated[
        Moment | None,
        Query(
            alias="receivedSince", description="Only those first received at this time or later."
        ),
    ] = None,
    received_before: Annotated[
        Moment | None,
        Query(alias="receivedBefore", description="Only those first received before this time."),
    ] = None,
    path: Annotated[
        CallbackPath | None, Query(description="Only those posted to this callback URL.")
    ] = None,
) -> QuarantineFilter:
    return QuarantineFilter(each_once(reason), received_since, received_before, path)


FilterDep = Annotated[QuarantineFilter, Depends(_filter)]


@router.get(
    "", summary="Quarantined bodies, the oldest first", response_model=Page[QuarantinedBodyOut]
)
async def list_quarantine(
    parts: PartsDep, _: Admin, wanted: FilterDep, paging: PagingDep
) -> Response:
    """
    What could not be stored as a callback, in the order in which it first came.

    A page scans at most 10,000 bodies: with filters that few bodies pass it may be short or empty
    although `nextCursor` is not null.
    """
    scope = f"quarantine {wanted}"
    after = paging.position(scope=scope, of=row_id)
    page = await page_of_quarantine(parts.reads, wanted, after=after, limit=paging.limit)
    return await _page(parts, page, scope)


@router.post(
    "/replay",
    summary="Replay all quarantined bodies that match",
    response_model=Page[QuarantinedBodyOut],
)
async def replay_quarantine(
    parts: PartsDep, _: Admin, wanted: FilterDep, paging: PagingDep
) -> Response:
    """
    One page of bodies is replayed, as `replay` of one body does, for some seconds at most: repeat
    the call with `cursor` until `nextCursor` is null. `items` are the bodies of this page with what
    became of them. Those of which a replay has stored everything before are left out.
    """
    scope = f"replays of the quarantine {wanted}"
    after = paging.position(scope=scope, of=row_id)
    page = await parts.replays.replay_page(wanted, after=after, limit=paging.limit)
    return await _page(parts, page, scope)


@router.get("/{id}", summary="One quarantined body", response_model=QuarantinedBodyOut)
async def get_quarantined(
    body_id: Annotated[str, Path(alias="id")],
    parts: PartsDep,
    _: Admin,
    *,
    raw: Annotated[bool, Query(description="With the exact bytes, which nothing masks.")] = False,
) -> Response:
    """Where it came from, why it is here, how it begins, and what became of replays."""
    row = _row_of(body_id)
    body = await find_quarantined(parts.database, row)
    stored = await find_octets(parts.database, row) if raw and body is not None else None
    if stored is None:
        return _answer(parts, body_id, body)
    octets = stored.octets
    return _answer(
        parts,
        body_id,
        body,
        raw=octets.decode(errors="replace"),
        rawBase64=b64encode(octets).decode(),
    )


@router.post(
    "/{id}/replay", summary="Replay one quarantined body", response_model=QuarantinedBodyOut
)
async def replay_quarantined(
    body_id: Annotated[str, Path(alias="id")], parts: PartsDep, _: Admin
) -> Response:
    """
    Read the body again, with the headers that it came with, and store what can be read by now.

    What is stored counts as received when the body first came; the feed, counts and all else
    follow as from a callback. The body stays in the quarantine until retention removes it, and says
    in `replayOutcome` and `replayReason` what became of it. Repeating it changes nothing.
    """
    return _answer(parts, body_id, await parts.replays.replay(_row_of(body_id)))


@router.delete("/{id}", summary="Drop a quarantined body", status_code=HTTPStatus.NO_CONTENT)
async def drop_quarantined_body(
    body_id: Annotated[str, Path(alias="id")], parts: PartsDep, _: Admin
) -> Response:
    """The body is gone for good. The same bytes, posted again, are quarantined anew."""
    if not await drop_quarantined(parts.database, _row_of(body_id)):
        raise _not_found(body_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _page(parts: Parts, page: BodyPage, scope: str) -> Response:
    as_json = partial(_body_json, mask=parts.mask)
    cursor = cursor_after(page.end, scope=scope)
    return await list_answer(parts, page.bodies, as_json, cursor=cursor)


def _answer(parts: Parts, body_id: str, body: QuarantinedBody | None, **raw: str) -> Response:
    if body is None:
        raise _not_found(body_id)
    return json_answer(_body_json(body, mask=parts.mask, **raw))


def _row_of(body_id: str) -> int:
    """
    *body_id* as the id of a row.

    Raises:
        NotFound: no row can have it.
    """
    if body_id.isascii() and body_id.isdigit():
        with suppress(ValueError):
            return row_id(body_id)
    raise _not_found(body_id)


def _not_found(body_id: str) -> NotFound:
    return NotFound(f"There is no quarantined body {body_id!r}.")


def _body_json(body: QuarantinedBody, *, mask: SecretMask, **raw: str) -> bytes:
    members: dict[str, Any] = {
        "id": str(body.id),
        "reason": body.reason,
        "receivedAt": body.received_at,
        "lastReceivedAt": body.last_received_at,
        "times": body.times,
        "path": body.path,
        "campaignId": None if body.campaign_id is None else str(body.campaign_id),
        "contentType": mask.shown(body.content_type),
        "contentEncoding": mask.shown(body.content_encoding),
        "size": body.size,
        "preview": preview_of(body.beginning, mask),
        "replayedAt": body.replayed_at,
        "replayOutcome": body.replay_outcome,
        "replayReason": body.replay_reason,
    }
    return _ENCODER.encode(members | raw)
