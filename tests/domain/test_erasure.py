import re

import pytest

from app.domain.erasure import (
    ErasureKeys,
    NotANumber,
    possible_numbers,
    spelling_pattern,
    valid_digits,
)

KEYS = ErasureKeys(["one-key", "another-key"])


@pytest.mark.parametrize(
    "number",
    ["+306912345678", "306912345678", "00306912345678", "+30 691 234-5678", "+00306912345678"],
)
def test_every_spelling_of_a_number_is_the_same_recipient(number: str) -> None:
    number_hash = KEYS.hashes_of("+306912345678")[0]
    assert KEYS.find(number, {number_hash.hash}) == number_hash
    assert re.search(spelling_pattern("306912345678"), f'{{"to":"{number}"}}')
    assert KEYS.find("+306912345679", {number_hash.hash}) is None


def test_a_hash_with_any_key_is_found_and_names_its_key() -> None:
    first, second = KEYS.hashes_of("+306912345678")
    assert KEYS.find("306912345678", {second.hash}) == second
    assert first.pseudonym != second.pseudonym
    assert re.fullmatch(r"erased:[0-9a-f]{16}", first.pseudonym)


def test_a_part_of_a_longer_number_is_not_the_number() -> None:
    assert not re.search(spelling_pattern("306912345678"), "9306912345678 3069123456789")


def test_numbers_in_unreadable_bytes_are_found() -> None:
    found = list(possible_numbers(b"to=%2B306912345678&x=12 from (30) 691 234 5679"))
    number_hash = KEYS.hashes_of("+306912345678")[0]
    assert any(KEYS.find(one, {number_hash.hash}) for one in found)


@pytest.mark.parametrize("number", ["", "12345", "1234567890123456", "+3069x2345678"])
def test_a_text_that_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(NotANumber):
        valid_digits(number)


def test_a_key_id_distinguishes_keys_without_revealing_them() -> None:
    first, second = KEYS.hashes_of("+306912345678")
    assert KEYS.ids == {first.key_id, second.key_id}
    assert len(KEYS.ids) == 2
    assert first.key_id not in first.key
    assert ErasureKeys(["one-key"]).ids < KEYS.ids
