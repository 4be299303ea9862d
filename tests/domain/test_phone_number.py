import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.phone_number import (
    DIGITS,
    MARGINS,
    MAX_SPELLING_CHARACTERS,
    SEPARATORS,
    better_number,
    canonical_number,
    is_canonical,
)
from tests.domain.spellings import ODD_TEXTS, numbers_and_spellings

NUMBER = "+306912345678"


@given(numbers_and_spellings())
def test_every_spelling_of_a_number_is_one_number(spelt: tuple[str, str]) -> None:
    number, spelling = spelt
    assert canonical_number(spelling) == number


@pytest.mark.parametrize(
    "spelling",
    [
        "306912345678",
        " 306912345678",
        "00306912345678",
        "+00306912345678",
        "00 30 691 234 5678",
        "+30\u00a0691\u202f234\u20095678",
        "+30\u3000691\u2013234\u20145678",
        "+30\u2212691\uff0d234\u20115678",
        "(+30) 691.234.5678",
        "[30] 691/234/5678",
        "\u202a+306912345678\u202c",
        "+30\u200e691\u200f2345678",
        "\ufeff306912345678",
        "tel:+30-691-234-5678",
        "TEL: 00306912345678;ext=7",
        "+306912345678;ext=7;isub=1",
        "\u0663\u0660\u0666\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "\u06f0\u06f0\u06f3\u06f0\u06f6\u06f9\u06f12345678",
        "\uff0b\uff13\uff10\uff16\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",
        "\U0001d7d1\U0001d7ce6912345678",
        "3.06912345678E+11",
        "3,06912345678e11",
        "30.6912345678E10",
        "0.306912345678E12",
        "00306912345678.0",
        "306912345678.0",
        "306912345678.00",
    ],
)
def test_a_number_is_read_in_this_spelling(spelling: str) -> None:
    assert canonical_number(spelling) == NUMBER


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Routee",
        "12345",
        "+12345",
        "1" * 16,
        "+1234567890123456",
        "-306912345678",
        "+30691234567x",
        "306912345678 or 306912345679",
        "3.06912345678E+10",
        "3.0691E-11",
        "3.0691E+99",
        "1E+400",
        "tel:6912345678;phone-context=+30",
        "erased:0123456789abcdef",
        "0000306912345678",
        "0.5",
        "0E9",
        "1" + "\u200b" * MAX_SPELLING_CHARACTERS + "23456789",
    ],
)
def test_this_is_no_number(text: str) -> None:
    assert canonical_number(text) is None


@given(ODD_TEXTS)
def test_the_one_spelling_is_that_of_a_number_and_stays(text: str) -> None:
    found = canonical_number(text)
    if found is not None:
        assert is_canonical(found)
        assert re.fullmatch(r"\+[0-9]{6,15}", found)
        assert canonical_number(found) == found


def test_no_decimal_digit_blank_or_dash_of_unicode_is_forgotten() -> None:
    for code in range(1, sys.maxunicode + 1):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Nd":
            assert re.fullmatch(f"[{DIGITS}]", character), hex(code)
        if character.isspace():
            assert re.fullmatch(f"[{MARGINS}]", character), hex(code)
        if category == "Pd":
            assert re.fullmatch(f"[{SEPARATORS}]", character), hex(code)


better = (
    st.none() | ODD_TEXTS | st.sampled_from([NUMBER, "+306912345679", "+30 x", " 1", "erased:1"])
)


@given(better, better, better)
def test_the_better_spelling_wins_in_any_order(
    one: str | None, two: str | None, three: str | None
) -> None:
    assert better_number(one, two) == better_number(two, one)
    assert better_number(better_number(one, two), three) == better_number(
        one, better_number(two, three)
    )
    assert better_number(one, one) == one


@pytest.mark.parametrize(
    "worse", [" 30", "(0)", "!", "+3", "+30 691", "+0030691234567", "Routee", ""]
)
def test_a_number_is_better_than_any_other_text(worse: str) -> None:
    assert better_number(worse, NUMBER) == better_number(NUMBER, worse) == NUMBER


def test_of_two_numbers_the_lesser_one_is_better_as_it_always_was() -> None:
    assert better_number("+306912345679", NUMBER) == NUMBER
    assert better_number(None, NUMBER) == better_number(NUMBER, None) == NUMBER
    assert better_number(None, None) is None
