from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.instants import parse_instant

AT = datetime(2019, 7, 5, 10, 28, 44, 996_000, tzinfo=UTC)
WHOLE = AT.replace(microsecond=0)

SPELLINGS = {
    "2019-07-05T10:28:44.996Z": AT,
    "2019-07-05t10:28:44.996z": AT,
    "2019-07-05 10:28:44,996 Z": AT,
    "2019-07-05\u00a010:28:44.996000999+00:00": AT,
    "  2019-07-05T10:28:44.9960000000000Z\n": AT,
    "\ufeff2019-07-05T10:28:44.996Z\u200b": AT,
    "2019-07-05T10:28:44.Z": WHOLE,
    "2019-07-05T10:28:44Z": WHOLE,
    "2019-07-05T10:28:44.9Z": AT.replace(microsecond=900_000),
    "2019-07-05T10:28:44.123456789Z": AT.replace(microsecond=123_456),
    "2019-07-05T10:28Z": WHOLE.replace(second=0),
    "2019-07-05T10Z": WHOLE.replace(minute=0, second=0),
    "2019/07/05 10:28:44Z": WHOLE,
    "2019-07-05T13:28:44+03": WHOLE,
    "2019-07-05T13:28:44+0300": WHOLE,
    "2019-07-05T13:28:44 +03:00": WHOLE,
    "2019-07-05T13:28:44 03:00": WHOLE,
    "2019-07-05T13:28:44.0 0300": WHOLE,
    "2019-07-05T08:28:44-02:00": WHOLE,
    "2019-07-05T08:28:44\u221202:00": WHOLE,
    "2019-07-05T10:28:44-00:00": WHOLE,
    "2019-07-05T16:13:44+05:45": WHOLE,
    "2019-07-05T10:28:44 UTC": WHOLE,
    "2019-07-05 10:28:44GMT": WHOLE,
    "2019-07-05 13:28:44 GMT+03:00": WHOLE,
    "2019-07-05T13:28:44+03:00[Europe/Athens]": WHOLE,
    "2019-07-05T10:28:44Z[UTC]": WHOLE,
    "2019-07-05T10:28:44Z[Mars/Phobos]": WHOLE,
    "2019-07-05T10:28:44[UTC]": WHOLE,
    "2019-07-05T13:28:44[Europe/Athens]": WHOLE,
    "2019-07-05T13:28:44 [Europe/Athens]": WHOLE,
    "2019-01-05T12:28:44[Europe/Athens]": datetime(2019, 1, 5, 10, 28, 44, tzinfo=UTC),
    "2016-12-31T23:59:60Z": datetime(2017, 1, 1, tzinfo=UTC),
    "2016-12-31T23:59:60.5Z": datetime(2017, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC),
    "2019-07-05T10:28:60Z": datetime(2019, 7, 5, 10, 29, tzinfo=UTC),
    "2019-07-05T24:00Z": datetime(2019, 7, 6, tzinfo=UTC),
    "2019-12-31T24:00:00.000Z": datetime(2020, 1, 1, tzinfo=UTC),
    "2019-07-05T24:00:00+03:00": datetime(2019, 7, 5, 21, tzinfo=UTC),
    "20190705T102844Z": WHOLE,
    "20190705T102844.996Z": AT,
    "20190705T132844+0300": WHOLE,
    "20190705 102844Z": WHOLE,
    "20190705102844Z": WHOLE,
    "Fri, 05 Jul 2019 10:28:44 GMT": WHOLE,
    "Fri, 5 Jul 2019 13:28:44 +0300": WHOLE,
    "05 Jul 2019 10:28:44 UTC": WHOLE,
    "fri, 05 JUL 2019 10:28:44 gmt": WHOLE,
    "Friday, 05-Jul-19 10:28:44 GMT": WHOLE,
    "Fri, 05-Jul-2019 10:28:44 GMT": WHOLE,
    "0001-01-01T00:00:00Z": datetime(1, 1, 1, tzinfo=UTC),
    "2020-02-29T00:00:00Z": datetime(2020, 2, 29, tzinfo=UTC),
}  # fmt: skip


