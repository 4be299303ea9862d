from datetime import timedelta

import pytest

from app.domain.campaign import Submission
from app.domain.settlement import PAUSES, AttemptOutcome, pause_before, settlement_of


@pytest.mark.parametrize(
    ("outcome", "submission"),
    [
        (AttemptOutcome.ACCEPTED, Submission.LAUNCHED),
        (AttemptOutcome.NAME_IN_USE, Submission.REJECTED),
        (AttemptOutcome.REFUSED, Submission.REJECTED),
        (AttemptOutcome.UNANSWERED, Submission.UNCONFIRMED),
        (AttemptOutcome.NOT_SENT, Submission.REJECTED),
    ],
)
def test_a_first_attempt_is_settled_by_its_outcome(
    outcome: AttemptOutcome, submission: Submission
) -> None:
    settled = settlement_of(outcome, repeated=False, name_generated=False)
    assert settled.submission is submission


@pytest.mark.parametrize(
    "outcome", [AttemptOutcome.REFUSED, AttemptOutcome.UNANSWERED, AttemptOutcome.NOT_SENT]
)
@pytest.mark.parametrize("name_generated", [True, False])
def test_a_retry_that_is_not_accepted_proves_nothing_about_the_first(
    outcome: AttemptOutcome,
    name_generated: bool,  # noqa: FBT001 (parametrised)
) -> None:
    settled = settlement_of(outcome, repeated=True, name_generated=name_generated)
    assert settled == (Submission.UNCONFIRMED, True)


@pytest.mark.parametrize("repeated", [True, False])
def test_only_we_can_have_used_a_generated_name(repeated: bool) -> None:  # noqa: FBT001
    settled = settlement_of(AttemptOutcome.NAME_IN_USE, repeated=repeated, name_generated=True)
    assert settled.submission is Submission.LAUNCHED


def test_a_given_name_in_use_is_left_to_a_callback_or_a_person() -> None:
    settled = settlement_of(AttemptOutcome.NAME_IN_USE, repeated=True, name_generated=False)
    assert settled == (Submission.UNCONFIRMED, False)


def test_the_first_retry_cannot_overtake_the_first_attempt() -> None:
    assert pause_before(1) == timedelta(seconds=30)


def test_retrys_come_to_an_end() -> None:
    assert pause_before(len(PAUSES)) is not None
    assert pause_before(len(PAUSES) + 1) is None
