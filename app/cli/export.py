"""`routee-receiver export`: tables as files."""

import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, BinaryIO, Final, NamedTuple, NoReturn

import typer
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TimeElapsedColumn
from rich.text import Text

from app.cli.running import console, database_url, loaded_settings, run, say
from app.db.database import Database
from app.db.exports import ExportFilter, ExportTable
from app.services.export_columns import COLUMNS, Row
from app.services.export_files import complete_file, complete_folder
from app.services.export_parquet import DayFolders
from app.services.export_text import Cells
from app.services.exports import Encoder, Format, Wanted, encoder_of, exported
from app.settings import Settings

Write = Callable[[Sequence[Row]], None]

_STANDARD_OUTPUT: Final = "-"
_ENDED_BY_SIGTERM: Final = 128 + signal.SIGTERM


def _as_instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("must be a time in ISO 8601, as 2026-01-31T12:00:00Z") from None
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)


class Target(NamedTuple):
    """Where an export goes, and as what."""

    output: str
    format: Format
    cells: Cells

    @property
    def is_folder(self) -> bool:
        """Whether it is a file for each day."""
        return self.format is Format.PARQUET


def export(  # noqa: PLR0913 (the options of the command)
    table: Annotated[ExportTable, typer.Argument(help="What to export.")],
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|-",
            help="Where to; - is standard output. For parquet a folder that does not exist yet.",
        ),
    ],
    format_: Annotated[Format, typer.Option("--format", "-f", help="As what.")] = Format.CSV,
    campaign: Annotated[
        str | None, typer.Option(help="Only this campaign: its trackingId, or our id of it.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=_as_instant,
            metavar="TIME",
            help="Only rows of this time or later. ISO 8601; UTC if it has no offset.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(parser=_as_instant, metavar="TIME", help="Only rows of before this time."),
    ] = None,
    mask_numbers: Annotated[
        bool,
        typer.Option(
            "--mask-numbers", help="Show the last three digits of telephone numbers only."
        ),
    ] = False,
    cells: Annotated[
        Cells,
        typer.Option(
            help="Of CSV. spreadsheet: a text that begins as a formula gets an apostrophe before "
            "it, telephone numbers excepted. exact: texts as they are, for programs."
        ),
    ] = Cells.SPREADSHEET,
) -> None:
    r"""
    Write messages, events, replies or campaigns to a file, with the fields of the API.

    All rows are of one moment, whatever is stored meanwhile, and are read from
    RECEIVER_DATABASE_READ_URL if that is set. Payloads and tokens are not exported.

    The time of a row, for --since and --until, is updatedAt of a message, receivedAt of an event
    or a reply, and recordedAt of a campaign: when it was first known here.

    The file is FILE.partial until it is complete, and only its owner may read it. parquet makes a
    folder with day=YYYY-MM-DD/part-0.parquet, by the time of the rows, and needs pip install
    'routee-receiver\[parquet]'.

    Exit codes: 0 the export is complete; 1 it is not, and there is no file; 2 the command is
    wrong; 143 ended by SIGTERM.

    Example: routee-receiver export events --format ndjson --since 2026-07-01 -o events.ndjson
    """
    target = Target(output, format_, cells)
    if target.is_folder and output == _STANDARD_OUTPUT:
        raise typer.BadParameter("parquet goes to a folder, not to standard output")
    wanted = Wanted(table, ExportFilter(campaign, since, until), mask_numbers)
    with _ended_by_sigterm():
        rows = run(_export(loaded_settings(), wanted, target))
    say(f"Exported {rows:,} rows of {table}.")


async def _export(settings: Settings, wanted: Wanted, target: Target) -> int:
    async with _read_url(settings) as url:
        in_order = target.is_folder
        # The file first: what is wrong with it should not be found after a sort.
        with _opened(wanted.table, target) as write, _progress() as count:
            async with exported(url, wanted, in_order_of_time=in_order) as chunks:
                async for rows in chunks:
                    write(rows)
                    count(len(rows))
        return count(0)


@asynccontextmanager
async def _read_url(settings: Settings) -> AsyncIterator[str]:
    async with database_url(settings) as primary_url:
        url = settings.database_read_url or primary_url
        database = Database(url, name="cli", pool_items=1)
        try:
            await database.require_current_schema()
        finally:
            await database.close()
        yield url


@contextmanager
def _opened(table: ExportTable, target: Target) -> Iterator[Write]:
    """Something to write rows with; what it writes has its name when the block has ended well."""
    if target.is_folder:
        with (
            complete_folder(Path(target.output)) as folder,
            closing(DayFolders(folder, COLUMNS[table])) as days,
        ):
            yield days.write
            days.finish()
        return
    encoder = encoder_of(table, target.format, target.cells)
    if target.output == _STANDARD_OUTPUT:
        with _written(sys.stdout.buffer, encoder) as write:
            yield write
        return
    with complete_file(Path(target.output)) as file, _written(file, encoder) as write:
        yield write


@contextmanager
def _written(file: BinaryIO, encoder: Encoder) -> Iterator[Write]:
    file.write(encoder.begin())
    yield lambda rows: _put(file, encoder.encode(rows))
    file.write(encoder.end())
    file.flush()


def _put(file: BinaryIO, encoded: bytes) -> None:
    file.write(encoded)


class _Rate(ProgressColumn):
    """How many rows there are, and how many a second."""

    def render(self, task: Task) -> Text:
        """The text for *task*."""
        return Text(f"{int(task.completed):,} rows, {int(task.speed or 0):,} rows/s")


@contextmanager
def _progress() -> Iterator[Callable[[int], int]]:
    """A line on standard error, if a person looks at it. Called with more rows, gives all."""
    with Progress(
        SpinnerColumn(), _Rate(), TimeElapsedColumn(), console=console, transient=True
    ) as progress:
        task = progress.add_task("export", total=None)

        def _count(rows: int) -> int:
            progress.advance(task, rows)
            return int(progress.tasks[0].completed)

        yield _count


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the program, and never look like success."""

    def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(_ENDED_BY_SIGTERM)

    former = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
