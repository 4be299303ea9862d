"""What statuses and reasons mean, and what to do about them."""

from typing import Final

from starlette.responses import Response

from app.domain.explained_words import EFFECTS, SUBMISSIONS
from app.domain.explanations import OVERDUE, REASONS, STATUSES
from app.web.routes import PageRoute
from app.web.visit import Visit


async def show_statuses(visit: Visit) -> Response:
    """All of them; each has an anchor, where labels lead."""
    return visit.page(
        "statuses.html",
        title="What statuses mean",
        statuses=STATUSES,
        reasons=REASONS,
        overdue=OVERDUE,
        effects=EFFECTS,
        submissions=SUBMISSIONS,
    )


ROUTES: Final = (PageRoute("/ui/statuses", show_statuses),)
