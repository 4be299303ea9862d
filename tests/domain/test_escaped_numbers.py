"""Telephone numbers that escapes are a part of."""

import json

import pytest

from app.domain.escaped_numbers import mask_escaped_numbers

MATHEMATICAL = "".join(chr(0x1D7CE + int(digit)) for digit in "306912345678")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (json.dumps("+306\t912\t345\t678"), '"***678"'),
        (json.dumps("306\u200b912\u200b345\u200b678"), '"***678"'),
        (json.dumps(MATHEMATICAL), '"***678"'),
        (json.dumps(json.dumps({"to": "+30\n6912\n345678"})), r'"{\"to\": \"***678\"}"'),
        ("https://x.example/?to=%2B30%36912345678&x=1", "https://x.example/?to=***678&x=1"),
        ("&#43;3069&#49;2345678!", "***678!"),
        (r"\u0033\x306912345678, 30 6912 345678", "***678, ***678"),
    ],
)
def test_a_number_is_masked_whatever_of_it_is_escaped(text: str, shown: str) -> None:
    assert mask_escaped_numbers(text) == shown


@pytest.mark.parametrize(
    "text", ["", "50 % off", r"C:\temp 12345", "2026-03-30 & later", r"\u0031\u0032", "a%20b"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert mask_escaped_numbers(text) == text


@pytest.mark.parametrize("piece", ["\\n", "1\\t", "%31", "\\", "%25", "&#49;", "\\u005c"])
def test_a_long_text_of_escapes_is_read_to_its_end(piece: str) -> None:
    text = f"{piece * 8000} x +306912345678"
    assert mask_escaped_numbers(text).endswith("***678")
