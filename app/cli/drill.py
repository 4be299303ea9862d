"""`routee-receiver drill`: rehearses failures, and accounts for every callback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from app.cli.running import end_on_sigterm, errors_in_one_line, loaded_settings, say
from app.domain.masking import SecretMask
from app.observability.logs import configure_logs
from app.sandbox.drill.modes import BufferedMode, DirectMode, StandbyMode
from app.sandbox.drill.report import progress_line, show_report, write_report
from app.sandbox.drill.run import Drill, DrillOptions, scratch_folder

_SHOWN_EVERY_SECONDS: Final = 1.0
#: Where each line stays.
_PRINTED_EVERY_SECONDS: Final = 15.0


class Mode(StrEnum):
    """What runs, and what is broken."""

    DIRECT = DirectMode.name
    STANDBY = StandbyMode.name
    BUFFERED = BufferedMode.name


def drill(
    *,
    mode: Annotated[Mode, typer.Option(help="What runs, and what is broken.")] = Mode.DIRECT,
    seed: Annotated[int, typer.Option(help="Repeats the failures and the callbacks.")] = 1,
    minutes: Annotated[
        float, typer.Option(min=0.1, max=600, help="For how long failures are injected.")
    ] = 2.0,
    rate: Annotated[
        float, typer.Option(min=1, max=20_000, help="New callbacks per second, if possible.")
    ] = 1500.0,
) -> None:
    """
    Rehearse failures under load, and account for every callback.

    Starts a PostgreSQL 18 below RECEIVER_DATA_DIR/drill, replicas of the service, and a sender that
    keeps a ledger; kills, freezes and cuts them; and at the end compares everything that is stored
    and shown with the ledger. The exit code is 0 only if nothing is lost, wrong or unexpected. A
    plot and a record of the run stay in RECEIVER_DATA_DIR/drill.
    """
    settings = loaded_settings()
    mask = SecretMask(settings.all_secrets())
    configure_logs(log_format=settings.log_format, level="WARNING", mask=mask)
    end_on_sigterm()
    options = DrillOptions(mode=mode.value, seed=seed, minutes=minutes, callbacks_per_second=rate)
    with errors_in_one_line():
        try:
            held = asyncio.run(_rehearse(options, settings.data_dir / "drill"))
        except KeyboardInterrupt:
            raise typer.Exit(1) from None
        except (TimeoutError, ProcessLookupError) as error:
            say(f"routee-receiver: the drill could not be run: {str(error) or 'it took too long'}")
            raise typer.Exit(1) from error
        raise typer.Exit(0 if held else 1)


async def _rehearse(options: DrillOptions, folder: Path) -> bool:
    console = Console()
    with scratch_folder(folder) as scratch:
        drill = Drill(options, scratch)
        async with _shown(drill, console):
            report = await drill.run()
        if not report.holds:
            scratch.rename(folder / f"{scratch.name}-broken")
    show_report(report, console)
    plot, record = write_report(report, folder)
    console.print(f"Plot: {plot}\nRecord: {record}", markup=False, soft_wrap=True)
    if not report.holds:
        kept = folder / f"{scratch.name}-broken"
        console.print(f"Logs and ledgers: {kept}", markup=False, soft_wrap=True)
    return report.holds


@asynccontextmanager
async def _shown(drill: Drill, console: Console) -> AsyncIterator[None]:
    """Show a line of progress while the block runs."""
    task = asyncio.create_task(_show(drill, console))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _show(drill: Drill, console: Console) -> None:
    if not console.is_terminal:
        while True:
            console.print(progress_line(drill), markup=False, highlight=False, soft_wrap=True)
            await asyncio.sleep(_PRINTED_EVERY_SECONDS)
    with console.status("") as status:
        while True:
            status.update(progress_line(drill))
            await asyncio.sleep(_SHOWN_EVERY_SECONDS)
