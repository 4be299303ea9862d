"""`routee-receiver export`: writes tables to files."""

import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, BinaryIO, Final, NamedTuple, NoReturn

import typer

from app.cli.export_progress import ProgressDisplay, shown_on
from app.cli.instants import as_instant
from app.cli.running import (
    console,
    database_url,
    loaded_settings,
    require_current_schema,
    run,
    say,
)
from app.db.exports import ExportFilter, ExportTable, Reading
from app.domain.tracking_id import canonical_id
from app.services.exports.columns import COLUMNS, Row
from app.services.exports.exports import Encoder, ExportRequest, Format, encoder_of, exported
from app.services.exports.files import complete_file, complete_folder, standard_output
from app.services.exports.parquet import DayFolders
from app.services.exports.text import Cells
from app.settings import Settings

Write = Callable[[Sequence[Row]], object]

_STANDARD_OUTPUT: Final = "-"
#: SIGHUP comes when a terminal or a connection is closed; Windows has none.
_ENDING_SIGNALS: Final = (signal.SIGTERM, getattr(signal, "SIGHUP", None))
#: An export until midnight may be started at midnight. Its rows are complete after a minute, and
#: some more for transactions that are still writing.
_PATIENCE: Final = timedelta(seconds=75)


class Target(NamedTuple):
    """The file or folder of an export, and its format."""

    output: str
    format: Format
    cells: Cells

    @property
    def is_folder(self) -> bool:
        """Whether *output* is a folder with a file for each day."""
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
            help="The file, - for standard output. For parquet a folder that does not exist yet.",
        ),
    ],
    format_: Annotated[Format, typer.Option("--format", "-f", help="The format.")] = Format.CSV,
    campaign: Annotated[
        str | None,
        typer.Option(
            parser=canonical_id,
            metavar="TEXT",
            help="Only this campaign, by its trackingId or our id.",
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=as_instant,
            metavar="TIME",
            help="Only rows of this time or later. ISO 8601; UTC if it has no offset.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(parser=as_instant, metavar="TIME", help="Only rows before this time."),
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
            help="For CSV. spreadsheet: an apostrophe is put before everything but telephone "
            "numbers that a spreadsheet could take for a formula, at the start of a text or after "
            "; or a line end in it. exact: unchanged texts, for programs."
        ),
    ] = Cells.SPREADSHEET,
) -> None:
    r"""
    Write messages, events, replies or campaigns to a file, with the fields of the API.

    All rows are from one snapshot, and are read from
    RECEIVER_DATABASE_READ_URL if that is set. Payloads and tokens are not
    exported.

    The time of a row, for --since and --until, is updatedAt of a message,
    receivedAt of an event or a reply, and recordedAt of a campaign: when it
    was first stored. Rows of the last minute may still be missing, so the
    last line says up to when the export is complete: that is the --since of
    the next one. If --until is less than a minute ago, the command waits.

    The file is FILE.partial until it is complete, and only its owner may
    read it. parquet needs pip install 'routee-receiver\[parquet]' and makes
    a folder with day=YYYY-MM-DD/part-0.parquet. The day is that of the same
    times in UTC, but for events that of occurredAt, as in the views of bi_v1.

    Exit codes: 0 the export is complete; 1 it is not, and there is no file;
    2 the command is wrong; 130 ended by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.

    Example: routee-receiver export events --since 2026-07-01 -o events.csv
    """
    target = Target(output, format_, cells)
    if target.is_folder and output == _STANDARD_OUTPUT:
        raise typer.BadParameter("parquet goes to a folder, not to standard output")
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("must be later than --since", param_hint="--until")
    wanted = ExportRequest(table, ExportFilter(campaign, since, until), mask_numbers)
    with _ended_by_signals():
        summary = run(_export(loaded_settings(), wanted, target))
    say(f"Exported {summary.rows:,} rows of {table}.")
    say(_completeness_line(summary.complete_until, until))


class ExportSummary(NamedTuple):
    """The size and the completeness of an export."""

    rows: int
    complete_until: datetime | None


async def _export(settings: Settings, wanted: ExportRequest, target: Target) -> ExportSummary:
    async with _read_url(settings) as url:
        # The file is opened first, so that its faults are found before a long sort.
        with _opened(wanted, target) as write, shown_on(console) as display:
            reading = Reading(
                in_order_of_days=target.is_folder, patience=_PATIENCE, on_wait=display.wait
            )
            complete_until = await _written_to(write, url, wanted, reading, display)
        return ExportSummary(display.rows, complete_until)


async def _written_to(
    write: Write, url: str, wanted: ExportRequest, reading: Reading, display: ProgressDisplay
) -> datetime | None:
    async with exported(url, wanted, reading) as export:
        display.expect(export.expected_rows)
        async for rows in export.chunks:
            write(rows)
            display.add(len(rows))
    return export.complete_until


def _completeness_line(complete_until: datetime | None, until: datetime | None) -> str:
    if complete_until is None:
        return (
            "It is unknown up to when the export is complete: the replica has replayed nothing "
            "since it was started."
        )
    at = complete_until.isoformat().replace("+00:00", "Z")
    later = "" if complete_until == until else " Rows after that, if any, are exported again then."
    return f"Complete until {at}: that is the --since of the next export.{later}"


@asynccontextmanager
async def _read_url(settings: Settings) -> AsyncIterator[str]:
    async with database_url(settings) as primary_url:
        url = settings.database_read_url or primary_url
        await require_current_schema(url)
        yield url


@contextmanager
def _opened(wanted: ExportRequest, target: Target) -> Iterator[Write]:
    """A function that writes rows. The output gets its name only if the block succeeds."""
    table = wanted.table
    if target.is_folder:
        day_if_empty = (wanted.rows.since or datetime.now(UTC)).date()
        with (
            complete_folder(Path(target.output)) as folder,
            closing(DayFolders(folder, COLUMNS[table], day_if_empty=day_if_empty)) as days,
        ):
            yield days.write
            days.finish()
        return
    encoder = encoder_of(table, target.format, target.cells)
    if target.output == _STANDARD_OUTPUT:
        with standard_output() as file, _written(file, encoder) as write:
            yield write
        return
    with complete_file(Path(target.output)) as file, _written(file, encoder) as write:
        yield write


@contextmanager
def _written(file: BinaryIO, encoder: Encoder) -> Iterator[Write]:
    file.write(encoder.begin())
    yield lambda rows: file.write(encoder.encode(rows))
    file.write(encoder.end())


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let ending signals raise SystemExit, with exit codes that are no success."""

    def _end(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    # A signal that nohup ignores stays ignored.
    handled = [
        one for one in _ENDING_SIGNALS if one and signal.getsignal(one) is not signal.SIG_IGN
    ]
    former = {one: signal.signal(one, _end) for one in handled}
    try:
        yield
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
