from itertools import groupby
from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st

from app.domain.event import DeliveryEvent, merged_event
from app.domain.message import MERGES, STATUS_COLUMNS, Message, merged, project, projected
from app.domain.status import RANK, Status
from tests.domain.strategies import deliveries, events

of_one_message = st.lists(
    events().map(lambda event: event._replace(message_tracking_id="m")), min_size=1, max_size=8
)
messages = of_one_message.map(project)


def test_every_column_of_a_message_has_its_merge() -> None:
    assert Message._fields == ("message_tracking_id", *STATUS_COLUMNS, *MERGES)


@given(messages, messages)
def test_merging_is_commutative(one: Message, other: Message) -> None:
    assert merged(one, other) == merged(other, one)


@given(messages, messages, messages)
def test_merging_is_associative(one: Message, two: Message, three: Message) -> None:
    assert merged(merged(one, two), three) == merged(one, merged(two, three))


@given(messages)
def test_merging_is_idempotent(message: Message) -> None:
    assert merged(message, message) == message


@given(of_one_message, st.randoms())
def test_any_order_any_repetition_same_result(stored: list[DeliveryEvent], random) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    shuffled = stored + random.choices(stored, k=random.randint(0, 5))
    random.shuffle(shuffled)
    assert project(shuffled) == project(stored)


@given(deliveries())
def test_events_are_the_truth(delivered: list[DeliveryEvent]) -> None:
    """What is known of a message does not change when reports of one event are merged first."""
    by_identity = attrgetter("identity")
    distinct: list[DeliveryEvent] = []
    for _, reports in groupby(sorted(delivered, key=by_identity), key=by_identity):
        kept, *others = reports
        for other in others:
            kept = merged_event(kept, other)
        distinct.append(kept)
    by_message = attrgetter("message_tracking_id")
    for message_id, of_message in groupby(sorted(distinct, key=by_message), key=by_message):
        of_one = [event for event in delivered if event.message_tracking_id == message_id]
        assert project(of_message) == project(of_one)


@given(events(), events())
def test_the_greater_rank_is_the_status_whatever_the_times_say(
    one: DeliveryEvent, other: DeliveryEvent
) -> None:
    other = other._replace(message_tracking_id=one.message_tracking_id)
    status = merged(projected(one), projected(other)).status
    assert RANK[status] == max(one.status_rank, other.status_rank)


def test_a_failure_may_still_become_delivered_and_delivered_seen() -> None:
    assert RANK[Status.FAILED] < RANK[Status.DELIVERED] < RANK[Status.SEEN]
