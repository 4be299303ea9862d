"""How far an export is: a bar for a person at a terminal, a line now and then for a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Final, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

_LINE_SECONDS: Final = 30.0
#: So that millions of rows and their rate have room beside it in a terminal of 80.
_BAR_CHARACTERS: Final = 16


class Counter(Protocol):
    """What is told how an export goes."""

    #: How many rows have been written.
    rows: int

    def expect(self, rows: int) -> None:
        """So many rows will come, about."""

    def add(self, rows: int) -> None:
        """So many more rows have been written."""

    def wait(self, lacking: timedelta) -> None:
        """It will take so long until it begins."""


@contextmanager
def shown_on(console: Console, *, line_seconds: float = _LINE_SECONDS) -> Iterator[Counter]:
    """A bar on a terminal, which is gone at the end; otherwise a line each *line_seconds*."""
    if not console.is_terminal:
        yield _Lines(lambda line: console.print(line, soft_wrap=True), line_seconds)
        return
    columns = (SpinnerColumn(), BarColumn(_BAR_CHARACTERS), _Rows(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress, progress.add_task("export", total=None))


def _so_far(rows: int, expected: float | None, rows_per_second: float) -> str:
    of = f" of about {int(expected):,}" if expected and expected >= rows else ""
    return f"{rows:,}{of} rows, {int(rows_per_second):,} rows/s"


def _waiting(lacking: timedelta) -> str:
    seconds = round(lacking.total_seconds())
    return f"Waiting about {seconds} s for what may still be committed before --until."


class _Rows(ProgressColumn):
    """How many rows there are, of how many, and how many a second."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        """The text for *task*."""
        return Text(_so_far(int(task.completed), task.total, task.speed or 0.0))


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._expected = 0
        self.rows = 0

    def expect(self, rows: int) -> None:
        self._expected = rows
        self._progress.reset(self._task, total=max(rows, 1))

    def add(self, rows: int) -> None:
        self.rows += rows
        # An estimate that was too low leaves a bar that only says that something happens.
        total = self._expected if self.rows <= self._expected else None
        self._progress.update(self._task, completed=self.rows, total=total)

    def wait(self, lacking: timedelta) -> None:
        self._progress.console.print(_waiting(lacking))


class _Lines:
    def __init__(self, say: Callable[[str], None], line_seconds: float) -> None:
        self._say = say
        self._line_seconds = line_seconds
        self._begun_at = self._said_at = monotonic()
        self._expected = 0
        self.rows = 0

    def expect(self, rows: int) -> None:
        self._expected = rows
        self._begun_at = self._said_at = monotonic()

    def add(self, rows: int) -> None:
        self.rows += rows
        now = monotonic()
        if now - self._said_at >= self._line_seconds:
            self._said_at = now
            rate = self.rows / max(now - self._begun_at, 1e-3)
            self._say(_so_far(self.rows, self._expected, rate))

    def wait(self, lacking: timedelta) -> None:
        self._say(_waiting(lacking))
