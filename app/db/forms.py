"""
Packing: what many callbacks have in common is stored once.

The callbacks of a campaign are alike but for the message, its number and two times. What is left
when these are taken out is their *form*: a skeleton of the payload, and the columns that all of
them tell. A packed event names its form and has only what is its own. The view `events` shows it as
it was told, its payload byte for byte.

An event is packed when its form is known to be that of several recipients: what only one of them
is told, such as a text with a name, would take more room so, and stays with the event. Then it also
goes with the event when its recipient is erased: what is in a form is nobody's own.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

import asyncpg

from app.db.failures import ValuesRefused, translated
from app.domain.event import DeliveryEvent
from app.kit.recent import Recent

#: How many messages, each to another recipient than the one before, must have a form before it is
#: stored.
MIN_MESSAGES: Final = 8
MAX_PAYLOAD_BYTES: Final = 16 * 1024
#: A form takes about 1 KiB of memory, a candidate 200 bytes.
MAX_FORMS: Final = 8192
MAX_CANDIDATES: Final = 16_384

#: What stands in a skeleton for what is an event's own: characters that Unicode keeps out of texts.
#: All begin with the same two bytes.
_RESERVED: Final = b"\xef\xb7"
_ID, _RECIPIENT, _OCCURRED_AT, _CREATED_AT = (chr(code).encode() for code in range(0xFDD0, 0xFDD4))
#: In a millisecond.
_MICROSECONDS: Final = 1000
_ID_BYTES: Final = 8

_REGISTER: Final = """
WITH given AS (
    SELECT * FROM unnest(
        $1::bigint[], $2::date[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::numeric[]
    ) AS given (
        id, month, skeleton, provider_status, detailed_status, description, campaign_tracking_id,
        sender, country, label, price
    )
),
added AS (
    INSERT INTO event_forms (
        id, month, skeleton, provider_status, detailed_status, description, campaign_tracking_id,
        sender, country, label, price
    )
    SELECT * FROM given ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT id FROM added
UNION ALL
-- Not what only has the same hash, nor what was redacted.
SELECT f.id FROM event_forms AS f JOIN given AS g ON g.id = f.id
WHERE (
    f.month, f.skeleton, f.provider_status, f.detailed_status, f.description,
    f.campaign_tracking_id, f.sender, f.country, f.label, f.price
) IS NOT DISTINCT FROM (
    g.month, g.skeleton, g.provider_status, g.detailed_status, g.description,
    g.campaign_tracking_id, g.sender, g.country, g.label, g.price
)
"""


#: Until then an event may name a form: the clock of the process that chose its month may differ.
END_OF_USE: Final = "(month + interval '1 month 1 day') AT TIME ZONE 'UTC'"


class Form(NamedTuple):
    """What many events have in common."""

    #: The first day of the month in which they were received.
    month: date
    #: Of the payload, as UTF-8.
    skeleton: bytes
    provider_status: str
    detailed_status: str | None
    description: str | None
    campaign_tracking_id: str | None
    sender: str | None
    country: str | None
    label: str | None
    price: Decimal | None

    @property
    def id(self) -> int:
        """A hash of all of it, as a signed number of 64 bits."""
        digest = hashlib.blake2b(repr(self).encode(), digest_size=_ID_BYTES).digest()
        return int.from_bytes(digest, signed=True)


class _Known:
    """A form that several recipients have."""

    __slots__ = ("id", "stored_in")

    def __init__(self, id_: int) -> None:
        self.id = id_
        #: The connection on which the database was seen to have it.
        self.stored_in: int | None = None


class Forms:
    """The forms that a process has seen, and which of them its connection may name."""

    def __init__(self, *, min_messages: int = MIN_MESSAGES) -> None:
        self._min_messages = min_messages
        #: By the hash of a form: its last recipient, and of how many in turn it was.
        self._candidates: Recent[int, tuple[str | None, int]] = Recent(MAX_CANDIDATES)
        self._known: Recent[Form, _Known] = Recent(MAX_FORMS)
        #: Connections are numbered.
        self._connection = 0

    def forget_stored(self) -> None:
        """Whatever is connected to now may be another server, or an older copy of it."""
        self._connection += 1

    async def ids_of(
        self, connection: asyncpg.Connection, events: Sequence[DeliveryEvent]
    ) -> list[int | None]:
        """The id of the form of each of *events* that can be packed, stored by now; else None."""
        month = datetime.now(UTC).date().replace(day=1)
        found: list[_Known | None] = []
        new: dict[int, tuple[Form, _Known]] = {}
        for event in events:
            form = form_of(event, month)
            known = None if form is None else self._find(form, event.recipient or "")
            if known is not None and form is not None and known.stored_in != self._connection:
                new[known.id] = form, known
            found.append(known)
        if new:
            await self._store(connection, new)
        now = self._connection
        return [
            known.id if known is not None and known.stored_in == now else None for known in found
        ]

    async def _store(
        self, connection: asyncpg.Connection, new: dict[int, tuple[Form, _Known]]
    ) -> None:
        now = self._connection
        forms = [form for form, _ in new.values()]
        columns = zip(*((form.skeleton.decode(), *form[2:]) for form in forms), strict=True)
        with suppress(ValuesRefused), translated():
            rows = await connection.fetch(
                _REGISTER, list(new), [form.month for form in forms], *columns
            )
            for (id_,) in rows:
                new[id_][1].stored_in = now
        for form, known in new.values():
            if known.stored_in != now:  # another process is at it, or it may not be used
                self._known.forget(form)

    def _find(self, form: Form, recipient: str) -> _Known | None:
        """What is known of *form*, which *recipient* has, if several have it."""
        known = self._known.find(form)
        if known is not None:
            return known
        candidate = hash(form)
        last, messages = self._candidates.find(candidate) or (None, 0)
        messages += recipient != last
        if messages < self._min_messages:
            self._candidates.put(candidate, (recipient, messages))
            return None
        self._candidates.forget(candidate)
        known = _Known(form.id)
        self._known.put(form, known)
        return known


def form_of(event: DeliveryEvent, month: date) -> Form | None:
    """The form that *event*, received in *month*, has; None: it cannot be packed."""
    skeleton = skeleton_of(event)
    if skeleton is None:
        return None
    return Form(
        month,
        skeleton,
        event.provider_status,
        event.detailed_status,
        event.description,
        event.campaign_tracking_id,
        event.sender,
        event.country,
        event.label,
        event.price,
    )


def skeleton_of(event: DeliveryEvent) -> bytes | None:
    """
    The payload with marks for what is the event's own; None: it cannot be packed.

    `form_payload` in the database puts back what the columns tell, so a time is taken out only as
    Routee spells it, and nothing where a mark stands already. An event without a campaign may have
    to be bound to one, which changes it.
    """
    body, recipient = event.payload, event.recipient or ""
    if (
        not 0 < len(body) <= MAX_PAYLOAD_BYTES
        or event.campaign_tracking_id is None
        or not event.message_tracking_id.isascii()
        or not recipient.isascii()
        or not _may_be_marked(body)
    ):
        return None
    own = [(event.message_tracking_id.encode(), _ID), (recipient.lstrip("+").encode(), _RECIPIENT)]
    for at, mark in ((event.occurred_at, _OCCURRED_AT), (event.created_at, _CREATED_AT)):
        if at is not None and at.tzinfo is UTC and at.microsecond % _MICROSECONDS == 0:
            own.append((_spelt(at), mark))
    for value, mark in own:
        # Where it is first found: to look for more takes six times as long.
        place = body.find(value)
        if place >= 0 and value:
            body = body[:place] + mark + body[place + len(value) :]
    return body


def _may_be_marked(body: bytes) -> bool:
    """Whether it is a text, with no NUL, in which nothing looks like a mark."""
    if b"\0" in body:
        return False
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return _RESERVED not in body


def _spelt(at: datetime) -> bytes:
    """As Routee spells it; `isoformat` takes twice as long where there is a time zone."""
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        *(at.year, at.month, at.day, at.hour, at.minute, at.second),
        at.microsecond // _MICROSECONDS,
    )


def of_forms(ids: Iterable[int | None]) -> list[int]:
    """Each of *ids* once."""
    return sorted({one for one in ids if one is not None})
