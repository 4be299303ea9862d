import re

import pytest

from app.domain.erasure import ErasureKeys, NotANumber, candidates, spellings, wanted_digits

KEYS = ErasureKeys(["one-key", "another-key"])


@pytest.mark.parametrize(
    "number",
    ["+306912345678", "306912345678", "00306912345678", "+30 691 234-5678", "+00306912345678"],
)
def test_every_spelling_of_a_number_is_the_same_recipient(number: str) -> None:
    mark = KEYS.marks_of("+306912345678")[0]
    assert KEYS.find(number, {mark.hash}) == mark
    assert re.search(spellings("306912345678"), f'{{"to":"{number}"}}')
    assert KEYS.find("+306912345679", {mark.hash}) is None


def test_a_hash_of_any_key_is_found_and_says_which_key_it_was() -> None:
    first, second = KEYS.marks_of("+306912345678")
    assert KEYS.find("306912345678", {second.hash}) == second
    assert first.pseudonym != second.pseudonym
    assert re.fullmatch(r"erased:[0-9a-f]{16}", first.pseudonym)


def test_a_part_of_a_longer_number_is_not_the_number() -> None:
    assert not re.search(spellings("306912345678"), "9306912345678 3069123456789")


def test_numbers_in_what_cannot_be_read_are_found() -> None:
    found = list(candidates(b"to=%2B306912345678&x=12 from (30) 691 234 5679"))
    mark = KEYS.marks_of("+306912345678")[0]
    assert any(KEYS.find(one, {mark.hash}) for one in found)


@pytest.mark.parametrize("number", ["", "12345", "1234567890123456", "+3069x2345678"])
def test_what_is_no_number_is_said_to_be_none(number: str) -> None:
    with pytest.raises(NotANumber):
        wanted_digits(number)


def test_a_key_is_told_from_others_without_being_known() -> None:
    first, second = KEYS.marks_of("+306912345678")
    assert KEYS.ids == {first.key_id, second.key_id}
    assert len(KEYS.ids) == 2
    assert first.key_id not in first.key
    assert ErasureKeys(["one-key"]).ids < KEYS.ids
