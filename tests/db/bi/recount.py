"""What the views must say, counted in Python from the stored events alone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from app.domain.event import UNKNOWN_TIME, DeliveryEvent, Source
from app.domain.message import Message, project
from app.domain.status import FAILURES, Status, status_of

Counts = Counter[tuple[Any, ...]]
_ARRIVED = (Status.DELIVERED, Status.SEEN)


class Known(NamedTuple):
    """The ids of the campaigns there are, by their trackingIds, and the other way round."""

    ids: Mapping[str, str]
    tracking_ids: Mapping[str, str]

    def of(self, tracking_id: str | None, own: UUID | None) -> tuple[str | None, str | None]:
        """The id and the trackingId of the campaign that either of them names."""
        if tracking_id is not None:
            return self.ids.get(tracking_id), tracking_id
        return (None, None) if own is None else (str(own), self.tracking_ids.get(str(own)))


async def known_campaigns(connection: asyncpg.Connection) -> Known:
    rows = await connection.fetch(
        "SELECT tracking_id, id::text FROM campaigns WHERE tracking_id IS NOT NULL"
    )
    return Known({row[0]: row[1] for row in rows}, {row[1]: row[0] for row in rows})


async def stored_events(connection: asyncpg.Connection) -> list[DeliveryEvent]:
    columns = ", ".join(DeliveryEvent._fields)
    rows = await connection.fetch(f"SELECT {columns} FROM events")  # noqa: S608
    return [DeliveryEvent._make(row)._replace(source=Source(row["source"])) for row in rows]


def messages_of(events: Iterable[DeliveryEvent]) -> list[Message]:
    reported: dict[str, list[DeliveryEvent]] = {}
    for event in events:
        reported.setdefault(event.message_tracking_id, []).append(event)
    return [project(one) for one in reported.values()]


def hourly(events: Iterable[DeliveryEvent], known: Known) -> Counts:
    return Counter(
        (
            _hour(event.occurred_at),
            *known.of(event.campaign_tracking_id, event.campaign_id),
            event.country,
            event.sender,
            event.label,
            status_of(event.status_key).value,
        )
        for event in events
    )


def daily(hours: Counts) -> Counts:
    days: Counts = Counter()
    for (hour, *rest), events in hours.items():
        day = None if hour is None else hour.date()
        days[(day, *rest)] += events
    return days


def by_first_day(messages: Iterable[Message], known: Known) -> Counts:
    """Of messages by the day of their first event: all, arrived, seen and failed ones."""
    found: Counts = Counter()
    for message in messages:
        key = (
            message.first_occurred_at.date() if message.first_occurred_at else None,
            *known.of(message.campaign_tracking_id, message.campaign_id),
            message.country,
            message.sender,
            message.label,
        )
        found[*key, "messages"] += 1
        found[*key, "messages_delivered_or_seen"] += message.status in _ARRIVED
        found[*key, "messages_seen"] += message.status is Status.SEEN
        found[*key, "messages_failed"] += message.status in FAILURES
    return +found


def reasons_by_day(messages: Iterable[Message], known: Known) -> Counts:
    return Counter(
        (
            message.status_at.date() if message.status_at != UNKNOWN_TIME else None,
            *known.of(message.campaign_tracking_id, message.campaign_id),
            message.status.value,
            message.detailed_status,
            message.description,
        )
        for message in messages
        if message.status in FAILURES
    )


def reasons(messages: Iterable[Message], known: Known) -> Counts:
    return Counter(
        (
            *known.of(message.campaign_tracking_id, message.campaign_id),
            message.status.value,
            message.detailed_status,
            message.description,
        )
        for message in messages
        if message.status in FAILURES
    )


def statuses(messages: Iterable[Message], known: Known) -> dict[str | None, Counter[Status]]:
    found: dict[str | None, Counter[Status]] = {}
    for message in messages:
        campaign = known.of(message.campaign_tracking_id, message.campaign_id)[0]
        found.setdefault(campaign, Counter())[message.status] += 1
    return found


def percentile(values: list[float], share: float) -> float | None:
    """The least of *values* that is not exceeded by at least so large a share of them."""
    if not values:
        return None
    return sorted(values)[ceil(Decimal(str(share)) * len(values)) - 1]


def seconds_to_deliver(message: Message) -> float | None:
    return _between(
        message.queued_at or message.sent_at or message.created_at, message.delivered_at
    )


def seconds_to_see(message: Message) -> float | None:
    return _between(message.delivered_at, message.seen_at)


def opted_out(messages: Iterable[Message]) -> Counts:
    return Counter(
        (f"{message.recipient}", message.sender)
        for message in messages
        if message.status in FAILURES and (message.detailed_status or "").lower() == "opted out"
    )


def _between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def _hour(at: datetime) -> datetime | None:
    return None if at == UNKNOWN_TIME else at.replace(minute=0, second=0, microsecond=0)
