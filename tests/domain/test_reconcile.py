from datetime import datetime, timedelta

import pytest

from app.domain.event import UNKNOWN_TIME, DeliveryEvent, EventIdentity
from app.domain.reconcile import DAILY, RARELY, Outcome, aligned, pause_after
from app.routee.translate import translate
from tests.promises.load import callback

_AT = datetime.fromisoformat("2026-11-01T10:00:00.123Z")


def _event(at: datetime, digest: bytes = b"") -> DeliveryEvent:
    (event,) = translate(callback("m").body).records
    assert isinstance(event, DeliveryEvent)
    return event._replace(occurred_at=at, digest=digest)


def _identity(at: datetime, digest: bytes = b"") -> EventIdentity:
    return ("m", "DELIVERED", at, digest)


@pytest.mark.parametrize(
    ("read", "stored"),
    [
        (_AT, _AT),
        (_AT.replace(microsecond=0), _AT),
        (_AT, _AT.replace(microsecond=0)),
        (_AT.replace(microsecond=123456), _AT),
        (_AT, _AT.replace(microsecond=123456)),
        (UNKNOWN_TIME, _AT),
        (UNKNOWN_TIME, UNKNOWN_TIME),
    ],
)
def test_one_time_in_two_spellings_is_the_same_event(read: datetime, stored: datetime) -> None:
    digest = b"of other bytes" if stored == UNKNOWN_TIME else b""
    found = aligned(_event(read, b"of its bytes" if read == UNKNOWN_TIME else b""), {
        _identity(_AT - timedelta(days=1)) if stored == _AT else _identity(stored, digest),
        _identity(stored, digest),
    })  # fmt: skip
    assert found.identity == _identity(stored, digest)


@pytest.mark.parametrize(
    "stored",
    [
        _AT - timedelta(seconds=1),
        _AT + timedelta(milliseconds=1),
        _AT.replace(microsecond=124456),
        UNKNOWN_TIME,
    ],
)
def test_another_time_is_another_event(stored: datetime) -> None:
    event = _event(_AT)
    assert aligned(event, {_identity(stored)}) is event
    assert aligned(event, set()) is event


def test_two_microseconds_of_a_millisecond_are_two_events() -> None:
    event = _event(_AT.replace(microsecond=123456))
    assert aligned(event, {_identity(_AT.replace(microsecond=123457))}) is event


def test_pauses_grow_while_nothing_is_found_and_are_long_where_nothing_is_likely() -> None:
    pauses = [
        pause_after(Outcome.COMPARED, fruitless=many, is_finished=False) for many in range(20)
    ]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], pauses[-1]) == (DAILY / 24, DAILY / 12, DAILY)
    assert pause_after(Outcome.NOT_FOUND, fruitless=0, is_finished=False) == RARELY
    assert pause_after(Outcome.COMPARED, fruitless=0, is_finished=True) == RARELY
    assert pause_after(Outcome.FAILED, fruitless=0, is_finished=True) < RARELY
