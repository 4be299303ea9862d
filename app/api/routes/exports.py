"""Whole tables, for those who analyse them."""

import asyncio
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Query, Response

from app.api.export_answer import COMPLETE_UNTIL, MEDIA_TYPES, ExportAnswer
from app.api.parts import Admin, Moment, Parts, PartsDep, SafeText
from app.db.exports import ExportFilter, ExportTable
from app.services.exports.exports import ExportRequest, Format, encoder_of
from app.services.exports.text import Cells

log = structlog.get_logger()

router = APIRouter(prefix="/v1/exports", tags=["exports"])

_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "All of it, or a connection that ends before its last chunk.",
        "headers": {
            COMPLETE_UNTIL: {
                "description": "Before this instant everything asked for is there: give it as "
                "`since` of the next export, and nothing is left out. What was stored within the "
                "last minute, or is not on the replica yet, may be missing, so it may lie before "
                "`until`; the rows after it come again then. Not there if a replica cannot tell.",
                "schema": {"type": "string", "format": "date-time"},
            }
        },
        "content": {
            media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()
        },
    }
}


class _Asked:
    """The parameters that all exports have."""

    def __init__(  # noqa: PLR0913 (the parameters of the call)
        self,
        parts: PartsDep,
        caller: Admin,
        *,
        format_: Annotated[
            Format,
            Query(alias="format", description="`parquet` needs pyarrow at the server; else 422."),
        ] = Format.CSV,
        cells: Annotated[
            Cells,
            Query(
                description="Of a CSV. `spreadsheet`: what a spreadsheet could take for a formula, "
                "at the start of a text or after `;` or a line end in it, gets an apostrophe "
                "before it; telephone numbers do not. `exact`: texts as they are, for programs."
            ),
        ] = Cells.SPREADSHEET,
        campaign_tracking_id: Annotated[SafeText | None, Query(alias="campaignTrackingId")] = None,
        since: Annotated[
            Moment | None,
            Query(description="Only what has this time, named above, or a later one."),
        ] = None,
        until: Annotated[
            Moment | None, Query(description="Only what has a time, named above, before this.")
        ] = None,
    ) -> None:
        self._parts: Parts = parts
        self._caller = caller
        self._format = format_
        self._cells = cells
        self._rows = ExportFilter(campaign_tracking_id, since, until)

    async def answer(self, table: ExportTable) -> Response:
        """The export of *table*."""
        # In a thread: the first Parquet imports pyarrow, which takes long.
        encoder = await asyncio.to_thread(encoder_of, table, self._format, self._cells)
        wanted = ExportRequest(table, self._rows)
        # Who took the numbers of how many people is a matter for the record.
        log.info("an export", table=table.value, api_key=str(self._caller.id))
        return ExportAnswer(self._parts.exports, wanted, self._format, encoder)


Asked = Annotated[_Asked, Depends()]


@router.get("/messages", summary="All messages", response_class=Response, responses=_ANSWER)
async def export_messages(asked: Asked) -> Response:
    """
    Where each message stands, with the members of `GET /v1/messages`.

    `since` and `until` are times of `updatedAt`. All is of one moment, in no particular order; for
    exports one after the other see the header `Export-Complete-Until` of the answer. In
    CSV nothing between two commas is null, and `""` an empty text; NDJSON is one object a line.
    """
    return await asked.answer(ExportTable.MESSAGES)


@router.get("/events", summary="All status events", response_class=Response, responses=_ANSWER)
async def export_events(asked: Asked) -> Response:
    """
    Every status that a message was told to have reached.

    `since` and `until` are times of `receivedAt`. With `campaignTrackingId`, the events of that
    campaign's messages. `occurredAt` is null when Routee did not say.
    """
    return await asked.answer(ExportTable.EVENTS)


@router.get("/inbound-messages", summary="All replies", response_class=Response, responses=_ANSWER)
async def export_inbound_messages(asked: Asked) -> Response:
    """
    What recipients wrote, with the members of `GET /v1/inbound-messages`.

    `since` and `until` are times of `receivedAt`.
    """
    return await asked.answer(ExportTable.INBOUND_MESSAGES)


@router.get("/campaigns", summary="All campaigns", response_class=Response, responses=_ANSWER)
async def export_campaigns(asked: Asked) -> Response:
    """
    Every campaign and its counts, with the members of `GET /v1/campaigns`, and `recordedAt`.

    `since` and `until` are times of `recordedAt`, when it was first known here. What is an object
    or an array is JSON in a cell of a CSV and of Parquet.
    """
    return await asked.answer(ExportTable.CAMPAIGNS)
