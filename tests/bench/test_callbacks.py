from collections import Counter
from itertools import islice
from uuid import UUID

from app.domain.event import DeliveryEvent
from app.domain.status import Status
from app.routee.translate import translate
from tests.bench.callbacks import Callbacks
from tests.bench.run import mark

ITEMS = 20_000


def _event(body: bytes) -> DeliveryEvent:
    (record,) = translate(body).records
    assert isinstance(record, DeliveryEvent)
    return record


def test_three_statuses_a_message_and_one_repetition_in_twenty() -> None:
    callbacks = Callbacks(mark())
    events = [_event(body) for body in islice(callbacks, ITEMS)]
    identities = {event.identity for event in events}
    statuses = Counter(event.status_key for event in events)
    assert len(identities) == callbacks.distinct
    assert 0.94 < callbacks.distinct / callbacks.sent < 0.96
    assert set(statuses) == {Status.SENT, Status.DELIVERED, Status.SEEN}


def test_ids_look_like_those_of_routee() -> None:
    event = _event(next(Callbacks(mark())))
    assert event.message_tracking_id == str(UUID(event.message_tracking_id))


def test_a_callback_is_as_long_as_those_of_routee() -> None:
    assert 650 < len(next(Callbacks(mark()))) < 850
