"""How the history of a message is told."""

from collections.abc import Sequence

from app.api.wire import Instant, Wire, known_time
from app.db.payloads import opened
from app.db.tables import EventRow
from app.domain.event import Source
from app.domain.history import Effect, steps
from app.domain.masking import mask_callback_urls
from app.domain.status import Status, status_of


class Step(Wire):
    """One event of a message, and what it did."""

    id: str
    status: Status
    provider_status: str | None
    detailed_status: str | None
    description: str | None
    #: Null when Routee did not say.
    occurred_at: Instant | None
    received_at: Instant
    #: `callback` when Routee posted it, `tracking` when we asked.
    source: str
    #: Whether it became the current status when it was stored.
    changed: bool
    reason: Effect
    #: The payload; only when asked for.
    raw: str | None = None


def told_history(events: Sequence[EventRow], *, raw: bool, exact: bool) -> list[Step]:
    """*events*, all of one message and in the order of the feed, each with what it did."""
    return [
        Step(
            id=str(event.id),
            status=status_of(event.status_key),
            provider_status=event.provider_status or None,
            detailed_status=event.detailed_status,
            description=event.description,
            occurred_at=known_time(event.occurred_at),
            received_at=event.received_at,
            source=Source(event.source).name.lower(),
            changed=step.changed,
            reason=step.effect,
            **({"raw": _payload(event, exact=exact)} if raw else {}),
        )
        for event, step in zip(events, steps(events), strict=True)
    ]


def _payload(event: EventRow, *, exact: bool) -> str | None:
    if event.payload is None:
        return None
    text = opened(event.payload, event.payload_dictionary).decode()
    return text if exact else mask_callback_urls(text)
