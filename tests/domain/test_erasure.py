import re

import pytest
from hypothesis import given

from app.domain.erasure import (
    ErasureKeys,
    NotANumber,
    digits_of,
    possible_numbers,
    spelling_pattern,
    valid_digits,
)
from tests.domain.spellings import numbers_and_spellings

KEYS = ErasureKeys(["one-key", "another-key"])


@pytest.mark.parametrize(
    "number",
    [
        "+306912345678",
        "306912345678",
        "00306912345678",
        "+30 691 234-5678",
        "+00306912345678",
        "0030\u00a0691\u20112345678",
        "\u202a+306912345678\u202c",
        "\u0663\u0660\u0666\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "3.06912345678E+11",
        "tel:+30-691-234-5678",
    ],
)
def test_every_spelling_of_a_number_is_the_same_recipient(number: str) -> None:
    number_hash = KEYS.hashes_of("+306912345678")[0]
    assert KEYS.find(number, {number_hash.hash}) == number_hash
    assert re.search(spelling_pattern("306912345678"), f'{{"to":"{number}"}}')
    assert KEYS.find("+306912345679", {number_hash.hash}) is None


@given(numbers_and_spellings())
def test_the_hash_and_the_digits_are_those_of_the_one_spelling(spelt: tuple[str, str]) -> None:
    number, spelling = spelt
    assert valid_digits(spelling) == digits_of(spelling) == number[1:]
    number_hash = KEYS.hashes_of(spelling)[0]
    assert KEYS.find(number, {number_hash.hash}) == number_hash


@pytest.mark.parametrize(
    "body",
    [
        '{"to":"\\u0663\\u0660\\u0666\\u0669\\u0661\\u0662345678"}',
        "to=%D9%A3%D9%A0%D9%A6912345678",
        "\uff13\uff10 \uff16\uff19\uff11 2345678",
        "to: 3.06912345678E+11",
        "\ud835\udfd1".encode("utf-16", "surrogatepass").decode("utf-16") + "06912345678",
    ],
)
def test_numbers_in_other_digits_and_notations_are_found(body: str) -> None:
    assert "306912345678" in set(possible_numbers(body.encode()))


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
