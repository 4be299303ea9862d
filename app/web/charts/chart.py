"""What a chart consists of."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup


class Table(NamedTuple):
    """The numbers of a chart as a table of texts; the first of each row is its heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Chart(NamedTuple):
    """A picture, its numbers, and what it says in words."""

    #: Empty if there is nothing to draw: then the sentence stands for the picture.
    svg: Markup
    table: Table
    sentence: str
