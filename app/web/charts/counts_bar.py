"""A campaign's messages by status, as a small bar for a line of a list."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

from markupsafe import Markup

from app.web.charts.chart import Chart, Table
from app.web.charts.drawing import element
from app.web.charts.kinds import WORDS, Kind, kind_of, textured_bar
from app.web.charts.words import counted, share

_WIDTH: Final = 120.0
_HEIGHT: Final = 10.0
#: Between two parts, so that they can be distinguished without colours.
_GAP: Final = 1.0
#: A single message among millions is still seen.
_LEAST_WIDTH: Final = 2.0


def bar_of_counts(counts: Mapping[str, int], total: int | None = None) -> Chart:
    """
    The messages of each status; what lacks to *total* is drawn as without a callback yet.

    The keys are words of `Status`, or AWAITING.
    """
    kinds = _by_kind(counts, total)
    whole = sum(kinds.values())
    rows = [(WORDS[kind].capitalize(), counted(n), share(n, whole)) for kind, n in kinds.items()]
    table = Table("Messages by status", ("Status", "Messages", "Share"), rows)
    if not kinds:
        return Chart(Markup(), table, "No messages yet.")
    parts = ", ".join(f"{counted(number)} {WORDS[kind]}" for kind, number in kinds.items())
    sentence = f"{counted(whole)} {'message' if whole == 1 else 'messages'}: {parts}."
    svg = element(
        "svg",
        element("title", sentence),
        *_bars(kinds),
        class_="chart-bar",
        role="img",
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        preserveAspectRatio="none",
        width=_WIDTH,
        height=_HEIGHT,
    )
    return Chart(svg, table, sentence)


def _by_kind(counts: Mapping[str, int], total: int | None) -> dict[Kind, int]:
    """How many there are of each kind that there is, in the order of the bar."""
    kinds = dict.fromkeys(Kind, 0)
    for status, number in counts.items():
        kinds[kind_of(status)] += max(number, 0)
    kinds[Kind.AWAITED] += max((total or 0) - sum(kinds.values()), 0)
    return {kind: number for kind, number in kinds.items() if number}


def _bars(kinds: Mapping[Kind, int]) -> list[Markup]:
    widths = _widths(list(kinds.values()))
    starts = accumulate((width + _GAP for width in widths[:-1]), initial=0.0)
    return [
        textured_bar(
            kind, x=f"{x:.2f}", width=f"{width:.2f}", end=f"{x + width:.2f}", y=0.0, height=_HEIGHT
        )
        for kind, x, width in zip(kinds, starts, widths, strict=True)
    ]


def _widths(numbers: Sequence[int]) -> list[float]:
    """As wide as the numbers are great, but none too narrow to be seen."""
    room = _WIDTH - _GAP * (len(numbers) - 1) - _LEAST_WIDTH * len(numbers)
    whole = sum(numbers)
    return [_LEAST_WIDTH + room * (number / whole) for number in numbers]
