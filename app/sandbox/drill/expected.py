"""What must be stored, by the ledger and the rules of the domain alone."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from app.db.drill.reading import CountKey, Stored, StoredRecord
from app.domain.campaign_progress import CampaignProgress
from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.message import Message, project
from app.routee.translate import Record, translate
from app.sandbox.drill.callbacks import SentCallback
from app.sandbox.drill.ledger import Ledger

_PATH: Final = "/callbacks/***/{}"

_BEFORE: Final = b"{"


class Part(NamedTuple):
    """One row that a callback leads to; `None` in place of a record is the quarantine."""

    record: Record | None
    #: SHA-256 of what is kept: the payload, or the body.
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a callback leads to, and which parts of it are missing or differ."""

    parts: tuple[Part, ...]
    missing: tuple[Part, ...]
    #: Parts whose payload is not the one that was sent.
    changed: tuple[Part, ...]

    @property
    def is_stored(self) -> bool:
        """Whether everything is there."""
        return not self.missing

    @property
    def is_quarantined(self) -> bool:
        """Whether a part of it is in the quarantine, and everything is there."""
        return self.is_stored and any(part.record is None for part in self.parts)


def parts_of(callback: SentCallback) -> tuple[Part, ...]:
    """All rows that *callback* leads to, at least one."""
    body = callback.body
    translation = translate(body, path=_PATH.format(callback.kind))
    # A payload is the body itself, byte for byte, unless it is an element of an array.
    is_single = body.startswith(_BEFORE)
    records = [
        Part(record, hashlib.sha256(body if is_single else record.payload).digest())
        for record in translation.records
    ]
    if translation.reason is not None:
        records.append(Part(None, hashlib.sha256(body).digest()))
    return tuple(records)


def outcomes(ledger: Ledger, stored: Stored) -> dict[str, Outcome]:
    """The outcome of each callback of *ledger*, by its key."""
    return {key: _outcome(account.callback, stored) for key, account in ledger.accounts.items()}


def _outcome(callback: SentCallback, stored: Stored) -> Outcome:
    parts = parts_of(callback)
    missing, changed = [], []
    for part in parts:
        found = find_stored(part, stored)
        if found is None:
            missing.append(part)
        elif found != part.sha256:
            changed.append(part)
    return Outcome(parts, tuple(missing), tuple(changed))


def find_stored(part: Part, stored: Stored) -> bytes | None:
    """SHA-256 of the payload that is stored for *part*, or None if no row is."""
    record = part.record
    found: StoredRecord | None
    if isinstance(record, DeliveryEvent):
        found = stored.events.get(record.identity)
    elif isinstance(record, InboundMessage):
        found = stored.replies.get(record.identity)
    elif isinstance(record, CampaignProgress):
        found = stored.progress.get(record.identity)
    else:
        body = stored.quarantine.get(part.sha256)
        return None if body is None else body.sha256
    return None if found is None else found.sha256


def expected_messages(outcomes_by_key: Mapping[str, Outcome]) -> dict[str, Message]:
    """
    The state of each message, by the model of the domain.

    It is made of the events that are stored: all that were acknowledged must be, and of the others
    each may be.
    """
    events: dict[str, list[DeliveryEvent]] = {}
    for event in _stored_events(outcomes_by_key):
        events.setdefault(event.message_tracking_id, []).append(event)
    return {message: project(its) for message, its in events.items()}


def expected_counts(messages: Mapping[str, Message]) -> dict[CountKey, int]:
    """How many messages of each campaign are in each status."""
    return dict(
        Counter(
            (message.campaign_tracking_id, message.status.value)
            for message in messages.values()
            if message.campaign_tracking_id is not None
        )
    )


def _stored_events(outcomes_by_key: Mapping[str, Outcome]) -> Iterator[DeliveryEvent]:
    for outcome in outcomes_by_key.values():
        for part in outcome.parts:
            if isinstance(part.record, DeliveryEvent) and part not in outcome.missing:
                yield part.record
