import re
import unicodedata
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.campaign import Submission
from app.domain.explained_words import EFFECTS, QUARANTINE_REASONS, REPLAY_OUTCOMES, SUBMISSIONS
from app.domain.explanations import (
    OVERDUE,
    REASONS,
    STATUSES,
    ExplainedWord,
    Explanation,
    explanation_of,
)
from app.domain.history import Effect
from app.domain.quarantine import Reason, ReplayOutcome
from app.domain.status import AWAITING, FAILURES, Status

#: Routee's reasons (routee-contract, section 3), with a status that each comes with.
DOCUMENTED = {
    "Not Viber User": Status.UNDELIVERED,
    "Opted Out": Status.UNDELIVERED,
    "System Failure": Status.UNDELIVERED,
    "Message Rejected": Status.UNDELIVERED,
    "Timed Out": Status.UNDELIVERED,
    "Unsupported Equipment": Status.UNDELIVERED,
    "TTL Expired": Status.EXPIRED,
    "Insufficient Balance": Status.UNSENT,
}
#: What only we know: a reader of the explanations should not have to learn it.
INTERNALS = re.compile(
    r"\b(rank|projection|epoch|cursor|batch|flush|receipt|tick|watermark|payload|delta|poison"
    r"|deduplicat\w*|idempoten\w*|upsert|transaction|row|enum|null|NULL|event|events)\b|_[a-z]|"
    r"[a-z]_"
)
TABLES: Mapping[type[StrEnum], Mapping[Any, Explanation]] = {
    Submission: SUBMISSIONS,
    Effect: EFFECTS,
    Reason: QUARANTINE_REASONS,
    ReplayOutcome: REPLAY_OUTCOMES,
}
EXPLAINED: list[Explanation | ExplainedWord] = [
    *STATUSES.values(),
    *REASONS.values(),
    OVERDUE,
    *(explanation for table in TABLES.values() for explanation in table.values()),
]
#: Of what comes in no everyday text, and half of a character.
ODD_TEXTS = st.text(
    st.characters() | st.sampled_from("\0\n\t\ud800\udfff\u202e\u2066\u200f“”…👍🏽\u200d"),
    max_size=60,
) | st.sampled_from(["x" * 4000, "👨‍👩‍👧" * 800, "\u202e" * 4000, "\0" * 4000, " " * 4000])
STATUS_WORDS = st.sampled_from([AWAITING, *Status]) | ODD_TEXTS


def _explained(
    status: str, detailed: str | None = None, description: str | None = None
) -> Explanation:
    return explanation_of(status, detailed, description, is_overdue=False)


def test_every_status_is_explained() -> None:
    assert set(STATUSES) == {AWAITING, *Status}


@pytest.mark.parametrize("words", TABLES, ids=lambda words: str(words.__name__))
def test_every_word_of_ours_is_explained(words: type[StrEnum]) -> None:
    assert set(TABLES[words]) == set(words)


def _headline(explained: Explanation | ExplainedWord) -> str:
    return explained.headline


@pytest.mark.parametrize("explained", EXPLAINED, ids=_headline)
def test_an_explanation_is_made_of_plain_sentences(explained: Explanation | ExplainedWord) -> None:
    for text in filter(None, (explained.text, explained.action)):
        assert re.fullmatch(r"[A-Z].*\.", text)
        assert not INTERNALS.search(text), text
        assert "  " not in text
    assert explained.headline[0].isupper()
    assert len(explained.headline) <= 80


def test_each_headline_is_there_once() -> None:
    tables: list[Mapping[Any, Explanation | ExplainedWord]]
    tables = [STATUSES, REASONS, *TABLES.values()]
    for table in tables:
        headlines = [explained.headline for explained in table.values()]
        assert len(set(headlines)) == len(headlines)


@pytest.mark.parametrize("status", sorted(FAILURES))
def test_every_failure_says_what_to_do(status: Status) -> None:
    assert STATUSES[status].action


