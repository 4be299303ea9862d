"""Who is erased, as one process knows it, and what it makes of their callbacks."""

import re
import time
from typing import Final

from app.db.database import Database
from app.db.erasure.recipients import Erased, read_erased
from app.domain.erasure import ErasureKeys, Mark, candidates, digits_of, spellings
from app.domain.event import DeliveryEvent
from app.domain.quarantine import Quarantined
from app.routee.translate import Record

#: How often it is looked whether somebody was erased.
LEARNT_EVERY_SECONDS: Final = 1.0
#: What is known for longer is not believed: then a flush looks itself, before it stores.
BELIEVED_SECONDS: Final = 2.0
#: After this time nothing is stored by what was known before: a flush, and a statement that it left
#: behind, take less than 2 seconds each.
LEARNT_WITHIN_SECONDS: Final = BELIEVED_SECONDS + 4.5


class ErasedRecipients:
    """Recognises erased recipients."""

    def __init__(self, keys: ErasureKeys) -> None:
        self._keys = keys
        self._hashes: frozenset[bytes] = frozenset()
        self._learnt_at = -BELIEVED_SECONDS
        #: Of what is known; None: nothing is known yet.
        self.version: int | None = None

    def __bool__(self) -> bool:
        return bool(self._hashes)

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
        if erased is not None:
            self.version, self._hashes = erased
        self._learnt_at = max(self._learnt_at, asked_at)

    def mark_of(self, number: str | None) -> Mark | None:
        """By what *number* is known, if it is erased."""
        return self._keys.find(number, self._hashes) if number else None

    def made_unknown(self, record: Record | Quarantined) -> Record | Quarantined:
        """*record* without number, texts and payload if it is of an erased recipient."""
        if isinstance(record, Quarantined):
            return self._unreadable_made_unknown(record)
        number = record.recipient if isinstance(record, DeliveryEvent) else record.sender
        mark = self.mark_of(number)
        if mark is None or number is None:
            return record
        if isinstance(record, DeliveryEvent):
            return _event_of(record, number, mark)
        return record._replace(
            identity=mark.blinded(record.identity),
            sender=mark.pseudonym,
            message=None,
            media=None,
            filename=None,
            campaign_name=_redacted(record.campaign_name, number, mark),
            label=_redacted(record.label, number, mark),
            payload=b"",
        )

    def _unreadable_made_unknown(self, body: Quarantined) -> Quarantined:
        marks = filter(None, map(self.mark_of, candidates(body.body)))
        mark = next(marks, None)
        return body if mark is None else body._replace(sha256=mark.blinded(body.sha256), body=b"")


def _event_of(event: DeliveryEvent, number: str, mark: Mark) -> DeliveryEvent:
    return event._replace(
        recipient=mark.pseudonym,
        detailed_status=_redacted(event.detailed_status, number, mark),
        description=_redacted(event.description, number, mark),
        label=_redacted(event.label, number, mark),
        sender=_redacted(event.sender, number, mark),
        payload=b"",
    )


def _redacted(text: str | None, number: str, mark: Mark) -> str | None:
    return text and re.sub(spellings(digits_of(number)), mark.pseudonym, text)
