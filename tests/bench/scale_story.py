"""
Very many messages that were never sent: what Routee would have posted about them, and when.

The number of a message says all about it, so that many processes can make their shares, and a
reader can ask for any of them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.message import project
from app.routee.translate import translate

EVENTS_PER_MESSAGE: Final = 3
_REPLIES_PER_MESSAGE: Final = 0.01
#: The first month that has a partition of its own.
_FIRST_INSTANT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_YEAR: Final = timedelta(days=365)
#: How long after its creation a message reaches its statuses, and when it is answered.
_DELAYS: Final = (timedelta(seconds=2.4), timedelta(seconds=4.4), timedelta(seconds=46.4))
_REPLY_DELAY: Final = timedelta(minutes=3)

_SEEN: Final = ("SENT", "DELIVERED", "SEEN")
_UNSEEN: Final = ("QUEUED", "SENT", "DELIVERED")
_FAILED: Final = ("QUEUED", "SENT", "UNDELIVERED")
#: Of ten messages.
_FATES: Final = (_SEEN,) * 7 + (_UNSEEN,) * 2 + (_FAILED,)

#: Of eight campaigns; why those of its messages failed that did.
_REASONS: Final = (
    "Not Viber User", "Timed Out", "Opted Out", "Unsupported Equipment",
    "Not Viber User", "TTL Expired", "Not Viber User", "System Failure",
)  # fmt: skip

_STATUS_BODY: Final = (
    '{"trackingId":"%s","campaignTrackingId":"%s","to":"%s","from":"Routeetest","groups":[],'
    '"country":"GR","status":{"name":"%s","reason":{"detailedStatus":"%s","description":'
    '"The message was delivered to its recipient."},"updatedDate":"%s"},"body":{"text":'
    '"This is a test, please ignore!","imageURL":null,"viberAction":{"caption":"Go","targetUrl":'
    '"https://www.routee.net/"}},"ttl":300,"label":"%s","inboundUrl":'
    '"https://your-server.com/inbound","applicationName":"default","price":0.035,"direction":'
    '"Outbound","originatingService":"Viber","createdAt":"%s"}'
)
_REPLY_BODY: Final = (
    '{"from":"%s","to":"Routeetest","message":"Thanks, number %d","sentDate":"%s",'
    '"campaignTrackingId":"%s","referenceTrackingId":"%s","direction":"Inbound"}'
)


class Campaign(NamedTuple):
    """One of a plan's campaigns."""

    tracking_id: str
    name: str
    label: str
    messages: int
    created_at: datetime


