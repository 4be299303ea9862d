"""How far the messages of a campaign came: sent, delivered, seen, replied to."""

from typing import Final

from markupsafe import Markup

from app.web.charts.chart import Chart, Table
from app.web.charts.drawing import element, together
from app.web.charts.kinds import Kind, bar_of_share
from app.web.charts.words import counted, share

_CAPTION: Final = "From sent to replied"
_STEPS: Final = (
    (Kind.SENT, "Sent"),
    (Kind.DELIVERED, "Delivered"),
    (Kind.SEEN, "Seen"),
    (Kind.REPLIED, "Replied"),
)
_ROW_HEIGHT: Final = 44.0
_TEXT_Y: Final = 15.0
_BAR_Y: Final = 21.0
_BAR_HEIGHT: Final = 14.0


def funnel(sent: int, delivered: int, seen: int, replied: int) -> Chart:
    """The steps, each with its share of what was sent and of the step before."""
    numbers = [max(number, 0) for number in (sent, delivered, seen, replied)]
    rows = [
        (label, counted(number), share(number, numbers[0]), share(number, before))
        for (_, label), number, before in zip(
            _STEPS, numbers, (numbers[0], *numbers[:-1]), strict=True
        )
    ]
    table = Table(_CAPTION, ("Step", "Messages", "Of sent", "Of the step before"), rows)
    greatest = max(numbers)
    if not greatest:
        return Chart(Markup(), table, "Nothing has been sent yet.")
    parts = ", ".join(f"{label.lower()} {number} ({rate})" for label, number, rate, _ in rows)
    sentence = f"{_CAPTION}: {parts}."
    svg = element(
        "svg",
        element("title", sentence),
        *(
            _row(at, kind, label, number=number, share_of_width=number / greatest, whole=numbers[0])
            for at, ((kind, label), number) in enumerate(zip(_STEPS, numbers, strict=True))
        ),
        class_="chart",
        role="img",
        width="100%",
        height=_ROW_HEIGHT * len(_STEPS),
    )
    return Chart(svg, table, sentence)


def _row(  # noqa: PLR0913 (what a row shows)
    at: int, kind: Kind, label: str, *, number: int, share_of_width: float, whole: int
) -> Markup:
    top = at * _ROW_HEIGHT
    of_sent = f" · {share(number, whole)} of sent" if at and whole else ""
    return together(
        element("text", label, class_="chart-label", x=0, y=top + _TEXT_Y),
        element(
            "text",
            f"{counted(number)}{of_sent}",
            class_="chart-value",
            x="100%",
            y=top + _TEXT_Y,
            text_anchor="end",
        ),
        bar_of_share(kind, share_of_width, y=top + _BAR_Y, height=_BAR_HEIGHT),
    )
