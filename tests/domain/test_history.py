from datetime import UTC, datetime
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from app.domain.event import DeliveryEvent
from app.domain.history import Effect, effects_of
from app.domain.message import project
from tests.domain.strategies import events


class Report(NamedTuple):
    status_key: str
    occurred_at: datetime


def _report(status: str, minute: int) -> Report:
    return Report(status, datetime(2026, 1, 1, 12, minute, tzinfo=UTC))


def _effects(*reports: Report) -> list[Effect]:
    return list(effects_of(reports))


def test_each_step_forward_advances() -> None:
    in_order = (_report("QUEUED", 1), _report("DELIVERED", 2), _report("SEEN", 3))
    assert _effects(*in_order) == [Effect.ADVANCED] * 3


def test_what_comes_after_its_successor_fills_in() -> None:
    backwards = (_report("SEEN", 3), _report("DELIVERED", 2), _report("QUEUED", 1))
    assert _effects(*backwards) == [Effect.ADVANCED, Effect.FILLED, Effect.FILLED]


def test_an_earlier_occurrence_of_a_known_status_is_late() -> None:
    reports = (_report("QUEUED", 2), _report("DELIVERED", 3), _report("QUEUED", 1))
    assert _effects(*reports) == [Effect.ADVANCED, Effect.ADVANCED, Effect.LATE]


def test_being_sent_again_does_not_make_a_delivered_message_queued() -> None:
    reports = (_report("DELIVERED", 1), _report("QUEUED", 2))
    assert _effects(*reports) == [Effect.ADVANCED, Effect.LOWER_RANK]


def test_a_later_failure_of_the_same_rank_advances() -> None:
    reports = (_report("FAILED", 1), _report("EXPIRED", 2))
    assert _effects(*reports) == [Effect.ADVANCED, Effect.ADVANCED]


@given(st.lists(events(), min_size=1, max_size=8))
def test_the_last_change_is_the_current_status(stored: list[DeliveryEvent]) -> None:
    """A consumer that applies only what changed ends with the status of the projection."""
    of_one = [event._replace(message_tracking_id="m") for event in stored]
    changes = [
        event for event, effect in zip(of_one, effects_of(of_one), strict=True) if effect.changed
    ]
    message = project(of_one)
    assert changes[-1].order == (message.status_rank, message.status_at, message.status_key)