@pytest.mark.parametrize(("text", "instant"), SPELLINGS.items())
def test_a_time_with_a_zone_is_read_in_utc(text: str, instant: datetime) -> None:
    found = parse_instant(text)
    assert found == instant
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "2019-07-05T10:28:44", "2019-07-05 10:28:44.000", "20190705T102844", "20190705102844",
        "Fri, 05 Jul 2019 10:28:44", "05-Jul-19 10:28:44",
        "\u0662\u0660\u0661\u0669-\u0660\u0667-\u0660\u0665T\u0661\u0660:\u0662\u0668:\u0664\u0664",
    ],
)  # fmt: skip
def test_a_time_without_a_zone_has_none(text: str) -> None:
    assert parse_instant(text) == WHOLE.replace(tzinfo=None)


def test_a_date_alone_begins_at_midnight() -> None:
    for text in ("2019-07-05", "20190705", "2019/07/05"):
        assert parse_instant(text) == datetime(2019, 7, 5)  # noqa: DTZ001 (it has no zone)


NO_TIMES = [
    "", " ", "Z", "T", "now", "yesterday", "2019", "2019-07", "10:28:44", "T10:28:44Z",
    # Ambiguous.
    "05/07/2026", "05/07/2026 10:00", "05-07-2026T10:00:00Z", "5.7.2026", "26-07-05", "190705",
    "2019-07-05T10:28:44 EST", "2019-07-05T10:28:44 IST", "2019-07-05T10:28:44 02",
    "2019-07-05T10:28:44[CET]", "2019-7-5T10:28:44Z", "2019-W27-5", "2019-186",
    # Impossible.
    "2019-02-29T00:00:00Z", "2019-13-01T00:00:00Z", "2019-00-10T00:00:00Z", "2019-07-32T00:00:00Z",
    "2019-07-05T25:00:00Z", "2019-07-05T24:00:01Z", "2019-07-05T24:00:00.000001Z",
    "2019-07-05T24:30Z", "2019-07-05T10:60:00Z", "2019-07-05T10:28:61Z", "0000-01-01T00:00:00Z",
    "2019-07-05T10:28:44+24:00", "2019-07-05T10:28:44+03:60", "2019-07-05T10:28:44+3",
    "2019-07-05T10:28:44[Mars/Phobos]", "2019-07-05T10:28:44[../../etc/passwd]",
    "2019-07-05T10:28:44[/etc/localtime]", "2019-07-05T10:28:44[localtime]",
    "2019-07-05T10:28:44[Europe]", "2019-07-05T10:28:44[right/Europe/Athens]",
    "Fri, 32 Jul 2019 10:28:44 GMT", "Fri, 05 Jux 2019 10:28:44 GMT",
    "Fri, 05 Jul 2019 25:28:44 GMT", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    # Something else follows or comes first.
    "2019-07-05T10:28:44ZZ", "2019-07-05T10:28:44Z.", "x2019-07-05T10:28:44Z",
    "2019-07-05T10:28:44Z\x00", "2019-07-05TT10:28:44Z", "2019-07-05T10:28:44.5.5Z",
    "2019-07/05T10:28:44Z", "2019-07-05T10:28:44Z[", "2019-07-05-02:00", "2019-07-05Z",
    "2019-07-05T10:28:44." + "9" * 100 + "Z", "9" * 100_000, "2019-07-05T" + "1" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES, ids=lambda text: text[:40])
def test_what_is_ambiguous_or_impossible_is_no_time(text: str) -> None:
    assert parse_instant(text) is None


instants = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
offsets = st.integers(-14 * 60, 14 * 60).map(lambda at: timezone(timedelta(minutes=at)))


@given(instants, offsets)
def test_what_python_writes_is_read_back(instant: datetime, offset: timezone) -> None:
    local = instant.astimezone(offset)
    assert parse_instant(local.isoformat()) == instant
    assert parse_instant(local.isoformat().replace("+", " ")) == instant
    assert parse_instant(f"{local:%Y%m%dT%H%M%S.%f%z}") == instant
    assert parse_instant(f"{local:%a, %d %b %Y %H:%M:%S %z}") == instant.replace(microsecond=0)


@given(st.text(max_size=40) | st.from_regex(r"[0-9TZ:. +\[\]-]{1,40}"))
def test_nothing_makes_it_raise(text: str) -> None:
    found = parse_instant(text)
    assert found is None or found.tzinfo in (None, UTC)
