"""`python -m tests.bench`: how fast callbacks are stored, as ratios that can be repeated."""

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from tests.bench import wrk
from tests.bench.report import REQUIRED_RATIO, faults_of, figures_of, table_of, write
from tests.bench.rounds import Round, measure

_RESULT: Final = Path("var/bench.json")

console = Console()
progress = Console(stderr=True, highlight=False)


def bench(
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often each is measured.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="For how long each time.")] = 5,
    output: Annotated[Path, typer.Option(help="Where all figures are written to.")] = _RESULT,
) -> None:
    """
    Measure how fast callbacks are stored, in turn with others on the same machine.

    Three contenders, one after the other in each round: a server that stores nothing, the service
    with a PostgreSQL 18 of its own (fsync on), and the service while 500 clients long-poll its
    feed. Callbacks are posted by wrk over the loopback interface; what it was told to be stored is
    compared with what is. Ends with 0 if nothing was lost, with 1 if something was, with 2 if wrk
    is missing.
    """
    if not wrk.is_installed():
        progress.print(wrk.INSTALL, markup=False)
        raise typer.Exit(2)
    measured = asyncio.run(_measured(rounds, seconds))
    figures = figures_of(measured)
    write(output, figures, measured, seconds=seconds)
    console.print(table_of(figures))
    console.print(f"Absolute figures mean nothing elsewhere. All of them: {output}", markup=False)
    faults = faults_of(measured)
    for fault in faults:
        progress.print(fault, markup=False, style="red")
    slow = next(figure for figure in figures if figure.name == "followed_to_ours")
    if slow.middle < REQUIRED_RATIO:
        progress.print(f"{slow.says}: at least {REQUIRED_RATIO} is wanted", style="yellow")
    raise typer.Exit(1 if faults else 0)


async def _measured(rounds: int, seconds: int) -> list[Round]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="routee-bench-", ignore_cleanup_errors=True) as folder:
        return await measure(Path(folder), rounds=rounds, seconds=seconds, say=_say)


def _say(message: str) -> None:
    progress.print(message, markup=False)


if __name__ == "__main__":
    typer.run(bench)