class Plan(NamedTuple):
    """So many events, from *since* until *until*. Each *mark* makes other ids."""

    mark: str
    events: int
    campaigns: int
    since: datetime
    until: datetime
    #: How many messages the last campaign has; 0: as many as each of the others.
    largest: int = 0

    @property
    def messages(self) -> int:
        """How many messages they are about; there may be a few events fewer."""
        return max(1, self.events // EVENTS_PER_MESSAGE)

    @property
    def replies(self) -> int:
        """How many of the messages are answered."""
        return max(1, int(self.messages * _REPLIES_PER_MESSAGE))

    def created_at(self, message: int) -> datetime:
        """When message number *message* was created; the later, the greater the number."""
        span = self.until - self.since - _DELAYS[-1]
        milliseconds = span // _MILLISECOND * message // self.messages
        return self.since + timedelta(milliseconds=milliseconds)

    def message_id(self, message: int) -> str:
        """Its trackingId."""
        return self._id("message", message)

    def campaign_of(self, message: int) -> int:
        """The number of its campaign: they are sent one after the other."""
        alike, messages = self._alike
        return min(message * alike // messages, self.campaigns - 1)

    def campaign_id(self, campaign: int) -> str:
        """The trackingId of campaign number *campaign*."""
        return self._id("campaign", campaign)

    def campaign(self, number: int) -> Campaign:
        """All of campaign *number*."""
        first, beyond = self._first_of(number), self._first_of(number + 1)
        return Campaign(
            self.campaign_id(number),
            f"{self.mark} {number}",
            _label(number),
            beyond - first,
            self.created_at(first) - timedelta(seconds=1),
        )

    @property
    def _alike(self) -> tuple[int, int]:
        """How many campaigns are equally large, and how many messages they have."""
        return self.campaigns - bool(self.largest), self.messages - self.largest

    def _first_of(self, campaign: int) -> int:
        """The number of its first message."""
        alike, messages = self._alike
        return self.messages if campaign == self.campaigns else -(-campaign * messages // alike)

    def _id(self, kind: str, number: int) -> str:
        name = f"{self.mark} {kind} {number}".encode()
        text = hashlib.blake2b(name, digest_size=16).hexdigest()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def last_months(mark: str, events: int, campaigns: int, *, largest: int = 0) -> Plan:
    """As many of the last 12 months as have partitions of their own."""
    until = datetime.now(UTC).replace(microsecond=0)
    return Plan(mark, events, campaigns, max(_FIRST_INSTANT, until - _YEAR), until, largest)


def right_now(mark: str, events: int, campaigns: int) -> Plan:
    """All of it in the minutes before now."""
    until = datetime.now(UTC).replace(microsecond=0)
    return Plan(mark, events, campaigns, until - timedelta(minutes=2), until)


class Mould:
    """
    Makes rows that are like a first one but for some values.

    Args:
        row: The first one.
        values: Those of its values that are others in each row, and differ from each other.
    """

    def __init__(self, row: Sequence[object], values: Sequence[object]) -> None:
        self._row = list(row)
        self._slots = [
            (position, which)
            for position, value in enumerate(row)
            for which, varying in enumerate(values)
            if type(value) is type(varying) and value == varying
        ]

    def cast(self, values: Sequence[object]) -> list[Any]:
        """A row with *values* where those of the first one were."""
        row = self._row.copy()
        for position, which in self._slots:
            row[position] = values[which]
        return row


class Teller:
    """Tells the messages of a plan, in the order of their numbers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._campaign = -1
        self._campaign_id = ""
        #: What a campaign's events have in common, by their status.
        self._events: dict[str, Mould] = {}
        #: What its messages have in common, by their fate.
        self._messages: dict[int, Mould] = {}

    def story(self, number: int) -> list[DeliveryEvent]:
        """The events of message *number*, in their order."""
        self._enter_campaign_of(number)
        common = self._common(number)
        created = common[2]
        events = []
        for word, delay in zip(_FATES[number % 10], _DELAYS, strict=True):
            at = created + delay
            body = self._body(common, word, at)
            mould = self._events.get(word) or self._read(word, body, common, at)
            events.append(DeliveryEvent._make(mould.cast((*common, at, body))))
        return events

    def message(self, number: int, story: Sequence[DeliveryEvent]) -> list[Any]:
        """What *story*, that of message *number*, comes to: a `Message`, then its status."""
        fate = number % 10
        first = story[0]
        values = (
            first.message_tracking_id,
            first.recipient,
            first.created_at,
            *(event.occurred_at for event in story),
        )
        mould = self._messages.get(fate)
        if mould is None:
            message = project(story)
            mould = self._messages[fate] = Mould((*message, message.status), values)
        return mould.cast(values)

    def _enter_campaign_of(self, number: int) -> None:
        campaign = self._plan.campaign_of(number)
        if campaign != self._campaign:
            self._campaign, self._campaign_id = campaign, self._plan.campaign_id(campaign)
            self._events.clear()
            self._messages.clear()

    def _common(self, number: int) -> tuple[str, str, datetime, str]:
        created = self._plan.created_at(number)
        return self._plan.message_id(number), recipient_of(number), created, _spelt(created)

    def _body(self, common: tuple[str, str, datetime, str], word: str, at: datetime) -> bytes:
        message_id, recipient, _, created = common
        campaign, label = self._campaign_id, _label(self._campaign)
        failed = word == "UNDELIVERED"
        reason = failure_reason(self._campaign) if failed else word.capitalize()
        text = _STATUS_BODY % (
            *(message_id, campaign, recipient, word, reason),
            *(_spelt(at), label, created),
        )
        return text.encode()

    def _read(self, word: str, body: bytes, *values: object) -> Mould:
        (event,) = translate(body).records
        common, at = values
        assert isinstance(common, tuple)
        mould = self._events[word] = Mould(event, (*common, at, body))
        return mould


def replies_of(plan: Plan) -> Iterator[tuple[InboundMessage, datetime]]:
    """All replies, each with when it was received."""
    step = plan.messages // plan.replies
    for number in range(plan.replies):
        message = number * step
        at = plan.created_at(message) + _REPLY_DELAY
        campaign = plan.campaign_id(plan.campaign_of(message))
        body = _REPLY_BODY % (
            recipient_of(message),
            number,
            _spelt(at),
            campaign,
            plan.message_id(message),
        )
        (reply,) = translate(body.encode()).records
        assert isinstance(reply, InboundMessage)
        yield reply, at


def _spelt(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")[:-6] + "Z"


def failure_reason(campaign: int) -> str:
    """Why those messages of campaign number *campaign* failed that did."""
    return _REASONS[campaign % len(_REASONS)]


def recipient_of(message: int) -> str:
    """The telephone number that message number *message* goes to."""
    return f"+3069{message * 7_919 % 100_000_000:08}"


def _label(campaign: int) -> str:
    return f"label-{campaign % 7}"
