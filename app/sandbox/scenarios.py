"""Scenarios: what can happen to a simulated message, how often, and how long it takes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from app.sandbox.ledger import Occurrence, SimulatedMessage, SimulatedReply, StatusReason
from app.sandbox.requests import CampaignRequest, Recipient

_DELIVERED = StatusReason("Delivered", "The message was delivered to its recipient.")
_TIMED_OUT = StatusReason("Timed Out", "Viber did not answer for the message in time.")
_EXPIRED = StatusReason(
    "TTL Expired", "The message could not be delivered within its time to live."
)

_UNDELIVERED = (
    StatusReason("Not Viber User", "The recipient does not use Viber."),
    StatusReason("Opted Out", "The recipient does not want messages of this sender."),
    StatusReason("System Failure", "The message was lost in a failure of the system."),
    StatusReason("Message Rejected", "Viber rejected the message."),
    _TIMED_OUT,
    StatusReason("Unsupported Equipment", "The recipient's device cannot show the message."),
)

#: A message expires after its ttl, but at the latest after this time: the default ttl is 14 days,
#: and the callbacks of a run that takes seconds should not have times in the next month.
_LONGEST_TTL_SECONDS = 60.0

#: The longest time between two messages of a campaign that are queued one after the other.
_QUEUE_GAP_SECONDS = 0.02

#: How long a recipient takes to reply, after seeing the message or since the last reply.
_REPLY_SECONDS = (2.0, 15.0)

#: Message, media and filename of the replies. The address without a colon is from the provider's
#: documentation.
_REPLIES: tuple[tuple[str | None, str | None, str | None], ...] = (
    ("Yes, please", None, None),
    ("Ευχαριστώ πολύ! 👍", None, None),
    ("STOP", None, None),
    ('He said "tomorrow",\nor the day after', None, None),
    ("This is the body of the inbound message", "https//fileurlxx.xx", "Viber file"),
    (None, "https://media.example.com/photo.jpg", "photo.jpg"),
)


@dataclass(frozen=True, slots=True)
class _Step:
    """A status, and the range of seconds between the previous status and it."""

    status: str
    seconds: tuple[float, float]
    reason: StatusReason | None = None


@dataclass(frozen=True, slots=True)
class _Scenario:
    """The course of one message; *weight* is its share among all scenarios."""

    weight: float
    steps: tuple[_Step, ...]
    replies: int = 0


_QUEUE = _Step("QUEUED", (0.0, 0.0))
_DELIVER = _Step("DELIVERED", (0.3, 4.0), _DELIVERED)
_SEE = _Step("SEEN", (0.8, 25.0))
_EXPIRE = _Step("EXPIRED", (_LONGEST_TTL_SECONDS, _LONGEST_TTL_SECONDS), _EXPIRED)

_SCENARIOS = (
    _Scenario(54, (_QUEUE, _DELIVER, _SEE)),
    _Scenario(8, (_QUEUE, _DELIVER, _SEE), replies=1),
    _Scenario(2, (_QUEUE, _DELIVER, _SEE), replies=2),
    _Scenario(15, (_QUEUE, _DELIVER)),
    # QUEUED also means "being resent": a message that failed once may still arrive.
    _Scenario(
        3,
        (
            _QUEUE,
            _Step("UNDELIVERED", (1.0, 3.0), _TIMED_OUT),
            _Step("QUEUED", (1.0, 5.0)),
            _DELIVER,
        ),
    ),
    *(_Scenario(2, (_QUEUE, _Step("UNDELIVERED", (0.2, 3.0), reason))) for reason in _UNDELIVERED),
    _Scenario(2, (_QUEUE, _EXPIRE)),
    _Scenario(2, (_QUEUE, _Step("FAILED", (0.2, 2.0)))),
    _Scenario(2, (_QUEUE, _Step("UNSENT", (0.1, 0.5)))),
)


def simulate_messages(
    request: CampaignRequest, *, started_at: datetime, rng: Random
) -> list[SimulatedMessage]:
    """
    One message per recipient, with everything that happens to it.

    If there are at least as many recipients as scenarios (fewer than twenty), each scenario occurs.
    The times begin at *started_at* and run ahead of the clock, because the callbacks of a minute
    are posted as fast as possible.
    """
    recipients = request.recipients
    queued_at = started_at
    messages = []
    for recipient, scenario in zip(recipients, _scenarios_for(len(recipients), rng), strict=True):
        messages.append(_message(recipient, scenario, queued_at, request.ttl_seconds, rng))
        queued_at = _later(queued_at, (0.0, _QUEUE_GAP_SECONDS), rng)
    return messages


def _scenarios_for(count: int, rng: Random) -> Sequence[_Scenario]:
    """*count* scenarios in random order, each at least once if *count* suffices."""
    certain = _SCENARIOS if count >= len(_SCENARIOS) else ()
    weights = [scenario.weight for scenario in _SCENARIOS]
    scenarios = [*certain, *rng.choices(_SCENARIOS, weights, k=count - len(certain))]
    rng.shuffle(scenarios)
    return scenarios


def _message(
    recipient: Recipient,
    scenario: _Scenario,
    queued_at: datetime,
    ttl_seconds: int | None,
    rng: Random,
) -> SimulatedMessage:
    occurrences = []
    at = queued_at
    for step in scenario.steps:
        if step is not _QUEUE:
            at = _later(at, _span(step, ttl_seconds), rng)
        occurrences.append(Occurrence(step.status, step.reason, at))
    return SimulatedMessage(
        tracking_id=str(uuid.uuid4()),
        recipient=recipient,
        occurrences=tuple(occurrences),
        replies=_replies(scenario.replies, at, rng),
    )


def _replies(count: int, seen_at: datetime, rng: Random) -> tuple[SimulatedReply, ...]:
    replies = []
    at = seen_at
    for text, media, filename in rng.sample(_REPLIES, count):
        at = _later(at, _REPLY_SECONDS, rng)
        replies.append(SimulatedReply(text, media, filename, at))
    return tuple(replies)


def _span(step: _Step, ttl_seconds: int | None) -> tuple[float, float]:
    if step is not _EXPIRE or ttl_seconds is None:
        return step.seconds
    seconds = min(float(ttl_seconds), _LONGEST_TTL_SECONDS)
    return seconds, seconds


def _later(at: datetime, seconds: tuple[float, float], rng: Random) -> datetime:
    """A random instant after *at*, in whole milliseconds as in Routee's JSON."""
    return at + timedelta(milliseconds=max(1, round(rng.uniform(*seconds) * 1000)))
