import json
import re

import pytest

from app.domain.erasure import spelling_pattern
from app.services.erasure.redaction import _PIECE_CHARACTERS, is_in, redacted_json, without_number

DIGITS = "306912345678"
OTHER = "306987654321"
PATTERN = re.compile(spelling_pattern(DIGITS))
PSEUDONYM = "erased:0123456789abcdef"


@pytest.mark.parametrize("before", range(_PIECE_CHARACTERS - 14, _PIECE_CHARACTERS + 3))
def test_a_number_is_found_wherever_a_large_text_is_cut(before: int) -> None:
    filling = "x" * before
    assert is_in(f"{filling}{DIGITS}{filling}", PATTERN)
    assert not is_in(f"{filling}{DIGITS}9{filling}", PATTERN)
    assert not is_in(f"{filling}9{DIGITS}{filling}", PATTERN)
    assert is_in(f"{filling}{DIGITS}9 {DIGITS}", PATTERN)


def test_a_number_in_json_is_redacted_however_it_is_spelt() -> None:
    body = b'{"\\u0033\\u003069\\u0031\\u00a02345678":[306912345678,"+30 691 234 5678",1.50]}'
    redacted = redacted_json(body, PATTERN, PSEUDONYM)
    assert redacted == f'{{"{PSEUDONYM}":["{PSEUDONYM}","{PSEUDONYM}",1.50]}}'.encode()
    assert redacted_json(body, PATTERN, PSEUDONYM, leave_out=True) == (
        f'{{"{PSEUDONYM}":["{PSEUDONYM}",1.50]}}'.encode()
    )


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"to": DIGITS, "text": "secret"}, None),
        ({"to": int(DIGITS)}, None),
        ({DIGITS: "secret"}, None),
        ([{"to": DIGITS}, {"to": OTHER}, 1], [{"to": OTHER}, 1]),
        ([{"of": {"to": DIGITS}}], None),
        ({"messages": [{"to": DIGITS}, {"to": OTHER}]}, {"messages": [{"to": OTHER}]}),
        ({"to": [DIGITS], "text": "secret"}, None),
        ({"to": OTHER, "of": []}, {"to": OTHER, "of": []}),
    ],
)
def test_what_is_of_other_people_stays(value: object, left: object) -> None:
    body = json.dumps(value).encode()
    expected = b"" if left is None else json.dumps(left).encode()
    found = without_number(body, PATTERN, PSEUDONYM)
    assert found == expected or json.loads(found) == left


@pytest.mark.parametrize(
    "spelling",
    [
        "\u0663\u0660\u0666\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "\uff10\uff10\uff13\uff10 \uff16\uff19\uff11 2345678",
        "3.06912345678E+11",
        "3,06912345678e11",
        "+30) - 691 - (2345678",
        "+30\\/691\\/2345678",
        "+30\\t691\\n2345678",
        "%D9%A3%D9%A0%D9%A6%D9%A9%D9%A12345678",
        "\\u0663\\u06606912345678",
        "\\ud835\\udfd1\\ud835\\udfce6912345678",
    ],
)
def test_a_number_in_a_body_is_removed_however_it_is_spelt(spelling: str) -> None:
    broken = f'{{"to":"{spelling}","from":"{OTHER}'.encode() + b"\xff"
    expected = f'{{"to":"{PSEUDONYM}","from":"{OTHER}'.encode() + b"\xff"
    assert without_number(broken, PATTERN, PSEUDONYM) == expected
    whole = f'[{{"to":"{spelling}","text":"secret"}},{{"to":"{OTHER}"}}]'.encode()
    assert without_number(whole, PATTERN, PSEUDONYM) == f'[{{"to":"{OTHER}"}}]'.encode()
    assert redacted_json(whole, PATTERN, PSEUDONYM) == (
        f'[{{"to":"{PSEUDONYM}","text":"secret"}},{{"to":"{OTHER}"}}]'.encode()
    )


def test_a_number_that_json_has_as_a_fraction_or_with_an_exponent_is_removed() -> None:
    body = b'{"to":306912345678.0,"from":[3.06912345678E+11],"price":0.035}'
    redacted = redacted_json(body, PATTERN, PSEUDONYM)
    assert redacted == f'{{"to":"{PSEUDONYM}","from":["{PSEUDONYM}"],"price":0.035}}'.encode()
    rounded = re.compile(spelling_pattern("306900000000"))
    assert without_number(b'[{"to":3.069E+11}, {"to":3.069E+12}]', rounded, PSEUDONYM) == (
        b'[{"to":3.069E+12}]'
    )


def test_a_body_that_is_not_json_loses_only_the_number() -> None:
    body = f'{{"to":"{DIGITS}","from":"{OTHER}'.encode() + b"\xff\x00"
    assert without_number(body, PATTERN, PSEUDONYM) == body.replace(
        DIGITS.encode(), PSEUDONYM.encode()
    )
    assert without_number(b"to=" + OTHER.encode(), PATTERN, PSEUDONYM) == b"to=306987654321"
