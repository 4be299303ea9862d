"""
Charts as SVG made on the server, each with the table of the same numbers.

They scale by percentages instead of a viewBox, so text keeps its size on a telephone. Colours and
textures are classes of `static/charts.css`.
"""

from app.web.charts.buckets import Point
from app.web.charts.chart import Chart, Table
from app.web.charts.counts_bar import bar_of_counts
from app.web.charts.funnel import funnel
from app.web.charts.kinds import Kind, kind_of, legend, swatch
from app.web.charts.over_time import Series, columns_over_time
from app.web.charts.ranking import Item, horizontal_bars

__all__ = [
    "Chart",
    "Item",
    "Kind",
    "Point",
    "Series",
    "Table",
    "bar_of_counts",
    "columns_over_time",
    "funnel",
    "horizontal_bars",
    "kind_of",
    "legend",
    "swatch",
]
