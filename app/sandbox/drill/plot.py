"""A plot as SVG: lines over time, with labelled axes and a legend."""

from collections.abc import Iterator, Sequence
from html import escape
from math import floor, log10
from typing import Final, NamedTuple

_WIDTH: Final = 900
_HEIGHT: Final = 420
_LEFT: Final = 80
_RIGHT: Final = 24
_TOP: Final = 48
_BOTTOM: Final = 56
_TICKS: Final = 6
_INNER_WIDTH: Final = _WIDTH - _LEFT - _RIGHT
_INNER_HEIGHT: Final = _HEIGHT - _TOP - _BOTTOM
_LEGEND_WIDTH: Final = 150
_OPENING: Final = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
    'font-family="sans-serif" font-size="12">'
)


class Line(NamedTuple):
    """One line: points of seconds and a value, in the order of the seconds."""

    name: str
    #: A colour of CSS.
    color: str
    points: Sequence[tuple[float, float]]


class Span(NamedTuple):
    """A time that is shaded, with its name as a tooltip."""

    name: str
    start: float
    end: float


def svg(title: str, *, lines: Sequence[Line], spans: Sequence[Span] = (), x: str, y: str) -> str:
    """An SVG document with *lines* over shaded *spans*; *x* and *y* are the names of the axes."""
    points = [point for line in lines for point in line.points]
    scale = _Scale(
        max([seconds for seconds, _ in points] + [span.end for span in spans], default=1.0) or 1.0,
        max((value for _, value in points), default=1.0) or 1.0,
    )
    parts = [
        _OPENING,
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 20, title, size=15),
        *_shaded(spans, scale),
        *_axes(scale, x=x, y=y),
        *(_polyline(line, scale) for line in lines),
        *_legend(lines),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Scale(NamedTuple):
    """The greatest values on the axes, which begin at 0."""

    seconds: float
    value: float

    def x(self, seconds: float) -> float:
        return round(_LEFT + _INNER_WIDTH * seconds / self.seconds, 1)

    def y(self, value: float) -> float:
        return round(_TOP + _INNER_HEIGHT * (1 - value / self.value), 1)


def _shaded(spans: Sequence[Span], scale: _Scale) -> Iterator[str]:
    for name, start, end in spans:
        left, right = scale.x(start), scale.x(end)
        yield (
            f'<rect x="{left}" y="{_TOP}" width="{max(right - left, 1.0):.1f}" '
            f'height="{_INNER_HEIGHT}" fill="#c33" opacity="0.1"><title>{escape(name)}</title>'
            "</rect>"
        )


def _axes(scale: _Scale, *, x: str, y: str) -> Iterator[str]:
    bottom, right = _TOP + _INNER_HEIGHT, _LEFT + _INNER_WIDTH
    for value in _ticks(scale.value):
        at = scale.y(value)
        yield f'<line x1="{_LEFT}" y1="{at}" x2="{right}" y2="{at}" stroke="#ddd"/>'
        yield _text(_LEFT - 8, at + 4, f"{value:,.0f}", anchor="end")
    for seconds in _ticks(scale.seconds):
        at = scale.x(seconds)
        yield f'<line x1="{at}" y1="{bottom}" x2="{at}" y2="{bottom + 5}" stroke="#333"/>'
        yield _text(at, bottom + 19, f"{seconds:g}", anchor="middle")
    yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#333"/>'
    yield _text(_LEFT + _INNER_WIDTH / 2, _HEIGHT - 14, x, anchor="middle")
    middle = _TOP + _INNER_HEIGHT / 2
    yield (
        f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">'
        f"{escape(y)}</text>"
    )


def _polyline(line: Line, scale: _Scale) -> str:
    points = " ".join(f"{scale.x(seconds)},{scale.y(value)}" for seconds, value in line.points)
    return f'<polyline points="{points}" fill="none" stroke="{line.color}" stroke-width="1.8"/>'


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    for number, line in enumerate(lines):
        left = _LEFT + number * _LEGEND_WIDTH
        yield (
            f'<line x1="{left}" y1="36" x2="{left + 22}" y2="36" stroke="{line.color}" '
            'stroke-width="3"/>'
        )
        yield _text(left + 28, 40, line.name)


def _ticks(most: float) -> list[float]:
    """Round values from 0 to *most*, about six."""
    step = most / _TICKS
    magnitude = 10.0 ** floor(log10(step))
    width = next(one * magnitude for one in (1, 2, 5, 10) if one * magnitude >= step)
    return [number * width for number in range(int(most / width) + 1)]


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
