"""
The callbacks that the drill posts: those of simulated campaigns, and what else may come.

The same seed and beginning give the same callbacks, so the ledger keeps only their keys and their
SHA-256, and the bodies can be made again from the seed.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count
from random import Random
from typing import Final, NamedTuple

from app.sandbox.ledger import SimulatedCampaign
from app.sandbox.payloads import Document, inbound_callback, iso, status_callback, written
from app.sandbox.requests import read_campaign_request
from app.sandbox.scenarios import simulate_messages


class Stream(StrEnum):
    """The sources of callbacks; each has an order of its own, whatever the others do."""

    #: The callbacks of campaigns, at the rate of the run.
    CAMPAIGNS = "campaigns"
    #: The same in bursts beyond the rate.
    BURST = "burst"
    #: Those of a sender whose clock jumps by days, to the past and to the future.
    CLOCK = "clock"
    #: What can hardly be read, or not at all.
    GARBAGE = "garbage"
    #: Those by which the durability of a 200 is probed.
    PROBE = "probe"


class Kind(StrEnum):
    """The URL that a callback is posted to."""

    STATUS = "status"
    INBOUND = "inbound"


class SentCallback(NamedTuple):
    """One callback; its key is that of the ledger, such as `campaigns-17`."""

    key: str
    kind: Kind
    body: bytes
    #: Whether it is posted again although it was acknowledged.
    is_doubled: bool = False
    #: Whether the connection ends in the middle of the body, the first time.
    is_cut: bool = False
    #: Whether it is so large that it has to be refused.
    is_too_large: bool = False


#: So many campaigns run at the same time, their callbacks shuffled.
_CAMPAIGNS_AT_ONCE: Final = 4
_RECIPIENTS: Final = 100
#: The fewest, so that each burst has several campaigns.
_FEW_RECIPIENTS: Final = 20
_DOUBLED_SHARE: Final = 0.08
_CUT_SHARE: Final = 0.004
_ODD_SHARE: Final = 0.03
#: A jump of the sender's clock, in days either way: beyond the months that have a partition.
_JUMP_DAYS: Final = 500
_BETWEEN_CAMPAIGNS: Final = timedelta(seconds=1)
_PADDING_BYTES: Final = 100_000
#: More than `RECEIVER_MAX_BODY_BYTES`.
_TOO_LARGE_BYTES: Final = 1_100_000
_SENDER_ID: Final = "9d1b8a5c-7f64-4a1e-bb0e-2f7f1a6f0c11"


def callbacks(
    stream: Stream, *, seed: int, start: datetime, inbound_url: str
) -> Iterator[SentCallback]:
    """
    The callbacks of *stream*, without end.

    *start* is the time at which the simulated campaigns begin, in whole milliseconds. Each callback
    quotes *inbound_url*, which has a callback token, as Routee's do.
    """
    rng = Random(f"{seed}/{stream}")  # noqa: S311 (no secret)
    maker = _Maker(rng, start, inbound_url)
    if stream is Stream.GARBAGE:
        source = maker.garbage()
    else:
        recipients = _RECIPIENTS if stream is Stream.CAMPAIGNS else _FEW_RECIPIENTS
        jump_days = _JUMP_DAYS if stream is Stream.CLOCK else 0
        source = maker.campaigns(recipients, jump_days=jump_days)
    for number, callback in enumerate(source):
        yield callback._replace(key=f"{stream}-{number}")


def sha256_of(body: bytes) -> str:
    """How the ledger and the quarantine recognise *body*."""
    return hashlib.sha256(body).hexdigest()


class _Maker:
    """Makes the callbacks of one stream."""

    def __init__(self, rng: Random, start: datetime, inbound_url: str) -> None:
        self._rng = rng
        self._start = start
        self._inbound_url = inbound_url
        self._numbers = count()

    def campaigns(self, recipients: int, *, jump_days: int) -> Iterator[SentCallback]:
        while True:
            group = [
                one
                for _ in range(_CAMPAIGNS_AT_ONCE)
                for one in self._of_campaign(self._campaign(recipients, jump_days))
            ]
            self._rng.shuffle(group)
            yield from group

    def garbage(self) -> Iterator[SentCallback]:
        makers: tuple[Callable[[], bytes], ...] = (
            self._noise,
            self._same_again,
            self._truncated,
            self._not_an_object,
            self._without_id,
            self._not_utf8,
            self._array,
            self._padded,
            self._long_id,
            self._with_a_nul,
        )
        for number in count():
            if number % 40 == 39:  # noqa: PLR2004 (a few are enough, as each is repeated)
                body = self._document(padding=_TOO_LARGE_BYTES)
                yield SentCallback("", Kind.STATUS, body, is_too_large=True)
            else:
                body = self._rng.choice(makers)()
                yield SentCallback("", self._rng.choice(tuple(Kind)), body)

    def _campaign(self, recipients: int, jump_days: int) -> SimulatedCampaign:
        number = next(self._numbers)
        jump = timedelta(days=self._rng.randint(-jump_days, jump_days))
        at = self._start + number * _BETWEEN_CAMPAIGNS + jump
        request = read_campaign_request(
            {
                "senderInfoTrackingId": _SENDER_ID,
                "to": [f"+3069{self._rng.randrange(10**8):08}" for _ in range(recipients)],
                "body": {"text": self._rng.choice(("Our spring collection is here.", "Έκπτωση!"))},
                "campaignName": f"Campaign {number}",
                "ttl": 3600,
                "label": self._rng.choice(("spring", "summer", None)),
                "inboundUrl": self._inbound_url,
            }
        )
        campaign = SimulatedCampaign(self._uuid(), request, at, "Queued", number)
        for message in simulate_messages(request, started_at=at, rng=self._rng):
            named = replace(message, tracking_id=self._uuid())
            campaign.messages[named.tracking_id] = named
        return campaign

    def _of_campaign(self, campaign: SimulatedCampaign) -> Iterator[SentCallback]:
        for message in campaign.messages.values():
            for occurrence in message.occurrences:
                document = status_callback(campaign, message, occurrence)
                yield self._sent(Kind.STATUS, self._perhaps_odd(document))
            for reply in message.replies:
                yield self._sent(Kind.INBOUND, inbound_callback(campaign, message, reply))
        for part in range(1, 4):
            yield self._sent(Kind.STATUS, _progress(campaign, part))

    def _sent(self, kind: Kind, document: Document) -> SentCallback:
        return SentCallback(
            "",
            kind,
            written(document),
            is_doubled=self._rng.random() < _DOUBLED_SHARE,
            is_cut=self._rng.random() < _CUT_SHARE,
        )

    def _perhaps_odd(self, document: Document) -> Document:
        """*document*, or now and then one that is not as documented and reports something."""
        if self._rng.random() >= _ODD_SHARE:
            return document
        status = document["status"]
        assert isinstance(status, dict)  # noqa: S101 (as it is made above)
        odd: tuple[Document, ...] = (
            {"status": {**status, "name": "Parked"}},
            {"status": {**status, "updatedDate": None}, "createdAt": None},
            {"status": {**status, "name": str(status["name"]).title()}, "operator": "Cosmote"},
            {"campaignTrackingId": None},
            {"price": "0,035", "country": 30},
        )
        return document | self._rng.choice(odd)

    def _document(self, *, padding: int = 0) -> bytes:
        """A callback of a message of its own, with so many bytes more."""
        document: Document = {
            "trackingId": self._uuid(),
            "status": {"name": "DELIVERED", "updatedDate": iso(self._start)},
        }
        return written(document | ({"padding": "x" * padding} if padding else {}))

    def _noise(self) -> bytes:
        return self._rng.randbytes(self._rng.randint(1, 400))

    def _same_again(self) -> bytes:
        return b"the same noise %d" % self._rng.randrange(5)

    def _truncated(self) -> bytes:
        body = self._document()
        return body[: self._rng.randint(1, len(body) - 1)]

    def _not_an_object(self) -> bytes:
        return json.dumps([self._rng.randrange(10**6), "text", None]).encode()

    def _without_id(self) -> bytes:
        return written({"status": {"name": "SEEN"}, "nonce": self._rng.randrange(10**9)})

    def _not_utf8(self) -> bytes:
        return self._document().replace(b"DELIVERED", b"DELIV\xff\xfeERED")

    def _array(self) -> bytes:
        """Callbacks in one body, and among them one that cannot be read."""
        parts = [self._document() for _ in range(self._rng.randint(2, 20))]
        parts.insert(self._rng.randint(0, len(parts)), b'"neither"')
        return b"[" + b",".join(parts) + b"]"

    def _padded(self) -> bytes:
        return self._document(padding=self._rng.randint(_PADDING_BYTES // 10, _PADDING_BYTES))

    def _long_id(self) -> bytes:
        return written({"trackingId": "x" * 600 + self._uuid(), "status": {"name": "SENT"}})

    def _with_a_nul(self) -> bytes:
        return self._document().replace(b"{", b'{"label":"a\\u0000b",', 1)

    def _uuid(self) -> str:
        return str(uuid.UUID(bytes=self._rng.randbytes(16), version=4))


def _progress(campaign: SimulatedCampaign, part: int) -> Document:
    """What Routee reports of *campaign* as a whole, for the *part*th time."""
    recipients = len(campaign.messages)
    return {
        "trackingId": campaign.tracking_id,
        "name": campaign.request.name,
        "totalRecipients": recipients,
        "campaignStatus": "Running",
        "messageStatuses": {"Queued": recipients - part, "Delivered": part},
    }
