"""What an outage leaves in the log."""

import json

import pytest
from structlog.testing import capture_logs

from app.errors import DatabaseUnavailable
from app.observability.metrics import Metrics
from app.services.callbacks.flush_notes import FlushNotes

SECONDS = 100
FLUSHES_PER_SECOND = 50
#: So long that nobody looks at it.
HOUR_BYTES = 5_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _fail(notes: FlushNotes, error: BaseException) -> None:
    with pytest.raises(type(error)), notes.noted(4):
        raise error


def test_an_outage_leaves_a_line_a_second_and_one_when_it_is_over() -> None:
    metrics, clock = Metrics(), Clock()
    notes = FlushNotes(metrics, None, clock=clock)
    refused = metrics.callbacks.labels("status", "not-stored")
    refused.inc(7)  # long before
    error = DatabaseUnavailable("The database at db:5432 does not answer (ConnectionRefused).")
    with capture_logs() as logs:
        for _ in range(SECONDS * FLUSHES_PER_SECOND):
            _fail(notes, error)
            refused.inc(4)
            clock.now += 1 / FLUSHES_PER_SECOND
        failed = len(logs)
        with notes.noted(4):
            pass
        with notes.noted(4):
            pass
    assert SECONDS - 1 <= failed <= SECONDS + 1
    assert sum(line["times"] for line in logs[:failed]) > (SECONDS - 2) * FLUSHES_PER_SECOND
    assert len(json.dumps(logs)) * 3600 / SECONDS < HOUR_BYTES / 4, "and others log as well"
    assert [line["event"] for line in logs[failed:]] == [
        "the database answers again after 100 s; 20,000 callbacks were refused"
    ]
    assert metrics.registry.get_sample_value(
        "receiver_flush_failures_total", {"error": "DatabaseUnavailable"}
    ) == (SECONDS * FLUSHES_PER_SECOND)
