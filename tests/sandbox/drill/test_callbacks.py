from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import pytest

from app.domain.event import DeliveryEvent
from app.sandbox.drill.callbacks import SentCallback, Stream, callbacks
from app.sandbox.drill.expected import parts_of

START = datetime(2026, 3, 1, tzinfo=UTC)
URL = "http://127.0.0.1:8000/callbacks/token/inbound"


def _some(stream: Stream, *, seed: int = 1, items: int = 1500) -> list[SentCallback]:
    return list(islice(callbacks(stream, seed=seed, start=START, inbound_url=URL), items))


@pytest.mark.parametrize("stream", Stream)
def test_the_same_seed_gives_the_same_callbacks(stream: Stream) -> None:
    assert _some(stream, items=300) == _some(stream, items=300)
    assert _some(stream, items=300) != _some(stream, seed=2, items=300)


def test_no_two_callbacks_of_campaigns_are_the_same_row() -> None:
    parts = [part for one in _some(Stream.CAMPAIGNS) for part in parts_of(one)]
    identities = [part.record.identity for part in parts if part.record is not None]
    assert len(identities) == len(set(identities)) == len(parts)


def test_a_message_may_have_one_status_twice_at_different_times() -> None:
    events = [
        part.record
        for one in _some(Stream.CAMPAIGNS)
        for part in parts_of(one)
        if isinstance(part.record, DeliveryEvent)
    ]
    words = Counter((event.message_tracking_id, event.status_key) for event in events)
    assert max(words.values()) > 1


def test_campaigns_have_doubled_cut_and_odd_callbacks_and_none_that_cannot_be_read() -> None:
    sent = _some(Stream.CAMPAIGNS)
    assert any(one.is_doubled for one in sent)
    assert any(one.is_cut for one in sent)
    assert any(b'"Parked"' in one.body for one in sent)
    assert all(part.record is not None for one in sent for part in parts_of(one))


def test_garbage_is_quarantined_in_part_or_stored_or_too_large() -> None:
    sent = _some(Stream.GARBAGE, items=200)
    assert any(one.is_too_large for one in sent)
    parts = [parts_of(one) for one in sent if not one.is_too_large]
    assert any(all(part.record is None for part in its) for its in parts)
    assert any({part.record is None for part in its} == {True, False} for its in parts)


def test_a_jumping_clock_leaves_the_months_that_have_partitions() -> None:
    events = [
        part.record
        for one in _some(Stream.CLOCK)
        for part in parts_of(one)
        if isinstance(part.record, DeliveryEvent)
    ]
    days = {(event.occurred_at - START).days for event in events}
    assert min(days) < -60 and max(days) > 366  # noqa: PT018 (one range)
