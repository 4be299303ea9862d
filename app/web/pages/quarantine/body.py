"""One body of the quarantine, with its bytes."""

import asyncio
from typing import Final

from starlette.responses import Response

from app.db.dashboard.quarantine import find_first_octets
from app.db.quarantine import QuarantinedBody, find_quarantined
from app.errors import NotFound
from app.web.fields import row_id_in
from app.web.octets import hex_view, visible
from app.web.pages.quarantine.lines import line_of
from app.web.visit import Visit

#: Of a body, so much is shown.
_SHOWN_OCTETS: Final = 65_536


async def show_body(visit: Visit) -> Response:
    """Why it is here, what to do about it, and how it begins."""
    body = await body_of(visit)
    octets = await find_first_octets(visit.parts.database, body.id, limit=_SHOWN_OCTETS) or b""
    is_hex = visit.query.get("as") == "hex"
    # In a thread: masking so much can take 100 ms, and callbacks must not wait.
    if is_hex:
        text = await asyncio.to_thread(hex_view, octets)
    else:
        text = await asyncio.to_thread(_text, visit, octets)
    return visit.page(
        "quarantined_body.html",
        title=f"Quarantined body {body.id}",
        line=line_of(visit, body),
        content_type=visible(visit.text(body.content_type)),
        content_encoding=visible(visit.text(body.content_encoding)),
        text=text,
        is_hex=is_hex,
        has_nul=b"\0" in octets,
        shown=len(octets),
    )


async def body_of(visit: Visit) -> QuarantinedBody:
    """
    The body that the path names.

    Raises:
        NotFound: there is none.
    """
    given = visit.id()
    number, body = row_id_in(given), None
    if number is not None:
        # Of the primary: a replay of a moment ago has to be seen.
        body = await find_quarantined(visit.parts.database, number)
    if body is None:
        raise NotFound(
            f"There is no quarantined body “{visible(given)}”. It may have been dropped, or "
            "removed after the time for which the quarantine is kept."
        )
    return body


def _text(visit: Visit, octets: bytes) -> str:
    """*octets* without our secrets; without NUL, which could stand between the letters of one."""
    return visible(visit.text(octets.replace(b"\0", b"").decode(errors="replace")))
