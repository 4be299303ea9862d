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
from app.domain.likeness import LikeEvent, Likeness, likeness_of
from app.kit.recent import Recent

#: How many messages, each to another recipient than the one before, must have a form before it is
#: stored.
MIN_MESSAGES: Final = 8
#: A form takes about 1 KiB of memory, 8 at most; a candidate 200 bytes.
MAX_FORMS: Final = 4096
MAX_CANDIDATES: Final = 16_384

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

    __slots__ = ("form", "id", "stored_in")

    def __init__(self, form: Form) -> None:
        self.form = form
        self.id = form.id
        #: The connection on which the database was seen to have it.
        self.stored_in: int | None = None


class Forms:
    """The forms that a process has seen, and which of them its connection may name."""

    def __init__(self, *, min_messages: int = MIN_MESSAGES) -> None:
        self._min_messages = min_messages
        #: By the hash of a form: its last recipient, and of how many in turn it was.
        self._candidates: Recent[int, tuple[str | None, int]] = Recent(MAX_CANDIDATES)
        self._known: Recent[Form, _Known] = Recent(MAX_FORMS)
        #: What a likeness that was found before became: spares hashing all of it.
        self._latest: Recent[Likeness, _Known] = Recent(MAX_FORMS)
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
        found = [self._find(event, month) for event in events]
        new = {
            known.id: known for known in found if known is not None and not self._is_stored(known)
        }
        if new:
            await self._store(connection, new)
        return [
            known.id if known is not None and self._is_stored(known) else None for known in found
        ]

    async def _store(self, connection: asyncpg.Connection, new: dict[int, _Known]) -> None:
        now = self._connection
        forms = [known.form for known in new.values()]
        columns = zip(*((form.skeleton.decode(), *form[2:]) for form in forms), strict=True)
        with suppress(ValuesRefused), translated():
            rows = await connection.fetch(
                _REGISTER, list(new), [form.month for form in forms], *columns
            )
            for (id_,) in rows:
                new[id_].stored_in = now
        for known in new.values():
            if known.stored_in != now:  # another process is at it, or it may not be used
                self._known.forget(known.form)

    def _find(self, event: DeliveryEvent, month: date) -> _Known | None:
        """The form of *event*, if several recipients have it."""
        likeness = event.likeness if isinstance(event, LikeEvent) else likeness_of(event)
        if likeness is None:
            return None
        latest = self._latest.find(likeness)
        if latest is not None and latest.form.month == month and self._is_stored(latest):
            return latest
        form = Form(month, likeness.skeleton, *likeness.shared)
        known = self._known.find(form) or self._promoted(form, event.recipient or "")
        if known is not None and isinstance(event, LikeEvent):
            self._latest.put(likeness, known)
        return known

    def _is_stored(self, known: _Known) -> bool:
        return known.stored_in == self._connection

    def _promoted(self, form: Form, recipient: str) -> _Known | None:
        """*form* as one that is known, if enough recipients have had it."""
        candidate = hash(form)
        last, messages = self._candidates.find(candidate) or (None, 0)
        messages += recipient != last
        if messages < self._min_messages:
            self._candidates.put(candidate, (recipient, messages))
            return None
        self._candidates.forget(candidate)
        known = _Known(form)
        self._known.put(form, known)
        return known


def of_forms(ids: Iterable[int | None]) -> list[int]:
    """Each of *ids* once."""
    return sorted({one for one in ids if one is not None})
