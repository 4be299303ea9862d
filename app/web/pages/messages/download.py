"""The messages of a list as CSV."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from app.db.exports import ExportTable
from app.domain.event import UNKNOWN_TIME
from app.domain.status import is_final
from app.errors import NotFound, ReceiverError
from app.services.dashboard.messages import ListedMessage, pages_of_listed_messages
from app.services.exports.columns import COLUMNS, Row
from app.services.exports.text import Cells, CsvEncoder
from app.web.pages.messages.filters import filters_of
from app.web.visit import Visit

log = structlog.get_logger()

#: Whole tables are exported by other means.
MAX_DOWNLOADED: Final = 10_000
#: Masking and encoding more at once would keep the event loop from callbacks for milliseconds.
_ITEMS_AT_ONCE: Final = 50


class _Download(StreamingResponse):
    """Ends without the last chunk if it breaks off, which browsers report as a failure."""

    async def stream_response(self, send: Send) -> None:
        """Send all pages."""
        try:
            await super().stream_response(send)
        except ReceiverError as error:
            log.warning("a download of messages broke off", error=str(error))


async def download_messages(visit: Visit) -> Response:
    """
    All messages that match, `MAX_DOWNLOADED` at most, as they are read.

    Raises:
        NotFound: those to a number are asked for that is not known.
    """
    filters = await filters_of(visit)
    if filters.has_no_number:
        raise NotFound("The number of that message is not known.")
    pages = pages_of_listed_messages(
        visit.parts.reads, filters.wanted, most=MAX_DOWNLOADED, limit=_ITEMS_AT_ONCE
    )
    first = await anext(pages)  # now, so that a failure is answered as a page
    return _Download(
        _csv(visit, first, pages),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": 'attachment; filename="messages.csv"'},
    )


async def _csv(
    visit: Visit, first: Sequence[ListedMessage], rest: AsyncIterator[Sequence[ListedMessage]]
) -> AsyncIterator[bytes]:
    encoder = CsvEncoder(COLUMNS[ExportTable.MESSAGES], Cells.SPREADSHEET)
    yield encoder.begin() + encoder.encode([_row(visit, item) for item in first])
    async for items in rest:
        yield encoder.encode([_row(visit, item) for item in items])


def _row(visit: Visit, item: ListedMessage) -> Row:
    """The cells of a message, as the person who asks may see them."""
    message = item.message
    return (
        message.message_tracking_id,
        message.campaign_tracking_id,
        visit.number(message.recipient) or None,
        *(visit.text(text) or None for text in (message.sender, message.country, message.label)),
        message.status,
        *(
            visit.text(text) or None
            for text in (message.provider_status, message.detailed_status, message.description)
        ),
        None if message.status_at == UNKNOWN_TIME else message.status_at,
        is_final(message.status_rank),
        message.is_overdue,
        message.queued_at,
        message.sent_at,
        message.delivered_at,
        message.seen_at,
        message.failed_at,
        message.price,
        message.created_at,
        message.updated_at,
    )
