"""Exports of whole tables."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Query, Response

from app.api.export_answer import COMPLETE_UNTIL, MEDIA_TYPES, ExportAnswer
from app.api.parts import Admin, GivenId, Moment, PartsDep
from app.db.exports import ExportFilter, ExportTable
from app.services.exports.exports import ExportRequest, Format, encoder_of
from app.services.exports.text import Cells

log = structlog.get_logger()

router = APIRouter(prefix="/v1/exports", tags=["exports"])

_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The whole export, or a connection that ends before its last chunk.",
        "headers": {
            COMPLETE_UNTIL: {
                "description": "Before this instant the export is complete: with it as `since` "
                "the next export misses nothing. Rows of the last minute, or rows that the replica "
                "does not have yet, may be missing, so it may be earlier than `until`; the next "
                "export repeats the rows after it. Absent if a replica does not know it.",
                "schema": {"type": "string", "format": "date-time"},
            }
        },
        "content": {
            media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()
        },
    }
}


@dataclass(frozen=True, slots=True)
class _Parameters:
    """The parameters of all exports."""

    parts: PartsDep
    caller: Admin
    format_: Annotated[
        Format,
        Query(alias="format", description="`parquet` needs pyarrow at the server; else 422."),
    ] = Format.CSV
    cells: Annotated[
        Cells,
        Query(
            description="For CSV. `spreadsheet`: an apostrophe precedes what might be "
            "evaluated as a formula, at the start of a text or after `;` or a line end in it, "
            "except telephone numbers. `exact`: texts as they are, for programs."
        ),
    ] = Cells.SPREADSHEET
    campaign_tracking_id: Annotated[GivenId | None, Query(alias="campaignTrackingId")] = None
    since: Annotated[
        Moment | None, Query(description="Only rows of this time, named above, or later.")
    ] = None
    until: Annotated[
        Moment | None, Query(description="Only rows of a time, named above, before this.")
    ] = None

    async def answer(self, table: ExportTable) -> Response:
        """The export of *table*."""
        # In a thread: the first Parquet imports pyarrow, which takes long.
        encoder = await asyncio.to_thread(encoder_of, table, self.format_, self.cells)
        rows = ExportFilter(self.campaign_tracking_id, self.since, self.until)
        # An export may contain many telephone numbers, so the key is logged.
        log.info("export", table=table.value, api_key=str(self.caller.id))
        wanted = ExportRequest(table, rows)
        return ExportAnswer(self.parts.exports, wanted, self.format_, encoder)


Parameters = Annotated[_Parameters, Depends()]


@router.get("/messages", summary="All messages", response_class=Response, responses=_ANSWER)
async def export_messages(parameters: Parameters) -> Response:
    """
    The state of each message, with the members of `GET /v1/messages`.

    `since` and `until` filter by `updatedAt`. The export is one snapshot, in no particular order;
    for consecutive exports see the header `Export-Complete-Until` of the answer. In CSV an empty
    cell is null, and `""` an empty text; NDJSON is one object per line.
    """
    return await parameters.answer(ExportTable.MESSAGES)


@router.get("/events", summary="All status events", response_class=Response, responses=_ANSWER)
async def export_events(parameters: Parameters) -> Response:
    """
    Every status event of every message.

    `since` and `until` filter by `receivedAt`. With `campaignTrackingId`, the events of that
    campaign's messages. `occurredAt` is null if Routee reported no time.
    """
    return await parameters.answer(ExportTable.EVENTS)


@router.get("/inbound-messages", summary="All replies", response_class=Response, responses=_ANSWER)
async def export_inbound_messages(parameters: Parameters) -> Response:
    """
    Recipients' replies, with the members of `GET /v1/inbound-messages`.

    `since` and `until` filter by `receivedAt`.
    """
    return await parameters.answer(ExportTable.INBOUND_MESSAGES)


@router.get("/campaigns", summary="All campaigns", response_class=Response, responses=_ANSWER)
async def export_campaigns(parameters: Parameters) -> Response:
    """
    Every campaign and its counts, with the members of `GET /v1/campaigns`, and `recordedAt`.

    `since` and `until` filter by `recordedAt`, when the campaign was first known here. In CSV and
    Parquet a cell with an object or an array is JSON.
    """
    return await parameters.answer(ExportTable.CAMPAIGNS)
