from datetime import UTC, datetime
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from app.domain.event import DeliveryEvent
from app.domain.history import Effect, steps
from app.domain.message import project
from tests.domain.strategies import events


class Told(NamedTuple):
    status_key: str
    occurred_at: datetime


def _told(status: str, minute: int) -> Told:
    return Told(status, datetime(2026, 1, 1, 12, minute, tzinfo=UTC))


def _effects(*told: Told) -> list[Effect]:
    return [step.effect for step in steps(told)]


def test_each_step_forward_advances() -> None:
    in_order = (_told("QUEUED", 1), _told("DELIVERED", 2), _told("SEEN", 3))
    assert _effects(*in_order) == [Effect.ADVANCED] * 3


def test_what_comes_after_its_successor_fills_in() -> None:
    backwards = (_told("SEEN", 3), _told("DELIVERED", 2), _told("QUEUED", 1))
    assert _effects(*backwards) == [Effect.ADVANCED, Effect.FILLED, Effect.FILLED]


def test_an_earlier_occurrence_of_a_known_status_is_late() -> None:
    told = (_told("QUEUED", 2), _told("DELIVERED", 3), _told("QUEUED", 1))
    assert _effects(*told) == [Effect.ADVANCED, Effect.ADVANCED, Effect.LATE]


def test_being_sent_again_does_not_make_a_delivered_message_queued() -> None:
    told = (_told("DELIVERED", 1), _told("QUEUED", 2))
    assert _effects(*told) == [Effect.ADVANCED, Effect.LOWER_RANK]


def test_a_later_failure_of_the_same_rank_advances() -> None:
    told = (_told("FAILED", 1), _told("EXPIRED", 2))
    assert _effects(*told) == [Effect.ADVANCED, Effect.ADVANCED]


@given(st.lists(events(), min_size=1, max_size=8))
def test_the_last_change_is_the_current_status(stored: list[DeliveryEvent]) -> None:
    """A consumer that applies only what changed ends with the status of the projection."""
    of_one = [event._replace(message_tracking_id="m") for event in stored]
    changes = [event for event, step in zip(of_one, steps(of_one), strict=True) if step.changed]
    message = project(of_one)
    assert changes[-1].order == (message.status_rank, message.status_at, message.status_key)
