"""The charts say what their tables say, whatever the numbers and labels are."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.status import AWAITING, Status
from app.web.charts import (
    Chart,
    Item,
    Kind,
    Point,
    Series,
    bar_of_counts,
    columns_over_time,
    funnel,
    horizontal_bars,
    kind_of,
    legend,
    swatch,
)
from app.web.charts.axes import time_marks, top_of
from app.web.charts.buckets import DAY, HOUR, MAX_COLUMNS, gathered
from app.web.charts.words import NO_NUMBER, abbreviated, cut, share
from app.web.rendering import templates

WEB: Final = Path(__file__).parents[2] / "app/web"
JULY: Final = datetime(2026, 7, 4, 21, tzinfo=UTC)
SERIES: Final = (Series("Delivered", Kind.DELIVERED), Series("Seen", Kind.SEEN))
#: All that a text from outside may be.
NASTY: Final = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'so'",
    "\x00\x1b[31m\ufffe\ud800",
    "\u202edesrever",
    "هذا الرقم لا يستخدم فايبر",
    "x" * 4000,
    "👩‍👩‍👧‍👦" * 500,
    "two\nlines\u2028or three",
    "",
)

numbers = st.integers(min_value=0, max_value=2**63 - 1)
labels = st.one_of(st.text(), st.sampled_from(NASTY))
instants = st.datetimes(timezones=st.just(UTC))
points = st.builds(Point, instants, st.tuples(*[st.none() | numbers] * len(SERIES)))


def _over_time(points: list[Point], step: timedelta = HOUR) -> Chart:
    return columns_over_time(points, SERIES, caption="Delivery over time", step=step)


def _by_hour(*numbers: tuple[int | None, int | None]) -> list[Point]:
    return [Point(JULY + at * HOUR, pair) for at, pair in enumerate(numbers)]


def _root(chart: Chart) -> ET.Element:
    """The picture, which must be well-formed XML."""
    return ET.fromstring(chart.svg)  # noqa: S314 (made here)


def _words(chart: Chart) -> str:
    return " ".join(_root(chart).itertext())


def _numbers_of(chart: Chart) -> Iterator[str]:
    for row in chart.table.rows:
        yield from (cell for cell in row[1:] if cell.replace(",", "").isdecimal())


def _assert_sound(chart: Chart) -> None:
    """It is XML with a name for screen readers, and no style that a strict policy forbids."""
    root = _root(chart)
    assert root.get("role") == "img"
    assert root[0].tag == "title"
    assert root[0].text
    names = {name for part in root.iter() for name in part.keys()}  # noqa: SIM118 (no dict)
    assert not names & {"style", "href", "onload", "id"}
    assert {part.tag for part in root.iter()} <= {"svg", "title", "text", "rect", "line", "g"}
    assert all(len(row) == len(chart.table.head) for row in chart.table.rows)
    missing = [number for number in _numbers_of(chart) if number not in _words(chart)]
    assert missing == []


@given(
    counts=st.dictionaries(st.sampled_from([*Status, AWAITING]), numbers),
    total=st.none() | numbers,
)
def test_a_bar_of_counts_is_sound_whatever_is_counted(
    counts: dict[str, int], total: int | None
) -> None:
    chart = bar_of_counts(counts, total)
    if not any(counts.values()) and not total:
        assert (str(chart.svg), chart.sentence) == ("", "No messages yet.")
        return
    _assert_sound(chart)
    bars = list(_root(chart).iter("rect"))
    assert len(bars) == len(chart.table.rows)
    assert all(float(bar.get("width", 0)) >= 2 for bar in bars)
    right = max(float(bar.get("x", 0)) + float(bar.get("width", 0)) for bar in bars)
    assert right == pytest.approx(120, abs=0.1)


def test_a_bar_of_counts_says_in_words_what_it_shows() -> None:
    chart = bar_of_counts({"SEEN": 1204, "UNDELIVERED": 20, "EXPIRED": 2, "QUEUED": 0}, 2000)
    said = "2,000 messages: 1,204 seen, 774 without a callback yet, 22 failed."
    assert chart.sentence == said
    assert _root(chart)[0].text == said
    assert chart.table.rows[0] == ("Seen", "1,204", "60.2 %")


def test_more_messages_than_recipients_are_all_shown() -> None:
    assert bar_of_counts({"SEEN": 3}, 2).sentence == "3 messages: 3 seen."


def test_each_kind_of_status_has_a_texture_of_its_own() -> None:
    kinds = [kind for kind in Kind if kind is not Kind.REPLIED]
    textures = {kind: re.sub(r'class="c-\w+"', "", swatch(kind)) for kind in kinds}
    # What is awaited is drawn as an outline alone.
    assert len({textures[kind] for kind in kinds if kind is not Kind.AWAITED}) == len(kinds) - 1
    assert len(legend()) == len(kinds)
    assert {kind_of(status) for status in (*Status, AWAITING)} == set(kinds)


@given(st.tuples(numbers, numbers, numbers, numbers))
def test_a_funnel_is_sound_whatever_its_numbers_are(steps: tuple[int, int, int, int]) -> None:
    chart = funnel(*steps)
    if any(steps):
        _assert_sound(chart)
    else:
        assert (str(chart.svg), chart.sentence) == ("", "Nothing has been sent yet.")


def test_a_funnel_has_the_rates_of_its_steps() -> None:
    chart = funnel(1000, 900, 450, 9)
    assert chart.table.rows == [
        ("Sent", "1,000", "100 %", "100 %"),
        ("Delivered", "900", "90.0 %", "90.0 %"),
        ("Seen", "450", "45.0 %", "50.0 %"),
        ("Replied", "9", "0.9 %", "2.0 %"),
    ]
    assert "450 · 45.0 % of sent" in _words(chart)


@given(st.lists(st.builds(Item, labels, numbers), max_size=20))
def test_horizontal_bars_are_sound_whatever_the_labels_are(items: list[Item]) -> None:
    chart = horizontal_bars(items, caption="Failures by reason", empty="No failures.")
    if any(item.number for item in items):
        _assert_sound(chart)
    else:
        assert (str(chart.svg), chart.sentence) == ("", "No failures.")


@pytest.mark.parametrize("label", NASTY)
def test_a_label_is_text_and_takes_no_more_room_than_there_is(label: str) -> None:
    chart = horizontal_bars([Item(label, 3)], caption="Failures by reason")
    _assert_sound(chart)
    shown = [text.text or "" for text in _root(chart).iter("text")]
    assert all(len(text) <= 81 for text in shown)
    assert len(chart.svg) < 3000


@given(st.lists(points, max_size=30), st.sampled_from([HOUR, DAY]))
def test_columns_are_sound_whenever_and_whatever_happened(
    points: list[Point], step: timedelta
) -> None:
    chart = _over_time(points, step=step)
    if not any(number for point in points for number in point.numbers):
        assert (str(chart.svg), chart.sentence) == ("", "Nothing has happened yet.")
        return
    _assert_sound(chart)
    assert len(chart.table.rows) <= MAX_COLUMNS


@given(st.lists(points, min_size=1, max_size=30), st.sampled_from([HOUR, DAY]))
def test_gathering_loses_no_number_and_leaves_no_hole(points: list[Point], step: timedelta) -> None:
    buckets = gathered(points, step=step, series=len(SERIES))
    for at in range(len(SERIES)):
        given_ = sum(point.numbers[at] or 0 for point in points)
        assert sum(column.numbers[at] or 0 for column in buckets.columns) == given_
    begins = [column.begins_at for column in buckets.columns[1:]]
    assert begins == [begins[0] + at * buckets.step for at in range(len(begins))]
    assert 1 <= len(buckets.columns) <= MAX_COLUMNS
    assert buckets.step >= step


def test_what_is_not_known_is_a_gap_and_not_a_zero() -> None:
    chart = _over_time(_by_hour((5, 1), (None, 1), (0, 1)))
    assert [row[1] for row in chart.table.rows] == ["5", NO_NUMBER, "0"]
    floors = [line.get("class") for line in _root(chart).iter("line") if line.get("x2") != "100%"]
    assert floors.count("chart-gap") == 1


def test_an_hour_without_a_point_is_a_gap() -> None:
    chart = _over_time([Point(JULY, (5, 1)), Point(JULY + 2 * HOUR, (5, 1))])
    assert chart.table.rows == [
        ("4 Jul 2026, 21:00", "5", "1"),
        ("4 Jul 2026, 22:00", NO_NUMBER, NO_NUMBER),
        ("4 Jul 2026, 23:00", "5", "1"),
    ]


def test_a_single_point_is_one_column_with_its_hour_and_day() -> None:
    chart = _over_time(_by_hour((139, 0)))
    texts = [text.text for text in _root(chart).iter("text")]
    assert {"21:00", "4 Jul", "139 in all"} <= set(texts)


def test_a_long_time_is_gathered_by_days() -> None:
    chart = _over_time(_by_hour(*[(1, 0)] * 24 * 50))
    assert chart.table.caption == "Delivery over time, by 12 hours (UTC)"
    year = _over_time(_by_hour(*[(1, 0)] * 24 * 400))
    assert year.table.caption == "Delivery over time, by 7 days (UTC)"
    # A week begins on a Monday.
    assert year.table.rows[1][0] == "7 days from 6 Jul 2026"


@given(
    st.integers(min_value=1, max_value=MAX_COLUMNS),
    st.sampled_from([HOUR, 3 * HOUR, DAY, 7 * DAY, 28 * DAY, 182 * DAY]),
    instants,
)
def test_a_time_axis_has_few_marks_and_each_has_a_label(
    columns: int, step: timedelta, start: datetime
) -> None:
    end = datetime(9000, 1, 1, tzinfo=UTC)
    begin = min(start, end - columns * step)
    every = [Point(begin + at * step, (1,)) for at in range(columns)]
    marks = time_marks(gathered(every, step=step, series=1))
    assert 1 <= sum(not mark.is_extra for mark in marks) <= 5
    assert len(marks) <= 11
    assert all(mark.label for mark in marks)
    assert len({mark.at for mark in marks}) == len(marks)


@given(numbers)
def test_the_top_of_an_axis_is_round_and_not_far_above(greatest: int) -> None:
    top = top_of(greatest)
    assert greatest <= top
    assert top <= max(2 * greatest, 1)
    assert top < 2 or top % 2 == 0
    assert len(str(top).rstrip("0")) <= 2


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (1, 3, "33.3 %"),
        (0, 3, "0 %"),
        (3, 3, "100 %"),
        (1, 1_000_000, "< 0.1 %"),
        (999_999, 1_000_000, "> 99.9 %"),
        (5, 0, NO_NUMBER),
        (7, 2, "350.0 %"),
    ],
)
def test_all_and_nothing_are_said_only_of_all_and_nothing(part: int, whole: int, said: str) -> None:
    assert share(part, whole) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(9_500, "9,500"), (10_000, "10k"), (12_500, "12.5k"), (2_000_000, "2M"), (10**15, "1P")],
)
def test_thousands_are_abbreviated_on_an_axis(number: int, said: str) -> None:
    assert abbreviated(number) == said


@given(labels, st.integers(min_value=1, max_value=100))
def test_a_cut_label_keeps_its_beginning(label: str, columns: int) -> None:
    whole, text = cut(label, len(label) * 2), cut(label, columns)
    assert whole.startswith(text.removesuffix("…"))
    assert text == whole or len(text) <= columns + 1 or not text.isascii()


# The template and the stylesheet.


def _rendered(chart: Chart) -> str:
    template = '{% import "charts.html" as charts %}{{ charts.figure(chart) }}'
    return templates().from_string(template).render(chart=chart)


def test_the_template_puts_the_table_behind_the_picture() -> None:
    chart = horizontal_bars([Item("<b>bold</b>", 3), Item("other", 1)], caption="Reasons")
    html = _rendered(chart)
    assert chart.svg in html
    assert html.index("<svg") < html.index("<details>") < html.index("<table>")
    assert "<b>" not in html
    assert "style=" not in html
    assert html.count("<tr>") == 3


def test_without_numbers_the_template_says_a_sentence() -> None:
    html = _rendered(funnel(0, 0, 0, 0))
    assert "Nothing has been sent yet." in html
    assert "<figure" not in html


def _colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--(c-\w+): (#[0-9a-f]{6})", css))


def _contrast(colour: str, ground: str) -> float:
    brighter, darker = sorted((_luminance(colour), _luminance(ground)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("part", "grounds"), [(0, ("#ffffff", "#f5f5f7")), (1, ("#16161a", "#212128"))]
)
def test_each_colour_stands_out_from_both_grounds_of_its_theme(
    part: int, grounds: tuple[str, str]
) -> None:
    css = (WEB / "static/charts.css").read_text()
    colours = _colours(css.split("prefers-color-scheme: dark")[part])
    assert set(colours) == {f"c-{kind}" for kind in Kind}
    too_faint = [
        (name, ground)
        for name, colour in colours.items()
        for ground in grounds
        if _contrast(colour, ground) < 3
    ]
    assert too_faint == []


CHARTS: Final[list[Callable[[], Chart]]] = [
    lambda: bar_of_counts(dict.fromkeys((*Status, AWAITING), 1)),
    lambda: funnel(4, 3, 2, 1),
    lambda: horizontal_bars([Item("long " * 30, 1)], caption="Reasons"),
    lambda: _over_time(_by_hour(*[(1, None)] * 20)),
]


@pytest.mark.parametrize("made", CHARTS)
def test_the_stylesheet_has_each_class_of_a_chart(made: Callable[[], Chart]) -> None:
    css = (WEB / "static/charts.css").read_text()
    written = " ".join(part.get("class", "") for part in _root(made()).iter()).split()
    # The value of a row looks as any text of a chart.
    assert {name for name in written if f".{name}" not in css} <= {"chart-value"}
