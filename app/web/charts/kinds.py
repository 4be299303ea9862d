"""How each kind of status is drawn: a class for its colour, and a texture beside it."""

from enum import StrEnum
from typing import Final, NamedTuple

from markupsafe import Markup

from app.domain.status import AWAITING, FAILURES, Status
from app.web.charts.drawing import element, percent_of_width, together


class Kind(StrEnum):
    """What charts tell apart, in the order of a bar; the class in the stylesheet is `c-` kind."""

    REPLIED = "replied"
    SEEN = "seen"
    DELIVERED = "delivered"
    SENT = "sent"
    QUEUED = "queued"
    UNKNOWN = "unknown"
    AWAITED = "awaited"
    FAILED = "failed"


class Sample(NamedTuple):
    """A line of a legend."""

    picture: Markup
    word: str


class _Line(NamedTuple):
    """A line of a texture, in shares of the height; a dashed one leaves a pattern."""

    middle: float
    thickness: float
    dashes: str | None = None
    offset: float | None = None


WORDS: Final = {
    Kind.REPLIED: "replied",
    Kind.SEEN: "seen",
    Kind.DELIVERED: "delivered",
    Kind.SENT: "sent",
    Kind.QUEUED: "queued",
    Kind.UNKNOWN: "unknown",
    Kind.AWAITED: "without a callback yet",
    Kind.FAILED: "failed",
}
_KINDS: Final = {
    Status.UNKNOWN: Kind.UNKNOWN,
    Status.QUEUED: Kind.QUEUED,
    Status.SENT: Kind.SENT,
    Status.DELIVERED: Kind.DELIVERED,
    Status.SEEN: Kind.SEEN,
    **dict.fromkeys(FAILURES, Kind.FAILED),
}
#: Lines in the background's colour upon the bar. `pattern` would need ids, of which a page with
#: several charts would have doubles.
_TEXTURES: Final = {
    Kind.DELIVERED: (_Line(0.5, 0.2),),
    Kind.SENT: (_Line(0.5, 1, "1.5 4.5", 3.0),),
    Kind.QUEUED: (_Line(0.5, 1, "3 3", 3.0),),
    Kind.UNKNOWN: (_Line(0.5, 0.4, "3 3", 3.0),),
    Kind.FAILED: (_Line(0.25, 0.5, "2 2", 2.0), _Line(0.75, 0.5, "2 2", 0.0)),
}
#: A single message among millions is still seen.
_LEAST_SHARE: Final = 0.006
_SWATCH_WIDTH: Final = 18
_SWATCH_HEIGHT: Final = 10


def kind_of(status: str) -> Kind:
    """How *status*, a word of ours, is drawn."""
    return Kind.AWAITED if status == AWAITING else _KINDS.get(Status(status), Kind.UNKNOWN)


def textured_bar(kind: Kind, *, x: str, width: str, end: str, y: float, height: float) -> Markup:  # noqa: PLR0913 (a rectangle)
    """A bar from *x* to *end* in the colour and texture of *kind*."""
    lines = (
        element(
            "line",
            class_="c-texture",
            x1=x,
            x2=end,
            y1=y + height * line.middle,
            y2=y + height * line.middle,
            stroke_width=height * line.thickness,
            stroke_dasharray=line.dashes,
            stroke_dashoffset=line.offset,
        )
        for line in _TEXTURES.get(kind, ())
    )
    filled = element("rect", class_=f"c-{kind}", x=x, y=y, width=width, height=height)
    return together(filled, *lines)


def bar_of_share(kind: Kind, share: float, *, y: float, height: float) -> Markup:
    """A bar over *share* of the width, on its track; without texture, as a word stands above it."""
    shown = max(share, _LEAST_SHARE) if share else 0
    return together(
        element("rect", class_="c-track", x=0, y=y, width="100%", height=height),
        element("rect", class_=f"c-{kind}", x=0, y=y, width=percent_of_width(shown), height=height),
    )


def swatch(kind: Kind) -> Markup:
    """A sample of *kind* for a legend or beside a word, hidden from screen readers."""
    right = str(_SWATCH_WIDTH)
    sample = textured_bar(kind, x="0", width=right, end=right, y=0, height=_SWATCH_HEIGHT)
    return element(
        "svg",
        sample,
        class_="swatch",
        width=_SWATCH_WIDTH,
        height=_SWATCH_HEIGHT,
        aria_hidden="true",
        focusable="false",
    )


def legend() -> list[Sample]:
    """What the parts of a bar of counts are."""
    return [Sample(swatch(kind), WORDS[kind]) for kind in Kind if kind is not Kind.REPLIED]
