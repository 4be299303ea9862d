"""Both forms of Retry-After."""

from datetime import UTC, datetime

import pytest

from app.routee.exchange import retry_after_seconds

NOW = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 5000, None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_from_seconds_and_dates(value: str, seconds: int | None) -> None:
    assert retry_after_seconds({"Retry-After": value}, now=NOW) == seconds


def test_a_missing_retry_after_is_none() -> None:
    assert retry_after_seconds({}) is None
