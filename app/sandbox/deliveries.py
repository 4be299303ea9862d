"""The only file that knows what can happen to a message, how often, and how long it takes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from app.sandbox.ledger import Occurrence, Reason, Reply, SimulatedMessage
from app.sandbox.requests import CampaignRequest, Recipient

_DELIVERED = Reason("Delivered", "The message was delivered to its recipient.")
_TIMED_OUT = Reason("Timed Out", "Viber did not answer for the message in time.")
_EXPIRED = Reason("TTL Expired", "The message could not be delivered within its time to live.")

_UNDELIVERED = (
    Reason("Not Viber User", "The recipient does not use Viber."),
    Reason("Opted Out", "The recipient does not want messages of this sender."),
    Reason("System Failure", "The message was lost in a failure of the system."),
    Reason("Message Rejected", "Viber rejected the message."),
    _TIMED_OUT,
    Reason("Unsupported Equipment", "The recipient's device cannot show the message."),
)

#: A message expires after its ttl, yet no later than this: unset it means 14 days, and a story that
#: is told in seconds should not end next month.
_LONGEST_TTL_SECONDS = 60.0

#: The messages of a campaign are queued one after the other, this far apart at most.
_QUEUE_GAP_SECONDS = 0.02

#: How long a recipient takes to reply, after seeing the message or since the last reply.
_REPLY_SECONDS = (2.0, 15.0)

#: Message, media and filename of what recipients answer. The address without its colon is how the
#: provider documents it.
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
    """A status, and how many seconds after the one before it comes: from, to."""

    status: str
    seconds: tuple[float, float]
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class _Plot:
    """What happens to a message; *weight* is its share among all plots."""

    weight: float
    steps: tuple[_Step, ...]
    replies: int = 0


_QUEUE = _Step("QUEUED", (0.0, 0.0))
_DELIVER = _Step("DELIVERED", (0.3, 4.0), _DELIVERED)
_SEE = _Step("SEEN", (0.8, 25.0))
_EXPIRE = _Step("EXPIRED", (_LONGEST_TTL_SECONDS, _LONGEST_TTL_SECONDS), _EXPIRED)

_PLOTS = (
    _Plot(54, (_QUEUE, _DELIVER, _SEE)),
    _Plot(8, (_QUEUE, _DELIVER, _SEE), replies=1),
    _Plot(2, (_QUEUE, _DELIVER, _SEE), replies=2),
    _Plot(15, (_QUEUE, _DELIVER)),
    # QUEUED also means "being resent": what failed once may still arrive.
    _Plot(
        3,
        (
            _QUEUE,
            _Step("UNDELIVERED", (1.0, 3.0), _TIMED_OUT),
            _Step("QUEUED", (1.0, 5.0)),
            _DELIVER,
        ),
    ),
    *(_Plot(2, (_QUEUE, _Step("UNDELIVERED", (0.2, 3.0), reason))) for reason in _UNDELIVERED),
    _Plot(2, (_QUEUE, _EXPIRE)),
    _Plot(2, (_QUEUE, _Step("FAILED", (0.2, 2.0)))),
    _Plot(2, (_QUEUE, _Step("UNSENT", (0.1, 0.5)))),
)


def messages_of(
    request: CampaignRequest, *, started_at: datetime, rng: Random
) -> list[SimulatedMessage]:
    """
    One message per recipient, with its whole story.

    With as many recipients as there are plots (fewer than twenty) or more, every plot happens to
    somebody. The times begin at *started_at* and run ahead of the clock, since a story of a minute
    is told as fast as the callbacks can be posted.
    """
    recipients = request.recipients
    queued_at = started_at
    messages = []
    for recipient, plot in zip(recipients, _plots_for(len(recipients), rng), strict=True):
        messages.append(_message(recipient, plot, queued_at, request.ttl_seconds, rng))
        queued_at = _later(queued_at, (0.0, _QUEUE_GAP_SECONDS), rng)
    return messages


def _plots_for(count: int, rng: Random) -> Sequence[_Plot]:
    """So many plots in random order, each at least once if there is room for all."""
    surely = _PLOTS if count >= len(_PLOTS) else ()
    weights = [plot.weight for plot in _PLOTS]
    plots = [*surely, *rng.choices(_PLOTS, weights, k=count - len(surely))]
    rng.shuffle(plots)
    return plots


def _message(
    recipient: Recipient, plot: _Plot, queued_at: datetime, ttl_seconds: int | None, rng: Random
) -> SimulatedMessage:
    occurrences = []
    at = queued_at
    for step in plot.steps:
        if step is not _QUEUE:
            at = _later(at, _span(step, ttl_seconds), rng)
        occurrences.append(Occurrence(step.status, step.reason, at))
    return SimulatedMessage(
        tracking_id=str(uuid.uuid4()),
        recipient=recipient,
        occurrences=tuple(occurrences),
        replies=_replies(plot.replies, at, rng),
    )


def _replies(count: int, seen_at: datetime, rng: Random) -> tuple[Reply, ...]:
    replies = []
    at = seen_at
    for text, media, filename in rng.sample(_REPLIES, count):
        at = _later(at, _REPLY_SECONDS, rng)
        replies.append(Reply(text, media, filename, at))
    return tuple(replies)


def _span(step: _Step, ttl_seconds: int | None) -> tuple[float, float]:
    if step is not _EXPIRE or ttl_seconds is None:
        return step.seconds
    seconds = min(float(ttl_seconds), _LONGEST_TTL_SECONDS)
    return seconds, seconds


def _later(at: datetime, seconds: tuple[float, float], rng: Random) -> datetime:
    """An instant after *at*, whole milliseconds away: the wire has no finer ones."""
    return at + timedelta(milliseconds=max(1, round(rng.uniform(*seconds) * 1000)))
