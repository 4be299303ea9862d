"""The list of messages."""

from typing import Final

from starlette.responses import Response

from app.domain.explanations import REASONS, STATUSES
from app.domain.status import AWAITING
from app.services.dashboard.messages import MessageList, page_of_listed_messages
from app.web.pages.messages.download import MAX_DOWNLOADED
from app.web.pages.messages.filters import cursor_at, filters_of, list_position
from app.web.pages.messages.lines import lines_of
from app.web.visit import Visit

_ITEMS: Final = 50


async def show_messages(visit: Visit) -> Response:
    """The messages that match."""
    filters = await filters_of(visit)
    position = list_position(visit, filters)
    page = MessageList((), None, None)
    if not filters.has_no_number:
        page = await page_of_listed_messages(
            visit.parts.reads, filters.wanted, position=position, limit=_ITEMS
        )
    return visit.page(
        "messages.html",
        title="Messages",
        filters=filters,
        fields=filters.fields,
        number=visit.number(filters.wanted.recipient),
        lines=await lines_of(visit, page.items),
        looked_at=page.looked_at,
        cursor=cursor_at(page.end, filters),
        is_first=position is None,
        statuses=[word for word in STATUSES if word != AWAITING],
        reasons=REASONS,
        most=MAX_DOWNLOADED,
    )
