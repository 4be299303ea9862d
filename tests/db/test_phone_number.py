"""Telephone numbers in PostgreSQL: the same as in Python."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.domain import phone_number
from app.domain.masking import mask_number, mask_numbers
from app.domain.phone_number import better_number, canonical_number, with_ascii_digits
from tests.conftest import fresh_database
from tests.database import connect
from tests.domain.spellings import ODD_TEXTS, numbers_and_spellings

NUMBER = "+306912345678"

Ask = Callable[..., Any]

in_postgres = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def ask(server_url: str) -> Iterator[Ask]:
    """Asks PostgreSQL for one value, on a loop of its own: one test runs many examples."""
    with fresh_database(server_url) as url, asyncio.Runner() as runner:
        connection = runner.run(connect(url))
        yield lambda query, *given: runner.run(connection.fetchval(query, *given))
        runner.run(connection.close())


def test_postgresql_reads_the_numbers_that_python_reads(ask: Ask) -> None:
    @in_postgres
    @given(ODD_TEXTS)
    @example("3.0691E+11")
    @example("30.6912345678E9")
    @example("306912345678.0")
    @example("0.306912345678E12")
    @example("306912.00E0")
    @example("0E9")
    @example("tel:6912345678;phone-context=+30")
    @example("0" * 200)
    def _holds(text: str) -> None:
        assert ask("SELECT canonical_number($1)", text) == canonical_number(text)

    _holds()
    assert ask("SELECT canonical_number(NULL)") is None


def test_postgresql_knows_the_same_characters(ask: Ask) -> None:
    for function, part in (
        ("number_digits", phone_number.DIGITS),
        ("number_margins", phone_number.MARGINS),
        ("number_leading", phone_number.LEADING),
        ("number_separators", phone_number.SEPARATORS),
        ("number_pluses", phone_number.PLUSES),
    ):
        assert ask(f"SELECT {function}()") == part
    every_digit = "".join(map(phone_number.digit_in_all_scripts, "0123456789"))
    assert ask("SELECT with_ascii_digits($1)", every_digit) == with_ascii_digits(every_digit)


_BETTER = st.none() | ODD_TEXTS | st.sampled_from([NUMBER, "+306912345679", "+3", " 1", "é", "Z"])


def test_postgresql_prefers_the_spelling_that_python_prefers(ask: Ask) -> None:
    @in_postgres
    @given(_BETTER, _BETTER)
    def _holds(one: str | None, other: str | None) -> None:
        better = better_number(one, other)
        assert ask("SELECT better_number($1, $2)", one, other) == better
        given = [one, other, None]
        assert ask("SELECT best_number(n) FROM unnest($1::text[]) AS n", given) == better

    _holds()


def test_postgresql_masks_as_python_masks(ask: Ask) -> None:
    @in_postgres
    @given(ODD_TEXTS)
    @example("2026-03-30, +306912345678")
    @example("++20260330")
    @example("1E5")
    @example("\u0662\u0660260330")
    def _holds(text: str) -> None:
        assert ask("SELECT bi_v1.masked_number($1)", text) == mask_number(text)
        assert ask("SELECT bi_v1.masked_text($1)", text) == mask_numbers(text)

    _holds()


def _digits(text: str) -> str:
    return "".join(one for one in with_ascii_digits(text) if "0" <= one <= "9")


def test_no_spelling_of_a_number_can_be_read_when_it_is_masked(ask: Ask) -> None:
    @in_postgres
    @given(
        numbers_and_spellings(), st.sampled_from(["{}", "call {} now", "2026-03-30 {}!", "{}/x"])
    )
    def _holds(spelt: tuple[str, str], sentence: str) -> None:
        number, spelling = spelt
        assert ask("SELECT bi_v1.masked_number($1)", spelling) == f"***{number[-3:]}"
        if len(number) > 7:
            text = sentence.format(spelling)
            assert number[1:] not in _digits(ask("SELECT bi_v1.masked_text($1)", text))
            assert number[1:] not in _digits(mask_numbers(text))

    _holds()
