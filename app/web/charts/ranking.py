"""How often each of some labels occurs, such as failures by reason."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from app.web.charts.chart import Chart, Table
from app.web.charts.drawing import element
from app.web.charts.kinds import Kind, bar_of_share
from app.web.charts.words import NO_NUMBER, counted, cut, isolated, share

_ROW_HEIGHT: Final = 38.0
_TEXT_Y: Final = 14.0
_BAR_Y: Final = 19.0
_BAR_HEIGHT: Final = 12.0
#: What fits beside a number on a telephone of 360 px, and on a screen.
_NARROW_COLUMNS: Final = 27
_WIDE_COLUMNS: Final = 80
#: Of a label of 4,000 characters; the page that it links to has the whole.
_TABLE_COLUMNS: Final = 200
#: How many the sentence names.
_NAMED: Final = 5


class Item(NamedTuple):
    """A label, and how often it occurs."""

    label: str
    number: int


def horizontal_bars(
    items: Sequence[Item],
    *,
    caption: str,
    head: tuple[str, str] = ("Reason", "Messages"),
    empty: str = "Nothing to show.",
    kind: Kind = Kind.FAILED,
) -> Chart:
    """The *items* in their order, each with its share in the sum of all."""
    shown = [Item(item.label, item.number) for item in items if item.number > 0]
    whole = sum(item.number for item in shown)
    rows = [
        (cut(item.label, _TABLE_COLUMNS), counted(item.number), share(item.number, whole))
        for item in shown
    ]
    table = Table(caption, (*head, "Share"), rows)
    if not shown:
        return Chart(Markup(), table, empty)
    greatest = max(item.number for item in shown)
    named = [f"{isolated(cut(label, _WIDE_COLUMNS))} {number}" for label, number, _ in rows]
    more = [f"{len(named) - _NAMED} more"] if len(named) > _NAMED else []
    sentence = f"{caption}: {', '.join(named[:_NAMED] + more)}."
    svg = element(
        "svg",
        element("title", sentence),
        *(
            _row(at, item, kind, greatest=greatest, value=f"{number} · {part}")
            for at, (item, (_, number, part)) in enumerate(zip(shown, rows, strict=True))
        ),
        class_="chart",
        role="img",
        width="100%",
        height=_ROW_HEIGHT * len(shown),
    )
    return Chart(svg, table, sentence)


def _row(at: int, item: Item, kind: Kind, *, greatest: int, value: str) -> Markup:
    top = at * _ROW_HEIGHT
    return element(
        "g",
        element("title", f"{isolated(cut(item.label, _TABLE_COLUMNS))}: {value}"),
        *_labels(item.label, y=top + _TEXT_Y),
        element("text", value, class_="chart-value", x="100%", y=top + _TEXT_Y, text_anchor="end"),
        bar_of_share(kind, item.number / greatest, y=top + _BAR_Y, height=_BAR_HEIGHT),
    )


def _labels(label: str, *, y: float) -> tuple[Markup, ...]:
    """The label; a long one twice, of which the stylesheet shows the one that fits."""
    narrow, wide = cut(label, _NARROW_COLUMNS), cut(label, _WIDE_COLUMNS)
    if narrow == wide:
        return (element("text", narrow or NO_NUMBER, class_="chart-label", x=0, y=y),)
    return (
        element("text", narrow, class_="chart-label only-narrow", x=0, y=y),
        element("text", wide, class_="chart-label only-wide", x=0, y=y),
    )
