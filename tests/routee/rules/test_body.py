from datetime import datetime
from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routee.rules.body import LAYOUTS, SESSION_LAYOUTS
from tests.routee.rules.requests import (
    ACTION,
    FILE,
    IMAGE,
    TEXT,
    VIDEO,
    codes_at,
    faulty_fields,
    with_body,
)

PARTS: dict[str, dict[str, Any]] = {
    "Text": TEXT,
    "Image": IMAGE,
    "Action": ACTION,
    "File": FILE,
    "Video": VIDEO,
}
ALLOWED = [
    {"Text"},
    {"Image"},
    {"File"},
    {"Text", "Action"},
    {"Text", "Action", "Image"},
    {"Video"},
    {"Video", "Text"},
    {"Video", "Text", "Image"},
]
EVERY = [
    set(chosen)
    for chosen in chain.from_iterable(combinations(PARTS, size) for size in range(len(PARTS) + 1))
]


def sent_as(parts: set[str], *, session: bool = False) -> dict[str, Any]:
    document = with_body(*(PARTS[part] for part in sorted(parts)))
    return document | {"isSessionMessage": session}


@pytest.mark.parametrize("parts", EVERY, ids=lambda parts: "+".join(sorted(parts)) or "nothing")
def test_exactly_the_documented_layouts_are_allowed(parts: set[str]) -> None:
    assert (faulty_fields(sent_as(parts)) == []) == (parts in ALLOWED)


@pytest.mark.parametrize("parts", EVERY, ids=lambda parts: "+".join(sorted(parts)) or "nothing")
def test_session_messages_are_a_text_an_image_or_a_file(parts: set[str]) -> None:
    is_fine = faulty_fields(sent_as(parts, session=True)) == []
    assert is_fine == (parts in [{"Text"}, {"Image"}, {"File"}])


@pytest.mark.parametrize(
    ("parts", "session", "codes"),
    [
        (set(), False, ("400019002", "007")),
        ({"Text", "Image"}, False, ("400019002", "007")),
        ({"Text", "File"}, False, ("400019002", "007")),
        ({"Action"}, False, ("400019002", "007")),
        ({"Video", "Action"}, False, ("400019002", None)),
        ({"Video", "Image"}, False, ("400019002", None)),
        ({"Text", "Action"}, True, ("400019002", "020")),
        ({"Text", "Image"}, True, ("400019002", "020")),
        ({"Video"}, True, ("400019002", None)),
    ],
)
def test_a_refused_layout_carries_routees_codes(
    parts: set[str], codes: tuple[str, str | None], *, session: bool
) -> None:
    assert codes_at(sent_as(parts, session=session), "body") == [codes]


numbers = st.integers(6_900_000_000, 6_999_999_999).map("+30{}".format)
ids = st.uuids().map(str)
optional = {
    "campaignName": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 -]{1,27}", fullmatch=True),
    "ttl": st.integers(30, 86_400) | st.none(),
    "label": st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=350),
    "scheduledDate": st.datetimes(
        min_value=datetime(2027, 1, 1)  # noqa: DTZ001 (the zone is added below)
    ).map(lambda instant: f"{instant.isoformat(timespec='milliseconds')}+03:00"),
}


@given(
    layout=st.sampled_from([(one, False) for one in LAYOUTS])
    | st.sampled_from([(one, True) for one in SESSION_LAYOUTS]),
    to=st.lists(numbers, min_size=1, max_size=20, unique=True),
    contacts=st.lists(ids, max_size=20, unique=True) | st.none(),
    members=st.fixed_dictionaries({}, optional=optional),
)
def test_a_valid_request_of_each_layout_has_no_faults(
    layout: tuple[tuple[str, ...], bool],
    to: list[str],
    contacts: list[str] | None,
    members: dict[str, Any],
) -> None:
    parts, session = layout
    document = sent_as(set(parts), session=session) | members
    assert faulty_fields(document | {"to": to, "contacts": contacts}) == []
