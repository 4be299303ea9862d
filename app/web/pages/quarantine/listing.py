"""The list of the quarantine."""

from typing import Final

from starlette.responses import Response

from app.db.quarantine import page_of_quarantine
from app.domain.explained_words import QUARANTINE_REASONS
from app.domain.quarantine import CallbackPath
from app.web.pages.quarantine.filters import cursor_beyond, fields_of, position_of, wanted_of
from app.web.pages.quarantine.lines import line_of
from app.web.visit import Visit

_ITEMS: Final = 50


async def show_quarantine(visit: Visit) -> Response:
    """The bodies that match, the newest first."""
    wanted = wanted_of(visit.query)
    after = position_of(visit.query.get("cursor", ""), wanted)
    page = await page_of_quarantine(
        visit.parts.reads, wanted, after=after, limit=_ITEMS, is_newest_first=True
    )
    return visit.page(
        "quarantine.html",
        title="Quarantine",
        lines=[line_of(visit, body) for body in page.bodies],
        cursor=cursor_beyond(page.end, wanted),
        # With filters a page looks at a bounded number of bodies.
        is_short=page.end is not None and len(page.bodies) < _ITEMS,
        is_filtered=any(wanted),
        filters=fields_of(visit.query),
        reasons=QUARANTINE_REASONS,
        paths=CallbackPath,
    )
