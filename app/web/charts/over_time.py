"""What happened by hour or day, a strip of columns for each series above one time axis."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from markupsafe import Markup

from app.web.charts.axes import MONTHS
from app.web.charts.buckets import DAY, HOUR, Bucket, Buckets, Point, gathered
from app.web.charts.chart import Chart, Table
from app.web.charts.kinds import Kind
from app.web.charts.strips import strips
from app.web.charts.words import NO_NUMBER, counted, cut, isolated

_LABEL_COLUMNS: Final = 24


class Series(NamedTuple):
    """One of the things that are counted, and how it is drawn."""

    label: str
    kind: Kind


def columns_over_time(
    points: Sequence[Point],
    series: Sequence[Series],
    *,
    caption: str,
    step: timedelta = HOUR,
    empty: str = "Nothing has happened yet.",
) -> Chart:
    """
    A strip for each of *series*, each with a scale of its own; all times are UTC.

    Each point has a number for each of *series*, and stands for *step*: an hour or a day. Longer
    times are put together as `gathered` says.
    """
    buckets = gathered(points, step=step, series=len(series))
    caption = f"{caption}, {_by(buckets.step)} (UTC)"
    rows = [_row(column, buckets.step) for column in buckets.columns]
    labels = [cut(one.label, _LABEL_COLUMNS) for one in series]
    table = Table(caption, ("Time (UTC)", *labels), rows)
    totals = [
        sum(column.numbers[at] or 0 for column in buckets.columns) for at in range(len(series))
    ]
    if not any(totals):
        return Chart(Markup(), table, empty)
    parts = [
        f"{isolated(label)} {counted(total)}{_most(buckets, at)}"
        for at, (label, total) in enumerate(zip(labels, totals, strict=True))
    ]
    sentence = f"{caption}: {'; '.join(parts)}."
    in_all = [f"{counted(total)} in all" for total in totals]
    svg = strips(buckets, [one.kind for one in series], table, in_all, title=sentence)
    return Chart(svg, table, sentence)


def _row(column: Bucket, step: timedelta) -> tuple[str, ...]:
    numbers = (NO_NUMBER if number is None else counted(number) for number in column.numbers)
    return _period(column, step), *numbers


def _most(buckets: Buckets, at: int) -> str:
    best = max(buckets.columns, key=lambda column: column.numbers[at] or 0)
    number = best.numbers[at]
    return f", most of them ({counted(number)}) {_period(best, buckets.step)}" if number else ""


def _by(step: timedelta) -> str:
    if step % DAY:
        return "by hour" if step == HOUR else f"by {step // HOUR} hours"
    return "by day" if step == DAY else f"by {step // DAY} days"


def _period(column: Bucket, step: timedelta) -> str:
    begin = column.begins_at
    day = f"{begin.day} {MONTHS[begin.month - 1]} {begin.year}"
    if step % DAY:
        return f"{day}, {begin:%H:%M}"
    return day if step == DAY else f"{step // DAY} days from {day}"
