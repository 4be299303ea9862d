"""Messages as lists show them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from app.db.dashboard.names import names_of_campaigns
from app.db.messages import CurrentMessage
from app.domain.status import Status
from app.services.dashboard.messages import ListedMessage
from app.web.visit import Visit


class MessageLine(NamedTuple):
    """A message as the person who asks may see it."""

    id: str
    status: str
    #: Routee's own word for a status that is not known.
    word: str
    is_overdue: bool
    reason: str
    number: str
    campaign_id: str | None
    campaign_name: str
    #: As it is stored.
    label: str | None
    country: str
    at: datetime


async def lines_of(visit: Visit, items: Sequence[ListedMessage]) -> list[MessageLine]:
    """
    The lines of *items*.

    Raises:
        DatabaseUnavailable: the names of their campaigns cannot be read.
    """
    names = await names_of_campaigns(
        visit.parts.reads, {item.message.campaign_tracking_id for item in items}
    )
    return [
        _line(visit, item.message, names.get(item.message.campaign_tracking_id or ""), item)
        for item in items
    ]


def _line(
    visit: Visit, message: CurrentMessage, campaign_name: str | None, item: ListedMessage
) -> MessageLine:
    return MessageLine(
        id=message.message_tracking_id,
        status=message.status,
        word=visit.text(message.provider_status) if message.status == Status.UNKNOWN else "",
        is_overdue=message.is_overdue,
        reason=visit.text(message.detailed_status),
        number=visit.number(message.recipient),
        campaign_id=message.campaign_tracking_id,
        campaign_name=visit.text(campaign_name),
        label=message.label,
        country=visit.text(message.country),
        at=item.received_at,
    )
