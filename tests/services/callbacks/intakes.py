"""An intake on one session, as the composition root builds it."""

from app.db.ingest import IngestSession
from app.observability.metrics import Metrics
from app.services.callbacks.intake import Intake
from app.services.callbacks.reading import Reader
from app.services.callbacks.screening import Screen
from app.services.callbacks.storing import Store


def intake_on(
    session: IngestSession,
    metrics: Metrics | None = None,
    *,
    ack_budget_seconds: float,
    screen: Screen | None = None,
) -> Intake:
    """An intake that stores through *session*."""
    metrics = metrics or Metrics()
    store = Store(session, metrics, screen=screen)
    return Intake(Reader(metrics), store, metrics, ack_budget_seconds=ack_budget_seconds)
