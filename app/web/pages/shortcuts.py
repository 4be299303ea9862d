"""Which keys do what."""

from typing import Final

from starlette.responses import Response

from app.web.routes import PageRoute
from app.web.visit import Visit

#: As `static/live.js` has them.
KEYS: Final = (
    ("/", "Search"),
    ("o", "Overview"),
    ("c", "Campaigns"),
    ("m", "Messages"),
    ("r", "Replies"),
    ("q", "Quarantine"),
    ("s", "Statuses"),
    ("u", "Times in UTC, and back in your zone"),
)


async def show_shortcuts(visit: Visit) -> Response:
    """The list."""
    return visit.page("shortcuts.html", title="Keyboard shortcuts", keys=KEYS)


ROUTES: Final = (PageRoute("/ui/shortcuts", show_shortcuts),)
