"""A made-up history of several campaigns: every status, repeated, late, without times, unnamed."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg

from app.db.database import Database
from app.db.ingest import append_events
from app.db.launching.binding import bind
from app.domain.event import UNKNOWN_TIME, DeliveryEvent, Source

START = datetime(2026, 3, 30, 12, tzinfo=UTC)
WAYS = (
    ("QUEUED",),
    ("QUEUED", "SENT"),
    ("QUEUED", "SENT", "DELIVERED"),
    ("QUEUED", "DELIVERED", "SEEN"),
    ("SENT", "DELIVERED", "SEEN"),
    ("QUEUED", "UNDELIVERED"),
    ("QUEUED", "EXPIRED"),
    ("QUEUED", "EXPIRED", "DELIVERED"),
    ("FAILED",),
    ("UNSENT",),
    ("CLICKED",),
    ("QUEUED", "CLICKED"),
)
REASONS = (
    ("Opted Out", "The recipient does not want messages of this sender."),
    ("opted out", None),
    ("Not Viber User", "No Viber."),
    (None, None),
)
_FAILURES = ("UNDELIVERED", "EXPIRED", "FAILED", "UNSENT")


async def make_campaigns(connection: asyncpg.Connection) -> list[UUID]:
    """One that is known by its trackingId, two that have not learnt theirs, one observed."""
    rows = await connection.fetch("""
        INSERT INTO campaigns (tracking_id, name, submission, cost, answer, request) VALUES
            ('known', 'spring', 'launched', 12.345, '{"senderInfoName":"Shop"}',
             '{"scheduledDate":"2026-04-01T10:00:00Z"}'),
            (NULL, 'late', 'unconfirmed', NULL, NULL, 'no JSON'),
            (NULL, 'never', 'unconfirmed', NULL, '{"senderInfoName":7}', '{"scheduledDate":"x"}'),
            ('seen elsewhere', NULL, 'observed', NULL, NULL, NULL)
        RETURNING id
    """)
    return [row[0] for row in rows]


def story(ours: list[UUID], seed: int, messages: int = 120) -> list[DeliveryEvent]:
    """Events in the order in which they come, some of them a second time with other values."""
    rng = random.Random(seed)  # noqa: S311
    events = [event for number in range(messages) for event in _of_message(rng, ours, number)]
    again = [_reported_otherwise(rng, event) for event in events if rng.random() < 0.4]
    events += again
    rng.shuffle(events)
    return events


def _of_message(rng: random.Random, ours: list[UUID], number: int) -> Iterator[DeliveryEvent]:
    token = rng.choice([ours[1], ours[2], None, None, None])
    named = rng.choice(["known", "seen elsewhere", "no row", None]) if token is None else None
    at = START + timedelta(hours=rng.randint(0, 100))
    for status in rng.choice(WAYS):
        at += timedelta(seconds=rng.choice([0, 0.0004, 0.7, 3, 61, 5000, 90000, -7]))
        failed = status in _FAILURES
        reason = rng.choice(REASONS) if failed else (None, None)
        yield DeliveryEvent(
            message_tracking_id=f"m{number}",
            status_key=status,
            occurred_at=UNKNOWN_TIME if rng.random() < 0.1 else at,
            digest=b"",
            provider_status=status.title(),
            detailed_status=reason[0],
            description=reason[1],
            campaign_tracking_id=named if rng.random() < 0.8 else None,
            campaign_id=token,
            recipient=f"+3069{number % 50:08}",
            sender=rng.choice(["Shop", "Shop", None]),
            country=rng.choice(["GR", "DE", None]),
            label=rng.choice(["spring", None]),
            price=rng.choice([Decimal("0.0351"), None]),
            created_at=START if rng.random() < 0.5 else None,
            source=rng.choice(list(Source)),
            payload=b"{}",
            payload_dictionary=0,
            payload_reserialised=False,
        )


def _reported_otherwise(rng: random.Random, event: DeliveryEvent) -> DeliveryEvent:
    if event.campaign_id is None and rng.random() < 0.3:
        event = event._replace(campaign_tracking_id="known")
    if event.detailed_status is not None:
        event = event._replace(description=rng.choice(["Zz", None]))
    return event._replace(
        country=rng.choice(["GR", "DE", event.country]),
        sender=rng.choice(["Shop", event.sender]),
        created_at=rng.choice([START - timedelta(hours=1), event.created_at]),
        price=rng.choice([Decimal("0.0402"), event.price]),
    )


async def store_in_batches(
    connection: asyncpg.Connection, events: list[DeliveryEvent], rng: random.Random
) -> None:
    """Store *events* as the callback path does."""
    while events:
        size = rng.randint(1, 9)
        batch, events = events[:size], events[size:]
        await append_events(connection, batch)


async def teach(database: Database, campaign_id: UUID, tracking_id: str) -> None:
    """The campaign learns its trackingId, and what came before is bound to it."""
    async with database.driver() as connection:
        assert await bind(connection, campaign_id, tracking_id)
