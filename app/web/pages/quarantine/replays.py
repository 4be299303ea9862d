"""Replaying the quarantine: what is asked before, and what became of it."""

from collections import Counter
from typing import Final

import structlog
from starlette.responses import Response

from app.db.quarantine import page_of_quarantine
from app.errors import NotFound
from app.web.fields import row_id_in
from app.web.pages.quarantine.body import body_of
from app.web.pages.quarantine.filters import fields_of, wanted_of
from app.web.pages.quarantine.lines import explained_outcome, explained_reason, line_of
from app.web.visit import Visit

log = structlog.get_logger()

#: So many are looked for before; beyond, the page says "or more".
_COUNTED_ITEMS: Final = 100
#: In one answer; the page goes on from there.
_REPLAYED_ITEMS: Final = 500
#: Of those that could not be stored.
_LISTED_ITEMS: Final = 50


async def ask_before_replaying(visit: Visit) -> Response:
    """What a replay of one body would store, and the button."""
    body = await body_of(visit)
    verdict = await visit.parts.replays.verdict_on(body.id)
    if verdict is None:
        raise NotFound("The body has been removed meanwhile.")
    return visit.page(
        "quarantine_replay_one.html",
        title=f"Replay the quarantined body {body.id}?",
        line=line_of(visit, body),
        outcome=verdict.outcome,
        reason=None if verdict.reason is None else explained_reason(verdict.reason),
    )


async def replay(visit: Visit) -> Response:
    """Replay one body; its page says what became of it."""
    await visit.form()
    body = await body_of(visit)
    replayed = await visit.parts.replays.replay(body.id)
    if replayed is None:
        raise NotFound("The body has been removed meanwhile.")
    log.info("replayed a quarantined body", by=_name(visit), outcome=replayed.replay_outcome)
    return visit.to(visit.url("/ui/quarantine", body.id))


async def ask_before_replaying_all(visit: Visit) -> Response:
    """How many bodies match and are not stored yet, and the button."""
    wanted = wanted_of(visit.query)
    page = await page_of_quarantine(
        visit.parts.reads, wanted._replace(is_unstored=True), after=None, limit=_COUNTED_ITEMS
    )
    return visit.page(
        "quarantine_replay_all.html",
        title="Replay all of these quarantined bodies?",
        lines=[line_of(visit, body) for body in page.bodies[:_LISTED_ITEMS]],
        number=len(page.bodies),
        is_more=page.end is not None,
        filters=fields_of(visit.query),
    )


async def replay_all(visit: Visit) -> Response:
    """Replay as many as some seconds allow, say what became of them, and offer to go on."""
    form = await visit.form()
    wanted = wanted_of(form)
    page = await visit.parts.replays.replay_page(
        wanted, after=row_id_in(form.get("after", "")), limit=_REPLAYED_ITEMS
    )
    outcomes = Counter(body.replay_outcome or "" for body in page.bodies)
    log.info("replayed quarantined bodies", by=_name(visit), number=len(page.bodies))
    lines = [line_of(visit, body) for body in page.bodies if body.replay_outcome != "stored"]
    return visit.page(
        "quarantine_replayed.html",
        title="Replayed" if page.end is None else "Replayed the first of them",
        number=len(page.bodies),
        outcomes=[(explained_outcome(outcome), count) for outcome, count in outcomes.items()],
        lines=lines[:_LISTED_ITEMS],
        unlisted=max(len(lines) - _LISTED_ITEMS, 0),
        end=page.end,
        filters=fields_of(form),
    )


def _name(visit: Visit) -> str:
    return "" if visit.person is None else visit.person.name
