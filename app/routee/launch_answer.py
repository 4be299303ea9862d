"""Routee's answer to a launch."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.errors import RouteeUnavailable
from app.routee import reading, wire
from app.routee.campaign_fields import as_count
from app.routee.exchange import RouteeAnswer
from app.routee.reading import Payload, UnusableId


@dataclass(frozen=True, slots=True)
class LaunchAnswer:
    """
    A campaign as Routee accepted it. Missing and unreadable values are None.

    The body and the payload quote the callback URLs with their tokens, and telephone numbers.
    """

    tracking_id: str | None
    #: Routee's word, such as Queued or Scheduled; the set is open.
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
    #: The exact bytes of the answer.
    body: bytes = field(repr=False)
    #: The parsed body, with fractions as `Decimal`; empty if the body is empty.
    payload: Payload = field(repr=False)


def read_launch_answer(answer: RouteeAnswer) -> LaunchAnswer:
    """
    Read a 2xx answer to a launch. An empty body is an acceptance too.

    Raises:
        RouteeUnavailable: the body is no JSON object. Then it comes from something between Routee
            and us, and does not prove whether the campaign was accepted.
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
        total_messages=as_count(payload.get("totalMessages")),
        number_of_recipients=(
            as_count(analysis.get("numberOfRecipients")) if isinstance(analysis, dict) else None
        ),
        cost=reading.as_money(payload.get("cost")),
        http_status=answer.status,
        body=answer.body,
        payload=payload,
    )


def _payload(answer: RouteeAnswer) -> dict[str, Any]:
    if not answer.body.strip():
        return {}
    payload = wire.find_object(answer.body)
    if payload is not None:
        return payload
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
