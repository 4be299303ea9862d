"""What the rounds say together: ratios, for people as a table and for programs as a file."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from rich.table import Table

from tests.bench.rounds import CLIENTS, Round, Run

#: 500 clients who wait may cost the callbacks no more than a tenth.
REQUIRED_RATIO: Final = 0.90


class Figure(NamedTuple):
    """One figure, with its value in each round."""

    name: str
    says: str
    rounds: list[float]

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.rounds)

    def document(self) -> dict[str, Any]:
        """It, for a file."""
        return {
            "says": self.says,
            "median": round(self.middle, 3),
            "least": round(min(self.rounds), 3),
            "greatest": round(max(self.rounds), 3),
            "rounds": [round(value, 3) for value in self.rounds],
        }


_FIGURES: Final[Sequence[tuple[str, str, Callable[[Round], float]]]] = (
    (
        "ours_to_bare",
        "callbacks stored ÷ requests of a server that stores nothing",
        lambda each: each.ours.load.per_second / each.bare.load.per_second,
    ),
    (
        "followed_to_ours",
        f"callbacks with {CLIENTS} long polls ÷ without",
        lambda each: each.followed.load.per_second / each.ours.load.per_second,
    ),
    (
        "postgres_to_service",
        "CPU time of PostgreSQL ÷ of the service",
        lambda each: _cost_ms(each.ours, 1) / _cost_ms(each.ours, 0),
    ),
    (
        "service_cpu_ms",
        "CPU milliseconds of the service for a callback",
        lambda each: _cost_ms(each.ours, 0),
    ),
    (
        "postgres_cpu_ms",
        "CPU milliseconds of PostgreSQL for a callback",
        lambda each: _cost_ms(each.ours, 1),
    ),
    (
        "feed_pages_per_client",
        "pages of the feed that a client got meanwhile",
        lambda each: _told(each, "pages") / CLIENTS,
    ),
    (
        "feed_items_per_client",
        "items of the feed that a client got meanwhile",
        lambda each: _told(each, "items") / CLIENTS,
    ),
    (
        "feed_clients_woken",
        f"clients of {CLIENTS} that were told something by the end",
        lambda each: _told(each, "woken_at_last"),
    ),
)


def figures_of(rounds: Sequence[Round]) -> list[Figure]:
    """All figures, each with its rounds."""
    return [Figure(name, says, [of(each) for each in rounds]) for name, says, of in _FIGURES]


def faults_of(rounds: Sequence[Round]) -> list[str]:
    """What was not as it must be."""
    return [fault for each in rounds for run in each.runs.values() for fault in run.faults]


def table_of(figures: Sequence[Figure]) -> Table:
    """The figures for a person."""
    table = Table(title="median of all rounds, and its spread")
    table.add_column("figure")
    for column in ("median", "least", "greatest"):
        table.add_column(column, justify="right")
    for figure in figures:
        numbers = (figure.middle, min(figure.rounds), max(figure.rounds))
        table.add_row(figure.says, *(_short(number) for number in numbers))
    return table


def write(path: Path, figures: Sequence[Figure], rounds: Sequence[Round], *, seconds: int) -> None:
    """All of it for a program."""
    document = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "seconds": seconds,
        "figures": {figure.name: figure.document() for figure in figures},
        "faults": faults_of(rounds),
        "rounds": [{name: run.document() for name, run in each.runs.items()} for each in rounds],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _cost_ms(run: Run, part: int) -> float:
    assert run.cost is not None
    return 1000 * run.cost[part] / run.load.answered


def _told(each: Round, what: str) -> float:
    assert each.followed.told is not None
    return float(each.followed.told[what])


def _short(number: float) -> str:
    return f"{number:.3f}" if number < 10 else f"{number:.0f}"