@pytest.mark.parametrize(("reason", "status"), DOCUMENTED.items())
@pytest.mark.parametrize("spelling", [str, str.upper, str.lower, " {} \u200b".format])
def test_a_documented_reason_is_explained_however_it_is_spelt(
    reason: str, status: Status, spelling: Callable[[str], str]
) -> None:
    found = _explained(status, spelling(reason), "Any sentence.")
    word = REASONS[reason]
    assert (found.text, found.action) == (word.text, word.action)
    assert found.headline == f"{STATUSES[status].name}: {word.gist}."


def test_the_headline_says_the_status_and_the_reason() -> None:
    found = _explained("UNDELIVERED", "Not Viber User")
    assert found.headline == "Undelivered: the number has no Viber."


def test_a_status_without_a_reason_is_explained_by_itself() -> None:
    for status, word in STATUSES.items():
        if status != Status.UNKNOWN:
            assert _explained(status) == (word.headline, word.text, word.action)


def test_a_reason_that_repeats_the_status_adds_nothing() -> None:
    sentence = "The message was delivered to its recipient."
    assert _explained("DELIVERED", "Delivered", sentence) == _explained("DELIVERED")


def test_the_sentence_of_a_failure_whose_reason_repeats_it_is_quoted() -> None:
    found = _explained("FAILED", "Failed", "The file has gone.")
    word = STATUSES[Status.FAILED]
    assert found.text == f"{word.text} Routee says: “The file has gone.”"
    assert (found.headline, found.action) == (word.headline, word.action)


def test_an_unknown_reason_is_quoted_after_what_the_status_means() -> None:
    found = _explained("UNDELIVERED", "Blocked Prefix", "The prefix is blocked.")
    word = STATUSES[Status.UNDELIVERED]
    assert found.text == f"{word.text} Routee says: “Blocked Prefix: The prefix is blocked.”"
    assert (found.headline, found.action) == (word.headline, word.action)


def test_the_reason_of_a_failure_does_not_explain_a_success() -> None:
    found = _explained("DELIVERED", "Opted Out")
    assert found.headline == STATUSES[Status.DELIVERED].headline
    assert found.text.endswith("Routee says: “Opted Out”.")


def test_a_word_that_is_not_known_is_named() -> None:
    found = explanation_of("UNKNOWN", None, None, provider_status="Clicked", is_overdue=False)
    assert found.headline == "Unknown: Routee sent the word “Clicked”."
    assert found.text.startswith(
        "Routee sent the word “Clicked”, which this version does not know."
    )
    assert _explained("CLICKED").headline == "Unknown: Routee sent the word “CLICKED”."


@pytest.mark.parametrize("word", [None, "", " \0"])
def test_a_status_without_a_word_is_said_to_have_none(word: str | None) -> None:
    found = explanation_of("UNKNOWN", None, None, provider_status=word, is_overdue=False)
    assert found.headline == "Unknown: Routee sent no word for it."


@pytest.mark.parametrize("status", [AWAITING, "QUEUED", "SENT"])
def test_what_is_overdue_is_said_to_be_so(status: str) -> None:
    found = explanation_of(status, None, None, is_overdue=True)
    assert found.headline == (
        f"{STATUSES[status].headline} Overdue: the campaign is over and no final status came."
    )
    assert found.text == f"{STATUSES[status].text} {OVERDUE.text}"
    assert found.action == OVERDUE.action


def test_a_long_quote_is_cut() -> None:
    assert len(_explained("FAILED", "x" * 350, "y" * 1000).text) < 800


def test_a_quote_cannot_turn_the_sentence_around_it() -> None:
    found = _explained("FAILED", "\u202e\u2066abc\0\n\td\ud800")
    assert found.text.endswith("Routee says: “abc d”.")


@given(STATUS_WORDS, st.none() | ODD_TEXTS, st.none() | ODD_TEXTS, st.none() | ODD_TEXTS)
def test_any_words_are_explained(
    status: str, detailed: str | None, description: str | None, provider_status: str | None
) -> None:
    for is_overdue in (False, True):
        found = explanation_of(
            status, detailed, description, provider_status=provider_status, is_overdue=is_overdue
        )
        for text in filter(None, found):
            assert text.encode().decode() == text
            assert not [one for one in text if unicodedata.category(one) == "Cc"]
            assert len(text) < 1500
        assert found.headline
        assert found.text.endswith((".", "”"))
