"""The only file that knows how the answer to a launch is spelt."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from app.errors import RouteeUnavailable
from app.routee import reading, wire
from app.routee.exchange import Answer
from app.routee.reading import Payload, UnusableId

_MAX_COUNT: Final = 2**31 - 1
_MAX_COUNT_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class LaunchAnswer:
    """
    A campaign as Routee accepted it. What is missing or odd is None.

    The body and the payload quote the callback URLs with their tokens, and telephone numbers.
    """

    tracking_id: str | None
    #: Routee's word, an open set: Queued, Scheduled, …
    state: str | None
    created_at: datetime | None
    scheduled_at: datetime | None
    campaign_name: str | None
    sender_name: str | None
    total_messages: int | None
    number_of_recipients: int | None
    #: In the currency of the account.
    cost: Decimal | None
    http_status: int
    #: The exact bytes.
    body: bytes = field(repr=False)
    #: All of it, parsed, numbers with a fraction as `Decimal`; empty if the body is.
    payload: Payload = field(repr=False)


def read_launch_answer(answer: Answer) -> LaunchAnswer:
    """
    What a 2xx says. An empty body is an acceptance too.

    Raises:
        RouteeUnavailable: the body is no JSON object. That is no word of Routee's, but of something
            in between, so it proves neither that the campaign was accepted nor that it was not.
    """
    payload = _payload(answer)
    analysis = payload.get("viberAnalysis")
    return LaunchAnswer(
        tracking_id=_tracking_id(payload),
        state=reading.text(payload, "state"),
        created_at=reading.time(payload, "createdAt"),
        scheduled_at=reading.time(payload, "scheduledDate"),
        campaign_name=reading.text(payload, "campaignName"),
        sender_name=reading.text(payload, "senderInfoName"),
        total_messages=_count(payload.get("totalMessages")),
        number_of_recipients=(
            _count(analysis.get("numberOfRecipients")) if isinstance(analysis, dict) else None
        ),
        cost=reading.money(payload, "cost"),
        http_status=answer.status,
        body=answer.body,
        payload=payload,
    )


def _payload(answer: Answer) -> dict[str, Any]:
    if not answer.body.strip():
        return {}
    try:
        value = wire.parse(answer.body)
    except wire.Unreadable:
        value = None
    if isinstance(value, dict):
        return value
    raise RouteeUnavailable(
        f"The answer {answer.status} to the launch cannot be read, so it is unknown whether the "
        "campaign was accepted.",
        http_status=answer.status,
        may_have_been_accepted=True,
        temporary=False,
    )


def _tracking_id(payload: Payload) -> str | None:
    try:
        return reading.identifier(payload, "trackingId")
    except UnusableId:
        return None


def _count(value: object) -> int | None:
    """A whole number that is not negative, also as text."""
    digits = (reading.as_text(value) or "").strip()
    if not digits.isascii() or not digits.isdecimal() or len(digits) > _MAX_COUNT_DIGITS:
        return None
    count = int(digits)
    return count if count <= _MAX_COUNT else None
