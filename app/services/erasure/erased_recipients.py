"""
The erased recipients as one process knows them, and how it pseudonymises their callbacks.

The horizons of retention change as rarely, and are read together with them.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

import structlog

from app.db.database import Database
from app.db.erasure.recipients import Erased, read_erased
from app.domain.campaign_progress import CampaignProgress
from app.domain.erasure import (
    ErasureKeys,
    NumberHash,
    digits_of,
    possible_numbers,
    possible_numbers_in,
    pseudonymised_key,
    spelling_pattern,
)
from app.domain.event import DeliveryEvent
from app.domain.phone_number import DIGITS
from app.domain.quarantine import Quarantined
from app.domain.retention import Horizons
from app.routee.translate import Record
from app.services.erasure.bodies import other_readings_of
from app.services.erasure.redaction import redacted_json, redacted_text, without_number

log = structlog.get_logger()

#: How often each process reads the erased recipients.
REFRESH_EVERY_SECONDS: Final = 1.0
#: What was read longer ago is stale: a flush reads again before it stores.
FRESH_SECONDS: Final = 2.0
#: After this time no process stores by what was known before: a flush, and a statement that it
#: abandoned, take less than 2 seconds each.
KNOWN_WITHIN_SECONDS: Final = FRESH_SECONDS + 4.5
#: In one text. A megabyte of callbacks has some ten thousand. Only an endless row of single digits
#: has millions, and a flush has no time for them.
_MAX_CANDIDATES: Final = 200_000
#: A digit, or an escape that may be one.
_MAY_HAVE_NUMBER: Final = re.compile(rf"[{DIGITS}%]")


class Recognised(NamedTuple):
    """An erased recipient in a text."""

    number_hash: NumberHash
    digits: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """
        Matches all spellings of the number.

        Making it takes milliseconds: only where a text may have the number.
        """
        return re.compile(spelling_pattern(self.digits))

    def redacted(self, text: str) -> str:
        """*text* with the pseudonym in place of the number."""
        if not _MAY_HAVE_NUMBER.search(text):
            return text
        return redacted_text(text, self.pattern, self.number_hash.pseudonym)


class Pseudonymised(NamedTuple):
    """What may be stored of an erased recipient's callback."""

    record: Record | Quarantined
    #: The digest under which the record is quarantined, if it must be: its payload is gone.
    sha256: bytes


