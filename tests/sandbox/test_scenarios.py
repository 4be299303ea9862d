from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from app.sandbox.ledger import Occurrence, SimulatedMessage
from app.sandbox.requests import read_campaign_request
from app.sandbox.scenarios import simulate_messages

STARTED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

FAILURES = {
    ("UNDELIVERED", "Not Viber User"),
    ("UNDELIVERED", "Opted Out"),
    ("UNDELIVERED", "System Failure"),
    ("UNDELIVERED", "Message Rejected"),
    ("UNDELIVERED", "Timed Out"),
    ("UNDELIVERED", "Unsupported Equipment"),
    ("EXPIRED", "TTL Expired"),
    ("FAILED", None),
    ("UNSENT", None),
}


def simulated(recipients: int, seed: int = 1, **fields: object) -> list[SimulatedMessage]:
    request = {"to": [f"+30691{number:07d}" for number in range(recipients)], "body": {}}
    return simulate_messages(
        read_campaign_request(request | fields),
        started_at=STARTED_AT,
        rng=Random(seed),  # noqa: S311 (no secret)
    )


def detailed_status(occurrence: Occurrence) -> str | None:
    return occurrence.reason.detailed_status if occurrence.reason else None


@pytest.mark.parametrize("seed", range(20))
def test_with_a_hundred_recipients_each_failure_is_the_final_status_of_some_message(
    seed: int,
) -> None:
    finals = {
        (message.final.status, detailed_status(message.final)) for message in simulated(100, seed)
    }

    assert finals == FAILURES | {("SEEN", None), ("DELIVERED", "Delivered")}


@pytest.mark.parametrize("seed", range(20))
def test_with_a_hundred_recipients_some_reply_and_all_of_them_have_seen(seed: int) -> None:
    replied = [message for message in simulated(100, seed) if message.replies]

    assert {len(message.replies) for message in replied} == {1, 2}
    assert {message.final.status for message in replied} == {"SEEN"}


def test_most_messages_are_queued_then_delivered_then_seen() -> None:
    courses = [
        [occurrence.status for occurrence in message.occurrences] for message in simulated(1000)
    ]

    assert courses.count(["QUEUED", "DELIVERED", "SEEN"]) > 500


def test_the_times_of_a_message_increase_in_whole_milliseconds() -> None:
    for message in [*simulated(300), *simulated(100, ttl=0)]:
        times = [occurrence.occurred_at for occurrence in message.occurrences]
        times += [reply.sent_at for reply in message.replies]
        assert all(earlier < later for earlier, later in pairwise(times))
        assert all(time.microsecond % 1000 == 0 for time in times)
        assert times[0] >= STARTED_AT
        assert times[-1] < STARTED_AT + timedelta(minutes=3)


def test_a_message_expires_when_its_ttl_is_over() -> None:
    expired = [message for message in simulated(100, ttl=30) if message.final.status == "EXPIRED"]

    spans = {message.final.occurred_at - message.created_at for message in expired}
    assert spans == {timedelta(seconds=30)}


def test_a_resent_message_that_arrives_is_delivered_and_not_undelivered() -> None:
    resent = [message for message in simulated(100) if len(message.occurrences) == 4]

    statuses = [occurrence.status for occurrence in resent[0].occurrences]
    assert statuses == ["QUEUED", "UNDELIVERED", "QUEUED", "DELIVERED"]
    assert resent[0].final.status == "DELIVERED"


def test_the_same_seed_gives_the_same_scenarios_with_new_ids() -> None:
    def course(messages: list[SimulatedMessage]) -> list[object]:
        return [
            [(o.status, detailed_status(o), o.occurred_at) for o in message.occurrences]
            + [(reply.message, reply.sent_at) for reply in message.replies]
            for message in messages
        ]

    first, second, other = simulated(100), simulated(100), simulated(100, seed=2)

    assert course(first) == course(second)
    assert course(first) != course(other)
    assert not {m.tracking_id for m in first} & {m.tracking_id for m in second}


def test_a_single_recipient_has_a_scenario_too() -> None:
    assert len(simulated(1)) == 1
