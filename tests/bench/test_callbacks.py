import json
from collections import Counter, defaultdict
from itertools import islice
from uuid import UUID

import pytest

from app.domain.event import DeliveryEvent
from app.domain.status import Status
from app.routee.translate import translate
from tests.bench.callbacks import Callbacks, Texts
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


def _texts_of_campaigns(texts: Texts) -> list[int]:
    """How many different texts each campaign has."""
    found = defaultdict(set)
    for body in islice(Callbacks(mark(), texts), 3_000):
        document = json.loads(body)
        found[document["campaignTrackingId"]].add(document["body"]["text"])
    return sorted(map(len, found.values()))


@pytest.mark.parametrize(
    ("texts", "common", "personal"),
    [(Texts.SAME, 8, 0), (Texts.HALF, 4, 4), (Texts.PERSONAL, 0, 8)],
)
def test_so_many_campaigns_have_personal_texts(texts: Texts, common: int, personal: int) -> None:
    counts = _texts_of_campaigns(texts)
    assert counts[:common] == [1] * common
    assert len(counts[common:]) == personal
    assert all(count > 100 for count in counts[common:])


def test_a_personal_text_is_as_long_as_the_common_one() -> None:
    lengths = {
        len(body) for texts in Texts for body in islice(Callbacks("0123abcd-4567", texts), 190)
    }
    assert len(lengths) == len({"SENT", "DELIVERED"})  # words of 4 and of 9 letters
