"""
What all groups found, for people as one table and for programs as one file.

To have more measured: write a coroutine `measure(setting: Setting) -> Findings` in a module of your
own, name it as a `Group` (both in `group`; `Figure` and `Bound` in `figure`), and add that to
`GROUPS` in `__main__`. A figure with a bound stands in the table, the others in the file only.
"""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from tests.bench.figure import Figure, Verdict
from tests.bench.group import Findings

_STYLES = {Verdict.MISSED: "yellow", Verdict.REACHED: "green", Verdict.AIM: "bold green"}


def table_of(figures: Sequence[Figure]) -> Table:
    """The figures that have a bound, for a person."""
    table = Table(title="median of all rounds, and its spread")
    table.add_column("figure")
    for column in ("median", "least", "greatest", "wanted"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in figures:
        if figure.bound is not None and figure.verdict is not None:
            table.add_row(*_cells(figure), str(figure.bound), figure.verdict, style=_style(figure))
    return table


def missed(figures: Sequence[Figure]) -> Iterator[str]:
    """What is not as wanted."""
    for figure in figures:
        if figure.verdict is Verdict.MISSED:
            yield f"{figure.says}: {_short(figure.middle)}, wanted {figure.bound}"


def write(path: Path, findings: Findings, *, rounds: int, seconds: int) -> None:
    """All of it for a program."""
    document = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "rounds": rounds,
        "seconds": seconds,
        "figures": {figure.name: figure.document() for figure in findings.figures},
        "faults": findings.faults,
        "skipped": findings.skipped,
        "details": findings.details,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _cells(figure: Figure) -> Iterator[str]:
    yield figure.says
    for number in (figure.middle, min(figure.rounds), max(figure.rounds)):
        yield _short(number)


def _style(figure: Figure) -> str:
    return _STYLES[figure.verdict] if figure.verdict else ""


def _short(number: float) -> str:
    return f"{number:.3f}" if abs(number) < 10 else f"{number:.1f}"
