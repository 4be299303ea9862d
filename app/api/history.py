"""The history of a message as the API shows it."""

from typing import Annotated, Any, Final

import msgspec

from app.api.wire import Instant, Wire, known_time, open_words
from app.db.messages import HistoryEvent
from app.domain.event import Source
from app.domain.history import Effect
from app.domain.status import Status, status_of

_ENCODER: Final = msgspec.json.Encoder()


#: Why an event did, or did not, become the current status when it was stored.
ShownEffect = Annotated[Effect, open_words(Effect)]


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
    reason: ShownEffect
    raw: str | None = None


def history_json(event: HistoryEvent, effect: Effect, **raw: str | None) -> bytes:
    """One event of a history, with the member `raw` if it is given."""
    return _ENCODER.encode(_members(event, effect) | raw)


def _members(event: HistoryEvent, effect: Effect) -> dict[str, Any]:
    return {
        "id": str(event.id),
        "status": status_of(event.status_key),
        "providerStatus": event.provider_status or None,
        "detailedStatus": event.detailed_status,
        "description": event.description,
        "occurredAt": known_time(event.occurred_at),
        "receivedAt": event.received_at,
        "source": Source(event.source).name.lower(),
        "changed": effect.changed,
        "reason": effect,
    }
