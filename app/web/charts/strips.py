"""Drawing columns over time: a strip for each series, and one time axis below them."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from markupsafe import Markup

from app.web.charts.axes import Mark, time_marks, top_of
from app.web.charts.buckets import Buckets
from app.web.charts.chart import Table
from app.web.charts.drawing import element, percent_of_width, together
from app.web.charts.kinds import Kind
from app.web.charts.words import abbreviated

#: The stylesheet leaves so much room left of the columns.
_LEFT: Final = -46.0
_NUMBERS_X: Final = -6.0
_SAMPLE: Final = 9.0
_HEADING_X: Final = _LEFT + 15.0
_HEADING_Y: Final = 13.0
_PLOT_Y: Final = 26.0
_PLOT_HEIGHT: Final = 64.0
_GAP: Final = 8.0
_STRIP_HEIGHT: Final = _PLOT_Y + _PLOT_HEIGHT + _GAP
_AXIS_HEIGHT: Final = 30.0
#: From a line of the grid to the foot of the digits at it.
_DIGITS_DOWN: Final = 4.0
_TICK: Final = 4.0
_LABEL_DOWN: Final = 16.0
_BELOW_DOWN: Final = 30.0
#: A column's share of the distance to the next, and the most of the whole width.
_COLUMN_SHARE: Final = 0.8
_MAX_WIDTH: Final = 0.06
#: A single message among millions is still seen.
_LEAST_HEIGHT: Final = 2.0


def strips(
    buckets: Buckets, kinds: Sequence[Kind], table: Table, totals: Sequence[str], *, title: str
) -> Markup:
    """
    The picture of *buckets*; *table* has its words.

    A series of nothing but zeros stands below the axis without a strip: its heading says it all.
    """
    numbers = [[column.numbers[at] for column in buckets.columns] for at in range(len(kinds))]
    drawn = [at for at, series in enumerate(numbers) if any(series)]
    empty = [at for at, series in enumerate(numbers) if not any(series)]
    foot = _STRIP_HEIGHT * len(drawn)
    below = foot + _AXIS_HEIGHT
    tops = {at: place * _STRIP_HEIGHT for place, at in enumerate(drawn)}
    tops |= {at: below + place * _PLOT_Y for place, at in enumerate(empty)}
    return element(
        "svg",
        element("title", title),
        *(
            part
            for at, top in tops.items()
            for part in _heading(kinds[at], table.head[at + 1], totals[at], y=top)
        ),
        *(part for at in drawn for part in _strip(kinds[at], numbers[at], y=tops[at] + _PLOT_Y)),
        *(_mark(mark, len(buckets.columns), y=foot - _GAP) for mark in time_marks(buckets)),
        *_slots(table, foot),
        class_="chart chart-time",
        role="img",
        width="80%",
        height=below + _PLOT_Y * len(empty),
    )


def _heading(kind: Kind, label: str, total: str, *, y: float) -> tuple[Markup, ...]:
    y += _HEADING_Y
    return (
        element("rect", class_=f"c-{kind}", x=_LEFT, y=y - _SAMPLE, width=_SAMPLE, height=_SAMPLE),
        element("text", label, class_="chart-label", x=_HEADING_X, y=y),
        element("text", total, class_="chart-value", x="100%", y=y, text_anchor="end"),
    )


def _strip(kind: Kind, numbers: Sequence[int | None], *, y: float) -> Iterator[Markup]:
    top = top_of(max(number or 0 for number in numbers))
    for number in (top, top // 2, 0) if top > 1 else (top, 0):
        level = y + _PLOT_HEIGHT * (1 - number / top)
        yield element(
            "text",
            abbreviated(number),
            class_="chart-tick",
            x=_NUMBERS_X,
            y=level + _DIGITS_DOWN,
            text_anchor="end",
        )
        if number:
            yield element("line", class_="chart-grid", x1=0, x2="100%", y1=level, y2=level)
    yield from _columns(kind, numbers, top, foot=y + _PLOT_HEIGHT)
    yield from _floor(numbers, y=y + _PLOT_HEIGHT)


def _columns(
    kind: Kind, numbers: Sequence[int | None], top: int, *, foot: float
) -> Iterator[Markup]:
    slot = 1 / len(numbers)
    width = min(slot * _COLUMN_SHARE, _MAX_WIDTH)
    for at, number in enumerate(numbers):
        if number:
            height = max(_PLOT_HEIGHT * (number / top), _LEAST_HEIGHT)
            yield element(
                "rect",
                class_=f"c-{kind}",
                x=percent_of_width((at + 0.5) * slot - width / 2),
                y=foot - height,
                width=percent_of_width(width),
                height=height,
            )


def _floor(numbers: Sequence[int | None], *, y: float) -> Iterator[Markup]:
    """The line at zero, dotted below gaps."""
    at = 0
    for is_gap, run in groupby(number is None for number in numbers):
        end = at + len(list(run))
        yield element(
            "line",
            class_="chart-gap" if is_gap else "chart-axis",
            x1=percent_of_width(at / len(numbers)),
            x2=percent_of_width(end / len(numbers)),
            y1=y,
            y2=y,
        )
        at = end


def _mark(mark: Mark, columns: int, *, y: float) -> Markup:
    x = percent_of_width((mark.at + 0.5) / columns)
    lines = [(mark.label, _LABEL_DOWN), (mark.below, _BELOW_DOWN)]
    return together(
        *(
            element("text", text, class_=_of(mark, "chart-tick"), x=x, y=y + down)
            for text, down in lines
            if text
        ),
        element("line", class_=_of(mark, "chart-axis"), x1=x, x2=x, y1=y, y2=y + _TICK),
    )


def _of(mark: Mark, class_: str) -> str:
    return f"{class_} chart-mark only-wide" if mark.is_extra else f"{class_} chart-mark"


def _slots(table: Table, height: float) -> Iterator[Markup]:
    """A column through all strips for each row of *table*, named by it under the pointer."""
    slot = 1 / len(table.rows)
    labels = [label.lower() for label in table.head[1:]]
    for at, (period, *numbers) in enumerate(table.rows):
        words = ", ".join(f"{n} {label}" for n, label in zip(numbers, labels, strict=True))
        yield element(
            "rect",
            element("title", f"{period}: {words}"),
            class_="chart-slot",
            x=percent_of_width(at * slot),
            y=0.0,
            width=percent_of_width(slot),
            height=height,
        )