class ErasedRecipients:
    """Recognises erased recipients."""

    def __init__(self, keys: ErasureKeys) -> None:
        self._keys = keys
        self._hashes: frozenset[bytes] = frozenset()
        self._read_at = -FRESH_SECONDS
        #: Retention may have removed what was received before.
        self.horizons = Horizons()
        #: The version of what was read; None before the first read.
        self.version: int | None = None
        #: How many keys are missing by which recipients were erased: callbacks of these are stored
        #: as if they were not.
        self.missing_keys = 0

    def __bool__(self) -> bool:
        return bool(self._hashes and self._keys)

    @property
    def is_stale(self) -> bool:
        """Whether they must be read again before something is stored."""
        return self.version is None or time.monotonic() - self._read_at > FRESH_SECONDS

    async def refresh(self, database: Database) -> None:
        """
        Read who was erased since the last time.

        Raises:
            DatabaseUnavailable: they cannot be read.
        """
        asked_at = time.monotonic()
        async with database.driver() as connection:
            self.update(await read_erased(connection, self.version), asked_at=asked_at)

    def update(self, erased: Erased | None, *, asked_at: float) -> None:
        """Apply what was read; None if nothing has changed."""
        # Of two concurrent reads the older one may arrive last. Their versions do not say which
        # that is: a restored database has a lower one than was read before.
        if asked_at <= self._read_at:
            return
        if erased is not None:
            self.version, self._hashes, key_ids, self.horizons = erased
            self._warn_of_missing(key_ids - self._keys.ids)
        self._read_at = asked_at

    def forget(self) -> None:
        """
        Have everything read again before something is stored: it may be another database.

        Its version may be the same by chance. Until then, who was erased stays so.
        """
        self.version = None

    def mark_of(self, number: str | None) -> NumberHash | None:
        """The hash of *number*, if it is erased."""
        return self._keys.find(number, self._hashes) if number else None

    def pseudonymised(self, record: Record | Quarantined) -> Pseudonymised | None:
        """*record* without number, texts and payload; None if its recipient is not erased."""
        if isinstance(record, Quarantined):
            return self._redacted_body(record)
        if isinstance(record, CampaignProgress):
            return self._redacted_progress(record)
        number = record.recipient if isinstance(record, DeliveryEvent) else record.sender
        number_hash = self.mark_of(number)
        if number_hash is None or number is None:
            return None
        erased = Recognised(number_hash, digits_of(number))
        sha256 = number_hash.pseudonymised(hashlib.sha256(record.payload).digest())
        if isinstance(record, DeliveryEvent):
            return Pseudonymised(_redacted_event(record, erased), sha256)
        reply = record._replace(
            identity=number_hash.pseudonymised(record.identity),
            sender=number_hash.pseudonym,
            message=None,
            media=None,
            filename=None,
            campaign_name=_redacted(record.campaign_name, erased),
            label=_redacted(record.label, erased),
            payload=b"",
        )
        return Pseudonymised(reply, sha256)

    def without_erased(self, answer: bytes) -> bytes:
        """Routee's JSON with the pseudonyms of all erased recipients that it names."""
        for erased in self._recognised_in(answer):
            answer = redacted_json(answer, erased.pattern, erased.number_hash.pseudonym) or b""
        return answer

    def text_without_erased(self, text: str) -> str:
        """*text* with the pseudonyms of all erased recipients that it names."""
        for erased in self._recognised_in(text.encode(errors="replace")):
            text = erased.redacted(text)
        return text

    def names_of_key(self, key: str) -> list[str]:
        """
        The names under which an idempotency key may be stored; a new key is stored under the last.

        A key that has the number of an erased recipient is stored under a name that only a caller
        of the key can reproduce: a repeated launch must be recognised.
        """
        found = self._recognised_in(key.encode(errors="replace"))
        return [key, *(pseudonymised_key(erased.number_hash, key) for erased in found)]

    def _redacted_body(self, body: Quarantined) -> Pseudonymised | None:
        if not self:
            return None
        left = body._replace(
            content_type=self.text_without_erased(body.content_type),
            content_encoding=self.text_without_erased(body.content_encoding),
        )
        if other_readings_of(body.body, body.reason).is_sealed:
            return Pseudonymised(left._replace(body=b""), body.sha256)
        for erased in self._recognised_in(body.body):
            number_hash = erased.number_hash
            octets = without_number(left.body, erased.pattern, number_hash.pseudonym)
            if octets != left.body:
                left = left._replace(body=octets, sha256=number_hash.pseudonymised(left.sha256))
        return None if left == body else Pseudonymised(left, left.sha256)

    def _redacted_progress(self, progress: CampaignProgress) -> Pseudonymised | None:
        """It is of no one recipient, but its texts and its payload may name one."""
        sha256 = hashlib.sha256(progress.payload).digest()
        found = self._recognised_in(progress.payload)
        for erased in found:
            progress = progress._replace(
                identity=erased.number_hash.pseudonymised(progress.identity),
                status=_redacted(progress.status, erased),
                name=_redacted(progress.name, erased),
                message_statuses=_redacted(progress.message_statuses, erased) or "{}",
                payload=b"",
            )
            sha256 = erased.number_hash.pseudonymised(sha256)
        return Pseudonymised(progress, sha256) if found else None

    def _recognised_in(self, body: bytes) -> list[Recognised]:
        return list(self._each_recognised_in(body)) if self else []

    def _each_recognised_in(self, body: bytes) -> Iterator[Recognised]:
        tried: set[str] = set()
        others = (possible_numbers_in(text) for text in other_readings_of(body).texts)
        candidates = chain(possible_numbers(body), chain.from_iterable(others))
        for digits in islice(candidates, _MAX_CANDIDATES):
            if digits not in tried:
                tried.add(digits)
                if (number_hash := self.mark_of(digits)) is not None:
                    yield Recognised(number_hash, digits_of(digits))

    def _warn_of_missing(self, key_ids: frozenset[bytes]) -> None:
        self.missing_keys = len(key_ids)
        if key_ids:
            log.error(
                "erased recipients are not recognised: the keys that they were erased with are "
                "missing from RECEIVER_ERASURE_KEYS (or RECEIVER_SIGNING_KEYS), put them back",
                keys=sorted(key_id.hex() for key_id in key_ids),
            )


def _redacted_event(event: DeliveryEvent, erased: Recognised) -> DeliveryEvent:
    return event._replace(
        recipient=erased.number_hash.pseudonym,
        digest=erased.number_hash.pseudonymised_digest(event.digest),
        status_key=_redacted(event.status_key, erased) or event.status_key,
        provider_status=_redacted(event.provider_status, erased) or event.provider_status,
        detailed_status=_redacted(event.detailed_status, erased),
        description=_redacted(event.description, erased),
        country=_redacted(event.country, erased),
        label=_redacted(event.label, erased),
        sender=_redacted(event.sender, erased),
        payload=b"",
    )


def _redacted(text: str | None, erased: Recognised) -> str | None:
    return text and erased.redacted(text)
