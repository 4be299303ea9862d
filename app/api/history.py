"""The history of a message as the API shows it."""

from collections.abc import Sequence

from app.api.wire import Instant, Wire, known_time
from app.db.payloads import opened
from app.db.tables import EventRow
from app.domain.event import Source
from app.domain.history import Effect, effects_of
from app.domain.masking import SecretMask
from app.domain.status import Status, status_of


class HistoryItem(Wire):
    """One event of a message, and its effect."""

    id: str
    status: Status
    provider_status: str | None
    detailed_status: str | None
    description: str | None
    occurred_at: Instant | None
    received_at: Instant
    source: str
    #: Whether it became the current status when it was stored.
    changed: bool
    reason: Effect
    raw: str | None = None


def history_out(
    events: Sequence[EventRow], *, raw: bool, mask: SecretMask | None = None
) -> list[HistoryItem]:
    """
    *events*, all of one message and in the order of the feed, each with its effect.

    With *raw* they have their payloads, without the secrets that *mask* finds.
    """
    return [
        HistoryItem(
            id=str(event.id),
            status=status_of(event.status_key),
            provider_status=event.provider_status or None,
            detailed_status=event.detailed_status,
            description=event.description,
            occurred_at=known_time(event.occurred_at),
            received_at=event.received_at,
            source=Source(event.source).name.lower(),
            changed=effect.changed,
            reason=effect,
            **({"raw": _payload(event, mask)} if raw else {}),
        )
        for event, effect in zip(events, effects_of(events), strict=True)
    ]


def _payload(event: EventRow, mask: SecretMask | None) -> str | None:
    if event.payload is None:
        return None
    text = opened(event.payload, event.payload_dictionary).decode()
    return text if mask is None else mask.shown(text)
