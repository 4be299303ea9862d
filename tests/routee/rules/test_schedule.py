from datetime import timedelta

import pytest

from tests.routee.rules.requests import NOW, codes_at, faulty_fields, request, warnings


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-01T12:00:01Z",
        "2031-05-14T09:30:00Z",
        "2031-05-14T09:30Z",
        "2031-05-14T09:30:00.123Z",
        "2031-05-14T09:30:00.123456789+03:00",
        "2031-05-14T09:30:00-0330",
        "2026-03-01T15:00:01+03:00",
        "9999-12-31T23:59:59-12:00",
        None,
    ],
)
def test_an_instant_in_the_future_is_fine(written: object) -> None:
    assert faulty_fields(request(scheduledDate=written)) == []


@pytest.mark.parametrize(
    "written",
    [
        NOW.isoformat(),
        (NOW - timedelta(seconds=1)).isoformat(),
        "2026-03-01T14:59:59+03:00",
        "0001-01-01T00:00:00+12:00",
    ],
)
def test_now_and_the_past_are_refused(written: str) -> None:
    assert faulty_fields(request(scheduledDate=written)) == ["scheduledDate"]


@pytest.mark.parametrize(
    "written",
    [
        "2031-05-14T09:30:00",
        "2031-05-14",
        "2031-05-14 09:30:00Z",
        "2031-W20-3T09:30:00Z",
        "2031-13-14T09:30:00Z",
        "2031-05-14T25:30:00Z",
        "2031-05-14T09:30:00+99:00",
        "tomorrow",
        "",
        1936517400000,
        True,
    ],
)
def test_a_text_that_is_no_instant_with_a_zone_is_refused(written: object) -> None:
    assert faulty_fields(request(scheduledDate=written)) == ["scheduledDate"]


@pytest.mark.parametrize("ttl", [30, 300, 86_400, None])
def test_a_ttl_from_30_seconds_to_a_day_is_fine(ttl: object) -> None:
    assert faulty_fields(request(ttl=ttl)) == []


@pytest.mark.parametrize("ttl", [86_401, 10**4000])
def test_a_ttl_beyond_a_day_carries_routees_code(ttl: int) -> None:
    assert codes_at(request(ttl=ttl), "ttl") == [("400000000", None)]


@pytest.mark.parametrize("ttl", [29, 0, -300, "300", 300.5, True, [300]])
def test_any_other_ttl_is_refused(ttl: object) -> None:
    assert codes_at(request(ttl=ttl), "ttl") == [(None, None)]


@pytest.mark.parametrize(
    ("ttl", "is_short"), [(29, False), (30, True), (299, True), (300, False), (None, False)]
)
def test_a_ttl_too_short_for_web_clients_is_a_warning(ttl: object, *, is_short: bool) -> None:
    assert warnings(request(ttl=ttl)) == ([("ttl-short", "ttl")] if is_short else [])
