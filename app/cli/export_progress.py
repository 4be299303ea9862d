"""The progress of an export or a rebuild: a bar on a terminal, and a line now and then in a log."""

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
#: A terminal with 80 columns has room for millions of rows and their rate beside the bar.
_BAR_CHARACTERS: Final = 16


class ProgressDisplay(Protocol):
    """Shows how many rows have been written, or examined."""

    #: How many rows that are.
    rows: int

    def expect(self, rows: int) -> None:
        """Set the estimated number of rows."""

    def add(self, rows: int) -> None:
        """Count *rows* that have just been done."""

    def wait(self, remaining: timedelta) -> None:
        """Show for how long the export will not begin."""


@contextmanager
def shown_on(
    console: Console, *, what: str = "rows", line_seconds: float = _LINE_SECONDS
) -> Iterator[ProgressDisplay]:
    """
    A bar on a terminal, removed at the end; elsewhere a line every *line_seconds*.

    *what* is the word for the rows.
    """
    if not console.is_terminal:
        yield _Lines(lambda line: console.print(line, soft_wrap=True), line_seconds, what)
        return
    columns = (SpinnerColumn(), BarColumn(_BAR_CHARACTERS), _Rows(what), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress, progress.add_task("export", total=None))


def _rows_so_far(rows: int, what: str, expected: float | None, rows_per_second: float) -> str:
    of = f" of about {int(expected):,}" if expected and expected >= rows else ""
    return f"{rows:,}{of} {what}, {int(rows_per_second):,} {what}/s"


def _waiting(remaining: timedelta) -> str:
    seconds = round(remaining.total_seconds())
    return f"Waiting about {seconds} s for what may still be committed before --until."


class _Rows(ProgressColumn):
    """The number of rows so far, the estimate, and the rate."""

    def __init__(self, what: str) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._what = what

    def render(self, task: Task) -> Text:
        """The text for *task*."""
        return Text(_rows_so_far(int(task.completed), self._what, task.total, task.speed or 0.0))


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
        # If the estimate was too low, the bar only shows activity.
        total = self._expected if self.rows <= self._expected else None
        self._progress.update(self._task, completed=self.rows, total=total)

    def wait(self, remaining: timedelta) -> None:
        self._progress.console.print(_waiting(remaining))


class _Lines:
    def __init__(self, say: Callable[[str], None], line_seconds: float, what: str) -> None:
        self._say = say
        self._what = what
        self._line_seconds = line_seconds
        self._started_at = self._said_at = monotonic()
        self._expected = 0
        self.rows = 0

    def expect(self, rows: int) -> None:
        self._expected = rows
        self._started_at = self._said_at = monotonic()

    def add(self, rows: int) -> None:
        self.rows += rows
        now = monotonic()
        if now - self._said_at >= self._line_seconds:
            self._said_at = now
            rate = self.rows / max(now - self._started_at, 1e-3)
            self._say(_rows_so_far(self.rows, self._what, self._expected, rate))

    def wait(self, remaining: timedelta) -> None:
        self._say(_waiting(remaining))
