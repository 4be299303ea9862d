"""The page of one campaign as CSV: the same numbers and lines, and nothing else."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from starlette.responses import Response

from app.db.dashboard.figures import Bucket
from app.services.dashboard.campaign import CampaignStory
from app.services.dashboard.durations import quantile_of
from app.services.exports.columns import CellKind, Column, Columns
from app.services.exports.text import Cells, CsvEncoder
from app.web.pages.campaigns.one import story_of
from app.web.rendering import iso
from app.web.visit import Visit

#: A part of the page, what a line of it is of, in more detail, and its number, time or text.
_Line = tuple[str, str, str, str]
_COLUMNS: Final = Columns(
    tuple(Column(name, CellKind.TEXT) for name in ("part", "item", "detail", "value")),
    lambda row: row,
    day="",
)


async def download(visit: Visit) -> Response:
    """A file for spreadsheets."""
    story = await story_of(visit)
    encoder = CsvEncoder(_COLUMNS, Cells.SPREADSHEET)
    body = encoder.begin() + encoder.encode(list(_lines(visit, story)))
    name = f"campaign-{story.row.id}.csv"
    return Response(
        body,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _lines(visit: Visit, story: CampaignStory) -> Iterator[_Line]:
    yield from _facts(visit, story)
    yield from (("messages", status, "", str(n)) for status, n in sorted(story.counts.items()))
    funnel = {
        "sent": story.total,
        "delivered": story.arrived,
        "seen": story.seen,
        "replied": story.replies.number,
    }
    yield from (("funnel", step, "", str(number)) for step, number in funnel.items())
    for reason in story.figures.reasons:
        why = (reason.detailed_status, reason.description)
        words = " · ".join(visit.text(text) for text in why if text)
        yield "failures", reason.status, words, str(reason.messages)
    for hour, status, events in story.figures.hours:
        yield "events by hour", "" if hour is None else iso(hour), status, str(events)
    yield from _quantiles("seconds to deliver", story.figures.to_deliver)
    yield from _quantiles("seconds to be seen", story.figures.to_see)
    for one in story.awaited.recipients:
        yield "awaited", visit.number(one.number), "", ""
    for reply in story.replies.newest:
        row = reply.row
        text = visit.text(row.message or row.filename or row.media)
        yield "replies", iso(row.received_at), visit.number(row.sender), text
    for step in story.history:
        yield "history", "" if step.at is None else iso(step.at), "", visit.text(step.text)


def _facts(visit: Visit, story: CampaignStory) -> Iterator[_Line]:
    row = story.row
    facts = {
        "id": str(row.id),
        "trackingId": row.tracking_id,
        "name": visit.text(row.name),
        "label": visit.text(row.label),
        "submission": row.submission,
        "created at": iso(row.created_at),
        "scheduled at": None if row.scheduled_at is None else iso(row.scheduled_at),
        "finished at": None if row.finished_at is None else iso(row.finished_at),
        "expected messages": None if row.expected_messages is None else str(row.expected_messages),
        "without a final status": str(story.unfinished),
        "cost": _exact(row.cost),
        "price": _exact(story.figures.price),
        "currency": visit.parts.currency,
    }
    yield from (("campaign", name, "", value) for name, value in facts.items() if value)


def _quantiles(part: str, buckets: Iterable[Bucket]) -> Iterator[_Line]:
    known = list(buckets)
    for percent in (50, 95):
        seconds = quantile_of(known, percent)
        if seconds is not None:
            yield part, f"{percent} % within", "", f"{seconds:.3f}"


def _exact(amount: Decimal | None) -> str:
    """*amount* with all its digits; empty if it is not known."""
    return "" if amount is None else format(amount, "f")
