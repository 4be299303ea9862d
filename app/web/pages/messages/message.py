"""The page of one message: why its status is what it is, and what to do about it."""

import re
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
from starlette.responses import Response

from app.db.messages import CurrentMessage, HistoryEvent
from app.domain.api_key import Scope
from app.domain.event import UNKNOWN_TIME, Source
from app.domain.explained_words import EFFECTS
from app.domain.explanations import Explanation
from app.domain.status import Status, is_final, status_of
from app.services.dashboard.message import TimelineStep, message_story, payload_of
from app.services.dashboard.messages import ListedMessage
from app.web.fields import MAX_ROW_ID, row_id_in
from app.web.pages.messages.lines import lines_of
from app.web.pages.replies import reply_lines
from app.web.visit import Visit

#: Of a payload, people without scope `admin` see so much.
_PAYLOAD_CHARACTERS: Final = 65_536
_LAID_OUT_CHARACTERS: Final = 4 * _PAYLOAD_CHARACTERS
#: For so long something may still change: a failure may become DELIVERED, and that SEEN.
_MAY_CHANGE: Final = {True: timedelta(days=1), False: timedelta(days=14)}
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


class Report(NamedTuple):
    """When something was reported about a message, by both clocks."""

    #: By Routee's clock; None if it gave no time.
    occurred_at: datetime | None
    #: By ours.
    received_at: datetime
    #: How long after the former the latter was, the clocks' difference included.
    delay: timedelta | None
    #: Whether Routee was asked for it, instead of posting it.
    is_fetched: bool

    @property
    def is_ahead(self) -> bool:
        """Whether it was stored before it happened by Routee's clock."""
        return self.delay is not None and self.delay < timedelta(0)


class StepLine(NamedTuple):
    """One event in the timeline, as the person who asks may see it."""

    id: int
    status: Status
    #: Routee's own word, if it is another one than ours.
    word: str
    reason: str
    description: str
    report: Report
    effect: Explanation
    has_changed: bool


async def show_message(visit: Visit) -> Response:
    """The message of the id in the path, and the payload of the event that the query names."""
    tracking_id = visit.id()
    story = await message_story(visit.parts.reads, tracking_id)
    event_id = visit.query.get("payload", "")
    return visit.page(
        "message.html",
        title=f"Message {tracking_id}",
        is_live=_may_change(visit, story.message),
        story=story,
        message=story.message,
        explanation=Explanation(*map(visit.text, story.explanation)),
        report=None if story.deciding is None else _report(story.deciding),
        steps=[_line(visit, step) for step in story.steps],
        replies=await reply_lines(visit, story.replies),
        others=await lines_of(
            visit, [ListedMessage(row, row.updated_at) for row in story.others.newest]
        ),
        event_id=event_id,
        payload=await _payload(visit, tracking_id, event_id) if event_id else None,
        final=is_final(story.message.status_rank),
    )


def _may_change(visit: Visit, message: CurrentMessage) -> bool:
    if message.status == Status.SEEN:
        return False
    quiet_for = visit.parts.clock() - message.updated_at
    return quiet_for < _MAY_CHANGE[is_final(message.status_rank)]


def _line(visit: Visit, step: TimelineStep) -> StepLine:
    event, status = step.event, status_of(step.event.status_key)
    return StepLine(
        event.id,
        status,
        "" if event.provider_status.upper() == status else visit.text(event.provider_status),
        visit.text(event.detailed_status),
        visit.text(event.description),
        _report(event),
        EFFECTS[step.effect],
        step.effect.changed,
    )


def _report(event: HistoryEvent) -> Report:
    is_known = event.occurred_at != UNKNOWN_TIME
    return Report(
        event.occurred_at if is_known else None,
        event.received_at,
        event.received_at - event.occurred_at if is_known else None,
        event.source == Source.TRACKING.value,
    )


async def _payload(visit: Visit, tracking_id: str, event_id: str) -> str:
    """
    What Routee sent, exact for scope `admin`, else without secrets and perhaps numbers.

    Raises:
        NotFound: there is no such event.
    """
    number = row_id_in(event_id)
    payload = await payload_of(
        visit.parts.reads, tracking_id, MAX_ROW_ID if number is None else number
    )
    if payload is None:
        return ""
    return payload if visit.may(Scope.ADMIN) else visit.text(_readable(payload))


def _readable(payload: str) -> str:
    """
    The beginning of *payload*, in which nothing is hidden by an escape or between NULs.

    JSON is laid out in lines.
    """
    text = payload[:_PAYLOAD_CHARACTERS].replace("\0", "")
    with suppress(msgspec.DecodeError, RecursionError):
        laid_out = msgspec.json.format(text, indent=2)
        # What is nested deeply would be blanks for the most part.
        text = laid_out if len(laid_out) <= _LAID_OUT_CHARACTERS else text
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character.isprintable() and character not in '"\\' else escape[0]
