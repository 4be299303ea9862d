"""A database of the service with campaigns to look at: each of them does otherwise."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import asyncpg

from app.db.ingest import append_events, append_inbound
from app.domain.event import DeliveryEvent, Source
from app.domain.inbound_message import Content, InboundMessage, identity_of

START: Final = datetime(2026, 3, 2, 8, tzinfo=UTC)
_REASONS: Final = (
    ("UNDELIVERED", "Not Viber User", "The recipient has no Viber."),
    ("UNDELIVERED", "Opted Out", "The recipient does not want messages of this sender."),
    ("EXPIRED", "Expired", "The time to live ran out."),
    ("FAILED", "Invalid Number", "No such number."),
)
_ANSWERS: Final = ("Thank you!", "Is it open on Sunday?", "ΣΤΟΠ", "Ναι, ευχαριστώ", "STOP")  # noqa: RUF001


class Made(NamedTuple):
    """A campaign, and how many messages of it became what."""

    name: str
    label: str
    sender: str
    countries: tuple[str, ...]
    first_day: int
    days: int
    messages: int
    #: Of the messages, of those that arrive, of those that are seen.
    fails: float
    seen: float
    replies: float
    price: str


CAMPAIGNS: Final = (
    Made("spring-2026", "spring", "Shop", ("GR", "CY"), 0, 5, 420, 0.12, 0.7, 0.10, "0.0351"),
    Made("Πάσχα", "spring", "Κατάστημα", ("GR",), 6, 4, 300, 0.06, 0.8, 0.16, "0.0351"),
    Made("summer-2026", "summer", "Shop", ("GR", "DE", "IT"), 8, 8, 360, 0.2, 0.5, 0.05, "0.0402"),
    Made("loyalty", "loyalty", "Shop", ("GR", "CY", "BG"), 2, 20, 240, 0.09, 0.6, 0.2, "0.0290"),
    Made("O'Brien & <Söhne>", "service", "Service", ("DE",), 12, 6, 90, 0.3, 0.9, 0.3, "0.0520"),
)


async def make_scene(connection: asyncpg.Connection) -> None:
    """Fill an empty database; always with the same."""
    rng = random.Random(2026)  # noqa: S311
    await connection.execute("UPDATE bi_settings SET currency = 'EUR'")
    for number, made in enumerate(CAMPAIGNS):
        await connection.execute(
            "INSERT INTO campaigns (tracking_id, name, label, submission, expected_messages, cost,"
            " created_at) VALUES ($1, $2, $3, 'launched', $4, $5, $6)",
            f"campaign-{number}",
            made.name,
            made.label,
            made.messages + number,
            Decimal(made.price) * made.messages,
            START + timedelta(days=made.first_day, hours=-2),
        )
        events = [one for index in range(made.messages) for one in _events(rng, number, index)]
        for first in range(0, len(events), 200):
            await append_events(connection, events[first : first + 200])
        await append_inbound(connection, list(_replies(rng, number)))
    # Received when they were sent, as in life.
    await connection.execute("UPDATE inbound_messages SET received_at = sent_at")


def _events(rng: random.Random, campaign: int, index: int) -> Iterator[DeliveryEvent]:
    made = CAMPAIGNS[campaign]
    at = START + timedelta(
        days=made.first_day + rng.triangular(0, made.days, 0), minutes=rng.uniform(0, 600)
    )
    country = rng.choice(made.countries)
    number = f"+3069{campaign}{index:07}"

    def _event(status: str, reason: tuple[str | None, str | None] = (None, None)) -> DeliveryEvent:
        return DeliveryEvent(
            message_tracking_id=f"message-{campaign}-{index}",
            status_key=status,
            occurred_at=at,
            digest=b"",
            provider_status=status.title(),
            detailed_status=reason[0],
            description=reason[1],
            campaign_tracking_id=f"campaign-{campaign}",
            campaign_id=None,
            recipient=number,
            sender=made.sender,
            country=country,
            label=made.label,
            price=None if status == "QUEUED" else Decimal(made.price),
            created_at=at,
            source=Source.CALLBACK,
            payload=b"{}",
            payload_dictionary=0,
            payload_reserialised=False,
        )

    yield _event("QUEUED")
    if rng.random() < 0.02:
        return
    at += timedelta(seconds=rng.expovariate(1 / 20))
    if rng.random() < made.fails:
        status, *reason = _REASONS[min(rng.randrange(6), campaign % 2 + 2)]
        yield _event(status, (reason[0], reason[1]))
        return
    yield _event("SENT")
    at += timedelta(seconds=rng.expovariate(1 / 40))
    if rng.random() < 0.03:
        return
    yield _event("DELIVERED")
    if rng.random() < made.seen:
        at += timedelta(minutes=rng.expovariate(1 / 300))
        yield _event("SEEN")


def _replies(rng: random.Random, campaign: int) -> Iterator[InboundMessage]:
    made = CAMPAIGNS[campaign]
    for index in range(round(made.messages * made.replies)):
        message, text = f"message-{campaign}-{index}", rng.choice(_ANSWERS)
        number = f"+3069{campaign}{index:07}"
        sent_at = START + timedelta(days=made.first_day + rng.uniform(0, made.days), hours=1)
        yield InboundMessage(
            identity=identity_of(Content(number, made.sender, message, None, text, None, None)),
            sender=number,
            recipient=made.sender,
            message=text,
            media=None,
            filename=None,
            sent_at=sent_at,
            campaign_tracking_id=f"campaign-{campaign}",
            campaign_name=made.name,
            campaign_id=None,
            reference_tracking_id=message,
            label=made.label,
            payload=b"{}",
            payload_dictionary=0,
            payload_reserialised=False,
        )
