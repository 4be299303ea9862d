"""Points over time, gathered into as many columns as a reader can distinguish."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

MAX_COLUMNS: Final = 120
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
#: Days are gathered from a Monday on.
EPOCH: Final = datetime(1970, 1, 5, tzinfo=UTC)
#: What a column may stand for; beyond, multiples of the last one.
_STEPS: Final = (
    *(HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY * days for days in (1, 2, 7, 14, 28, 91)),
)


class Point(NamedTuple):
    """What was counted in the hour or day that begins at an instant; None: nothing is known."""

    begins_at: datetime
    numbers: Sequence[int | None]


class Bucket(NamedTuple):
    """What one column shows; None stands for a gap."""

    begins_at: datetime
    numbers: Sequence[int | None]


class Buckets(NamedTuple):
    """All columns, without a hole between them; each stands for *step*."""

    step: timedelta
    columns: Sequence[Bucket]


def gathered(points: Sequence[Point], *, step: timedelta, series: int) -> Buckets:
    """
    The sums of *points*, each of which stands for *step*, in at most `MAX_COLUMNS` columns.

    A time without a point is a gap. In a column that stands for several points, a gap is what lacks
    in all of them.
    """
    if not points:
        return Buckets(step, ())
    begins = [point.begins_at.astimezone(UTC) for point in points]
    wide = _step(min(begins), max(begins), step)
    first, last = _index(min(begins), wide), _index(max(begins), wide)
    sums: list[list[int | None]] = [[None] * series for _ in range(first, last + 1)]
    for begin, point in zip(begins, points, strict=True):
        _add(sums[_index(begin, wide) - first], point.numbers)
    columns = [Bucket(_begin(first + at, wide), numbers) for at, numbers in enumerate(sums)]
    return Buckets(wide, columns)


def _step(first: datetime, last: datetime, least: timedelta) -> timedelta:
    """The shortest step, at least *least*, with which there are few enough columns."""
    return next(
        step for step in _steps(least) if _index(last, step) - _index(first, step) < MAX_COLUMNS
    )


def _steps(least: timedelta) -> Iterator[timedelta]:
    yield from (step for step in _STEPS if step >= least)
    step = max(_STEPS[-1], least)
    while True:
        step *= 2
        yield step


def _index(at: datetime, step: timedelta) -> int:
    return (at - EPOCH) // step


def _begin(index: int, step: timedelta) -> datetime:
    # The first column of all may begin before the calendar does.
    try:
        return EPOCH + index * step
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _add(sums: list[int | None], numbers: Sequence[int | None]) -> None:
    for at, number in enumerate(numbers):
        if number is not None:
            sums[at] = (sums[at] or 0) + max(number, 0)
