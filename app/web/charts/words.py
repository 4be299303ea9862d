"""Numbers, shares and labels as people read them."""

from collections.abc import Iterator
from typing import Final
from unicodedata import combining, east_asian_width

from app.web.charts.drawing import clean

_THOUSANDS: Final = (
    (1_000_000_000_000_000, "P"),
    (1_000_000_000_000, "T"),
    (1_000_000_000, "G"),
    (1_000_000, "M"),
    (1_000, "k"),
)
#: From here on thousands are abbreviated: 9,500, but 10k.
_ABBREVIATED_FROM: Final = 10_000
#: Stands for a number that is not known.
NO_NUMBER: Final = "\N{EN DASH}"
_TENTHS_OF_ALL: Final = 1000
_ELLIPSIS: Final = "…"
_WIDE: Final = frozenset("WF")


def counted(number: int) -> str:
    """*number* in full: 12,345."""
    return f"{number:,}"


def abbreviated(number: int) -> str:
    """*number* for an axis, at most about six characters: 9,500, 12k, 1.5M."""
    if number < _ABBREVIATED_FROM:
        return counted(number)
    for unit, letter in _THOUSANDS:
        if number >= unit:
            # Rounded down: an axis has round numbers anyway.
            whole, tenths = divmod(number * 10 // unit, 10)
            return f"{whole:,}.{tenths}{letter}" if tenths else f"{whole:,}{letter}"
    return counted(number)


def share(part: int, whole: int) -> str:
    """
    The share of *part* in *whole*: 94.1 %, with a dash if there is no whole.

    All and nothing are said only of all and nothing.
    """
    if whole <= 0:
        return NO_NUMBER
    tenths = (2 * _TENTHS_OF_ALL * part + whole) // (2 * whole)
    if tenths == 0 and part > 0:
        return "< 0.1 %"
    if tenths >= _TENTHS_OF_ALL and part < whole:
        return "> 99.9 %"
    return f"{tenths / 10:,.1f} %" if 0 < part != whole else f"{tenths // 10:,} %"


def cut(label: str, columns: int) -> str:
    """*label* in at most so many *columns*, of which an ideograph or an emoji takes two."""
    text = clean(label)
    kept, used = len(text), 0
    for at, width in enumerate(_widths(text)):
        used += width
        if used > columns:
            return text[:kept].rstrip() + _ELLIPSIS
        if used < columns:
            kept = at + 1
    return text


def isolated(label: str) -> str:
    """*label* for a sentence whose direction it must not change: U+2068 label U+2069."""
    return f"\u2068{label}\u2069"


def _widths(text: str) -> Iterator[int]:
    for character in text:
        if combining(character):
            yield 0
        else:
            yield 2 if east_asian_width(character) in _WIDE else 1
