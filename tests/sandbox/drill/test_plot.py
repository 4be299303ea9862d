import xml.etree.ElementTree as ET

from app.sandbox.drill.plot import Line, Span, svg

_SVG = "{http://www.w3.org/2000/svg}"


def _plot(**lines: list[tuple[float, float]]) -> ET.Element:
    return ET.fromstring(  # noqa: S314 (ours)
        svg(
            "Drill <1>",
            lines=[Line(name, "#123456", points) for name, points in lines.items()],
            spans=[Span("killed & gone", 2, 4)],
            x="seconds",
            y="callbacks",
        )
    )


def test_a_plot_has_a_title_named_axes_a_legend_and_its_lines() -> None:
    plot = _plot(stored=[(0, 0), (5, 700), (10, 1200)], refused=[(0, 0), (10, 30)])
    texts = [element.text for element in plot.iter(f"{_SVG}text")]
    assert {"Drill <1>", "seconds", "callbacks", "stored", "refused", "1,000"} <= set(texts)
    assert len(list(plot.iter(f"{_SVG}polyline"))) == 2
    assert [element.text for element in plot.iter(f"{_SVG}title")] == ["killed & gone"]


def test_points_lie_where_the_axes_say() -> None:
    (line,) = _plot(stored=[(0, 0), (10, 1000)]).iter(f"{_SVG}polyline")
    (x0, y0), (x1, y1) = (point.split(",") for point in line.attrib["points"].split())
    assert float(x0) < float(x1)
    assert float(y0) > float(y1), "more is higher"


def test_a_plot_without_points_is_a_plot() -> None:
    assert _plot(stored=[]) is not None
