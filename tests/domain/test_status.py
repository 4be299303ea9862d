from string import ascii_letters

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.status import Status, key_of, status_of


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("delivered", "DELIVERED"),
        ("Seen", "SEEN"),
        ("del\u0131vered", "DELIVERED"),
        ("DEL\u0130VERED", "DELIVERED"),
        ("\uff53\uff45\uff45\uff4e", "SEEN"),
        ("\uff33\uff25\uff25\uff2e", "SEEN"),
        ("straße", "STRAßE"),
        ("ŉ", "ŉ"),
        ("ﬁnal", "ﬁNAL"),
        ("\u019b", "\u019b"),  # a capital of it came with Python 3.14
        ("Ω-ω", "Ω-ω"),
    ],
)
def test_a_word_is_upper_cased_letter_by_letter(word: str, key: str) -> None:
    assert key_of(word) == key


@given(st.text())
def test_a_key_has_as_many_characters_and_stays_itself(word: str) -> None:
    key = key_of(word)
    assert len(key) == len(word)
    assert key_of(key) == key


@given(st.text(ascii_letters + " _-0", max_size=20))
def test_ascii_is_upper_cased_as_everywhere(word: str) -> None:
    assert key_of(word) == word.upper()


def test_every_status_is_its_own_key() -> None:
    for status in Status:
        assert status_of(key_of(status.title())) is status
