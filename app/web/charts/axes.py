"""Where an axis has its marks, and what stands at them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from app.web.charts.buckets import DAY, EPOCH, HOUR, Buckets

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: How many marks a telephone has room for, and how many a screen has.
_FEW: Final = 5
_MANY: Final = 11
#: The tops of axes in tenths of a power of ten; each has a round half.
_TOPS: Final = (10, 12, 16, 20, 30, 40, 50, 60, 80, 100)
_TOPS_BELOW_TEN: Final = (1, 2, 4, 6, 8, 10)
_HOURS: Final = (1, 2, 3, 6, 12)
_DAYS: Final = (1, 2, 7, 14)
_MONTH_COUNTS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000, 12_000)
_MONTHS_OF_YEAR: Final = 12


class Mark(NamedTuple):
    """A mark of the time axis, below the column *at*."""

    at: int
    label: str
    #: The second line, where it is another than before: the day of an hour, the year of a day.
    below: str
    #: Whether only wide screens have room for it.
    is_extra: bool


class _Unit(NamedTuple):
    """What may lie between two marks."""

    length: timedelta
    #: The number of the unit that an instant is in.
    key: Callable[[datetime], int]
    label: Callable[[datetime], str]
    below: Callable[[datetime], str]


def top_of(greatest: int) -> int:
    """The round number at the top of an axis that reaches to *greatest*."""
    if greatest <= _TOPS_BELOW_TEN[-1]:
        return next(top for top in _TOPS_BELOW_TEN if top >= greatest)
    magnitude: int = 10 ** (len(str(greatest)) - 1)
    return next(magnitude * top // 10 for top in _TOPS if magnitude * top >= greatest * 10)


def time_marks(buckets: Buckets) -> list[Mark]:
    """The marks below the columns of *buckets*: at round hours, days, months or years."""
    begins = [column.begins_at for column in buckets.columns]
    units = [unit for unit in _units() if unit.length >= buckets.step]
    places = [_places(begins, unit, buckets.step) for unit in units]
    chosen = next((at for at, found in enumerate(places) if 0 < len(found) <= _FEW), None)
    if chosen is None:
        return [Mark(0, day_of(begins[0]), str(begins[0].year), is_extra=False)] if begins else []
    few, unit = places[chosen], units[chosen]
    finer, many = next(
        (units[at], found)
        for at, found in enumerate(places)
        if len(found) <= _MANY and set(few) <= set(found)
    )
    extra = [Mark(at, finer.label(begins[at]), "", is_extra=True) for at in many if at not in few]
    belows = [unit.below(begins[at]) for at in few]
    main = [
        Mark(at, unit.label(begins[at]), "" if below == before else below, is_extra=False)
        for at, (before, below) in zip(few, pairwise(["", *belows]), strict=True)
    ]
    return sorted(main + extra)


def day_of(at: datetime) -> str:
    """The day of *at* without its year: 5 Jul."""
    return f"{at.day} {MONTHS[at.month - 1]}"


def _places(begins: Sequence[datetime], unit: _Unit, step: timedelta) -> list[int]:
    """The columns in which another unit begins than in the column before."""
    keys = [unit.key(begin) for begin in begins]
    if begins[0] - datetime.min.replace(tzinfo=UTC) >= step:
        keys.insert(0, unit.key(begins[0] - step))
    else:
        keys.insert(0, keys[0])
    return [at for at, (before, key) in enumerate(pairwise(keys)) if before != key]


def _units() -> Iterator[_Unit]:
    """From the shortest to the longest."""
    for hours in _HOURS:
        yield _Unit(hours * HOUR, _whole(hours * HOUR), lambda at: f"{at:%H:%M}", day_of)
    for days in _DAYS:
        yield _Unit(days * DAY, _whole(days * DAY), day_of, lambda at: str(at.year))
    for months in _MONTH_COUNTS:
        is_years = months >= _MONTHS_OF_YEAR
        yield _Unit(
            months * 31 * DAY,
            _whole_months(months),
            (lambda at: str(at.year)) if is_years else (lambda at: MONTHS[at.month - 1]),
            (lambda _: "") if is_years else (lambda at: str(at.year)),
        )


def _whole(length: timedelta) -> Callable[[datetime], int]:
    return lambda at: (at - EPOCH) // length


def _whole_months(months: int) -> Callable[[datetime], int]:
    return lambda at: (at.year * _MONTHS_OF_YEAR + at.month - 1) // months
