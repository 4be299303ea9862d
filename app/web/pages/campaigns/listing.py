"""The list of campaigns."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from uuid import UUID

from starlette.responses import Response

from app.db.dashboard.campaigns import CampaignSearch
from app.domain.campaign import Submission
from app.domain.explained_words import SUBMISSIONS
from app.errors import InvalidCursor
from app.kit.cursor import encode_cursor
from app.services.dashboard.campaigns import page_of_counted_campaigns
from app.web.charts import legend
from app.web.fields import NO_SUCH_PAGE, instant_in, position_in, text_in, word_in
from app.web.pages.campaigns.lines import lines_of
from app.web.visit import Visit

_ITEMS: Final = 50
#: As they stand in the URL.
_FIELDS: Final = ("name", "label", "text", "submission", "since", "before")


async def show_campaigns(visit: Visit) -> Response:
    """The campaigns that match, the newest first."""
    wanted = _wanted(visit.query)
    scope = f"page of campaigns {wanted}"
    before = _position(visit.query.get("cursor", ""), scope)
    page = await page_of_counted_campaigns(visit.parts.reads, wanted, before=before, limit=_ITEMS)
    lines = lines_of(visit, page.items)
    return visit.page(
        "campaigns.html",
        title="Campaigns",
        is_live=any(line.campaign.finished_at is None for line in lines),
        lines=lines,
        legend=legend(),
        cursor=None if page.end is None else encode_cursor([str(page.end)], scope=scope),
        # With filters a page looks at a bounded number of campaigns.
        is_short=page.end is not None and len(lines) < _ITEMS,
        looked_at=page.looked_at,
        is_filtered=any(wanted),
        filters={name: visit.query.get(name, "") for name in _FIELDS},
        submissions=SUBMISSIONS,
    )


def _wanted(given: Mapping[str, str]) -> CampaignSearch:
    fields = {name: given.get(name, "") for name in _FIELDS}
    submission = word_in(Submission, fields["submission"], "state of a launch")
    return CampaignSearch(
        name=text_in(fields["name"], "name"),
        label=text_in(fields["label"], "label"),
        text=text_in(fields["text"], "text"),
        submissions=() if submission is None else (submission,),
        created_since=instant_in(fields["since"]),
        created_before=instant_in(fields["before"]),
    )


def _position(cursor: str, scope: str) -> UUID | None:
    match position_in(cursor, scope=scope):
        case None:
            return None
        case [str(position)]:
            with suppress(ValueError):
                return UUID(position)
    raise InvalidCursor(NO_SUCH_PAGE)
