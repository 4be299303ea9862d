"""
Who is erased, as one process knows it, and what it makes of their callbacks.

It learns at the same time what retention may have removed, which is as rare a change.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

import structlog

from app.db.database import Database
from app.db.erasure.recipients import Erased, read_erased
from app.domain.erasure import ErasureKeys, Mark, blinded_key, candidates, digits_of, spellings
from app.domain.event import DeliveryEvent
from app.domain.quarantine import Quarantined
from app.domain.retention import Horizons
from app.routee.translate import Record
from app.services.erasure.redaction import redacted_json, redacted_text, without_number

log = structlog.get_logger()

#: How often it is looked whether somebody was erased.
LEARNT_EVERY_SECONDS: Final = 1.0
#: What is known for longer is not believed: then a flush looks itself, before it stores.
BELIEVED_SECONDS: Final = 2.0
#: After this time nothing is stored by what was known before: a flush, and a statement that it left
#: behind, take less than 2 seconds each.
LEARNT_WITHIN_SECONDS: Final = BELIEVED_SECONDS + 4.5
#: In one text. A megabyte of callbacks has some ten thousand; a flush has no time for millions,
#: which only single digits in a row without end can be.
_MAX_CANDIDATES: Final = 200_000


class Recognised(NamedTuple):
    """An erased recipient in a text."""

    mark: Mark
    #: Of all spellings of the number.
    pattern: re.Pattern[str]


class MadeUnknown(NamedTuple):
    """What may be stored of an erased recipient's callback."""

    record: Record | Quarantined
    #: Stands for the digest of the bytes, should it be set aside without them.
    sha256: bytes


class ErasedRecipients:
    """Recognises erased recipients."""

    def __init__(self, keys: ErasureKeys) -> None:
        self._keys = keys
        self._hashes: frozenset[bytes] = frozenset()
        self._learnt_at = -BELIEVED_SECONDS
        #: What was received before may have been removed.
        self.horizons = Horizons()
        #: Of what is known; None: nothing is known yet.
        self.version: int | None = None

    def __bool__(self) -> bool:
        return bool(self._hashes and self._keys)

    @property
    def is_stale(self) -> bool:
        """Whether it must be looked again before something is stored."""
        return self.version is None or time.monotonic() - self._learnt_at > BELIEVED_SECONDS

    async def refresh(self, database: Database) -> None:
        """
        Look who was erased since the last time.

        Raises:
            DatabaseUnavailable: it cannot be looked.
        """
        asked_at = time.monotonic()
        async with database.driver() as connection:
            self.learn(await read_erased(connection, self.version), asked_at=asked_at)

    def learn(self, erased: Erased | None, *, asked_at: float) -> None:
        """Take over what was read; None: nothing has changed."""
        # Two may ask at once, and the one that was answered first be told of last.
        if erased is not None and (self.version is None or erased.version > self.version):
            self.version, self._hashes, key_ids, self.horizons = erased
            self._warn_of_lacking(key_ids - self._keys.ids)
        self._learnt_at = max(self._learnt_at, asked_at)

    def mark_of(self, number: str | None) -> Mark | None:
        """By what *number* is known, if it is erased."""
        return self._keys.find(number, self._hashes) if number else None

    def made_unknown(self, record: Record | Quarantined) -> MadeUnknown | None:
        """*record* without number, texts and payload; None: it is of no erased recipient."""
        if isinstance(record, Quarantined):
            return self._unreadable_made_unknown(record)
        number = record.recipient if isinstance(record, DeliveryEvent) else record.sender
        mark = self.mark_of(number)
        if mark is None or number is None:
            return None
        known = _recognised(mark, digits_of(number))
        sha256 = mark.blinded(hashlib.sha256(record.payload).digest())
        if isinstance(record, DeliveryEvent):
            return MadeUnknown(_event_of(record, known), sha256)
        unknown = record._replace(
            identity=mark.blinded(record.identity),
            sender=mark.pseudonym,
            message=None,
            media=None,
            filename=None,
            campaign_name=_redacted(record.campaign_name, known),
            label=_redacted(record.label, known),
            payload=b"",
        )
        return MadeUnknown(unknown, sha256)

    def without_erased(self, answer: bytes) -> bytes:
        """JSON of Routee's with the pseudonyms of all erased recipients that it names."""
        for mark, pattern in self._recognised_in(answer):
            answer = redacted_json(answer, pattern, mark.pseudonym) or b""
        return answer

    def text_without_erased(self, text: str) -> str:
        """The same of a text."""
        for mark, pattern in self._recognised_in(text.encode(errors="replace")):
            text = redacted_text(text, pattern, mark.pseudonym)
        return text

    def names_of_key(self, key: str) -> list[str]:
        """
        Under what an idempotency key may be stored; the last is for what is stored now.

        One that has the number of an erased recipient is stored under a name that only whoever
        knows it can tell: the same launch must stay the same.
        """
        known = self._recognised_in(key.encode(errors="replace"))
        return [key, *(blinded_key(mark, key) for mark, _ in known)]

    def _unreadable_made_unknown(self, body: Quarantined) -> MadeUnknown | None:
        octets, sha256 = body.body, body.sha256
        for mark, pattern in self._recognised_in(octets):
            left = without_number(octets, pattern, mark.pseudonym)
            if left != octets:
                octets, sha256 = left, mark.blinded(sha256)
        if octets == body.body:
            return None
        return MadeUnknown(body._replace(sha256=sha256, body=octets), sha256)

    def _recognised_in(self, body: bytes) -> list[Recognised]:
        return list(self._each_recognised_in(body)) if self else []

    def _each_recognised_in(self, body: bytes) -> Iterator[Recognised]:
        tried: set[str] = set()
        for digits in islice(candidates(body), _MAX_CANDIDATES):
            if digits not in tried:
                tried.add(digits)
                if (mark := self.mark_of(digits)) is not None:
                    yield _recognised(mark, digits_of(digits))

    def _warn_of_lacking(self, key_ids: frozenset[bytes]) -> None:
        if key_ids:
            log.error(
                "erased recipients are not recognised: the keys that they were erased with are "
                "missing from RECEIVER_ERASURE_KEYS (or RECEIVER_SIGNING_KEYS), put them back",
                keys=sorted(key_id.hex() for key_id in key_ids),
            )


def _recognised(mark: Mark, digits: str) -> Recognised:
    return Recognised(mark, re.compile(spellings(digits)))


def _event_of(event: DeliveryEvent, known: Recognised) -> DeliveryEvent:
    return event._replace(
        recipient=known.mark.pseudonym,
        status_key=_redacted(event.status_key, known) or event.status_key,
        provider_status=_redacted(event.provider_status, known) or event.provider_status,
        detailed_status=_redacted(event.detailed_status, known),
        description=_redacted(event.description, known),
        country=_redacted(event.country, known),
        label=_redacted(event.label, known),
        sender=_redacted(event.sender, known),
        payload=b"",
    )


def _redacted(text: str | None, known: Recognised) -> str | None:
    return text and redacted_text(text, known.pattern, known.mark.pseudonym)
