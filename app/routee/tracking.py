"""Tracking reads: pages of a campaign's messages, and single messages, as events."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from app.domain.event import DeliveryEvent, Source
from app.routee import reading, wire
from app.routee.lenient import Origin, translate_leniently

#: Where tracking is read; the quarantine shows it as the path of what came from there.
TRACKING_PATH: Final = "/viber/tracking"
#: How many items a page is asked to have.
PAGE_ITEMS: Final = 100
_MAX_PAGES_DIGITS: Final = 9


class Unusable(Enum):
    """Why an item of a tracking read is not stored. It can be read again at any time."""

    #: It is not the status of a message.
    UNREADABLE = auto()
    #: It is of another message or campaign than the one that was asked for.
    FOREIGN = auto()


def content_of(page: Mapping[str, Any]) -> list[Any] | None:
    """The items of a page; None if it is not a page."""
    content = page.get("content")
    return content if isinstance(content, list) else None


def is_last(page: Mapping[str, Any], number: int) -> bool:
    """Whether no page follows *page*, whose *number* counts from 0."""
    pages = reading.as_text(page.get("totalPages"), limit=_MAX_PAGES_DIGITS) or ""
    return (
        not content_of(page)
        or reading.as_text(page.get("last")) == "true"
        or (pages.isdecimal() and number + 1 >= int(pages) > 0)
    )


def read_item(
    item: object,
    *,
    message_tracking_id: str | None = None,
    campaign_tracking_id: str | None = None,
    campaign_id: UUID | None = None,
) -> DeliveryEvent | Unusable:
    """
    The event that *item*, parsed JSON, reports (routee-contract, sections 5 and 6).

    It is read as a callback is, in either spelling. *message_tracking_id* or *campaign_tracking_id*
    was asked for; an item of this campaign that names none is of it. *campaign_id* is our id of the
    campaign. Never raises.
    """
    if not isinstance(item, dict):
        return Unusable.UNREADABLE
    try:
        body = wire.serialise(item)
    except (ValueError, RecursionError):
        return Unusable.UNREADABLE
    translation = translate_leniently(body, Origin(campaign_id, to_inbound=False))
    match translation.records:
        case (DeliveryEvent() as event,) if event.status_key:
            pass
        case _:
            return Unusable.UNREADABLE
    if message_tracking_id not in {None, event.message_tracking_id}:
        return Unusable.FOREIGN
    if campaign_tracking_id is not None:
        if event.campaign_tracking_id not in {None, campaign_tracking_id}:
            return Unusable.FOREIGN
        event = event._replace(campaign_tracking_id=campaign_tracking_id)
    return event._replace(source=Source.TRACKING, payload_reserialised=True)
