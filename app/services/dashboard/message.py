"""Everything that the page of one message shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from app.db.campaigns import find_campaign
from app.db.database import Database
from app.db.inbound_messages import InboundFilter, Reply, page_of_inbound_messages
from app.db.messages import (
    CurrentMessage,
    HistoryEvent,
    MessageFilter,
    find_message,
    history_of,
    messages_of,
    page_of_messages,
    payloads_of,
)
from app.db.tables import CampaignRow, MessageRow
from app.domain.explanations import Explanation, explained
from app.domain.history import Effect, effects_of
from app.errors import NotFound

#: The page shows so many of each.
MAX_STEPS: Final = 200
MAX_REPLIES: Final = 20
MAX_OTHERS: Final = 10
#: The newest other messages to a number are chosen among so many.
_LOOKED_AT: Final = 200


class TimelineStep(NamedTuple):
    """One event of a message, and what it did."""

    event: HistoryEvent
    effect: Effect


class OtherMessages(NamedTuple):
    """Other messages to the same number."""

    #: The newest of those that were looked at.
    newest: Sequence[CurrentMessage]
    #: Whether there are more.
    is_more: bool


@dataclass(frozen=True, slots=True)
class MessageStory:
    """A message, and what has become of it."""

    message: CurrentMessage
    explanation: Explanation
    #: In the order in which they were stored; the last `MAX_STEPS`.
    steps: Sequence[TimelineStep]
    #: How many earlier ones are left out.
    steps_before: int
    #: The event that made the status what it is; None if it was removed.
    deciding: HistoryEvent | None
    replies: Sequence[Reply]
    has_more_replies: bool
    others: OtherMessages
    #: None if no campaign was reported, or none is known.
    campaign: CampaignRow | None


async def message_story(database: Database, tracking_id: str) -> MessageStory:
    """
    The message *tracking_id*.

    Raises:
        NotFound: there is none.
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    row = await get_message_row(database, tracking_id)
    message = (await messages_of(database, [tracking_id])).get(tracking_id)
    if message is None:
        raise _unknown(tracking_id)
    events = await history_of(database, row)
    steps = [TimelineStep(*step) for step in zip(events, effects_of(events), strict=True)]
    replies = await page_of_inbound_messages(
        database,
        InboundFilter(reference_tracking_id=tracking_id),
        after=None,
        limit=MAX_REPLIES,
    )
    return MessageStory(
        message=message,
        explanation=explained(message),
        steps=steps[-MAX_STEPS:],
        steps_before=max(len(steps) - MAX_STEPS, 0),
        deciding=_deciding(steps),
        replies=replies.replies,
        has_more_replies=replies.end is not None,
        others=await _others(database, message),
        campaign=await _campaign(database, row),
    )


async def get_message_row(database: Database, tracking_id: str) -> MessageRow:
    """
    The message *tracking_id* as it is stored.

    Raises:
        NotFound: there is none.
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    row = await find_message(database, tracking_id)
    if row is None:
        raise _unknown(tracking_id)
    return row


async def payload_of(database: Database, tracking_id: str, event_id: int) -> str | None:
    """
    The payload of an event of the message *tracking_id*; None if retention has removed it.

    Raises:
        NotFound: the message has no such event.
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    row = await get_message_row(database, tracking_id)
    payloads = await payloads_of(database, row, [event_id])
    if event_id not in payloads:
        raise NotFound("Routee has sent no such report about this message.")
    return payloads[event_id]


def _unknown(tracking_id: str) -> NotFound:
    return NotFound(f"No callback has named the message {tracking_id!r} yet.")


def _deciding(steps: Sequence[TimelineStep]) -> HistoryEvent | None:
    advanced = [step.event for step in steps if step.effect is Effect.ADVANCED]
    return advanced[-1] if advanced else None


async def _others(database: Database, message: CurrentMessage) -> OtherMessages:
    if message.recipient is None:
        return OtherMessages((), is_more=False)
    page = await page_of_messages(
        database, MessageFilter(message.recipient), after=None, limit=_LOOKED_AT
    )
    own = message.message_tracking_id
    others = [row for row in page.rows if row.message_tracking_id != own]
    others.sort(key=lambda row: row.updated_at, reverse=True)
    is_more = page.end is not None or len(others) > MAX_OTHERS
    return OtherMessages(others[:MAX_OTHERS], is_more)


async def _campaign(database: Database, row: MessageRow) -> CampaignRow | None:
    known = row.campaign_tracking_id or row.campaign_id
    return None if known is None else await find_campaign(database, str(known))
