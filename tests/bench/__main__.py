"""`python -m tests.bench`: how fast callbacks are stored, as ratios that can be repeated."""

import asyncio
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from tests.bench import comparison, latency, memory, overload, reads, scale, snapshot, workers, wrk
from tests.bench.group import Findings, Group, Setting
from tests.bench.report import missed, table_of, write

#: All that is measured, in this order. This is the place for more.
GROUPS: Final[Sequence[Group]] = (
    comparison.GROUP,
    latency.GROUP,
    overload.GROUP,
    memory.GROUP,
    workers.GROUP,
    snapshot.GROUP,
    reads.GROUP,
    scale.GROUP,
)

_NAMES: Final = [name for group in GROUPS for name in group.names]
_RESULT: Final = Path("var/bench.json")

console = Console()
progress = Console(stderr=True, highlight=False)


def bench(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often each is measured.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="For how long each time.")] = 5,
    minutes: Annotated[
        int, typer.Option(min=0, max=600, help="For how long to watch memory grow; 0: not.")
    ] = 0,
    events: Annotated[
        int, typer.Option(min=30_000, help="How many a full database has, against an empty one.")
    ] = 300_000,
    only: Annotated[
        list[str] | None, typer.Option(help=f"What to measure: {', '.join(_NAMES)}.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Where all figures are written to.")] = _RESULT,
) -> None:
    """
    Measure how fast callbacks are stored, in turn with others on the same machine.

    Callbacks are posted over the loopback interface; what was acknowledged is compared with what is
    stored. Ends with 0 if nothing was lost, with 1 if something was, with 2 if wrk is missing or
    a name is unknown. A figure that is not as wanted is said, and changes no exit code.
    """
    chosen = frozenset(only or ())
    _require(chosen)
    findings = asyncio.run(_measured(rounds, seconds, minutes, events, chosen))
    write(output, findings, rounds=rounds, seconds=seconds)
    console.print(table_of(findings.figures))
    console.print(f"Absolute figures mean nothing elsewhere. All of them: {output}", markup=False)
    _tell(findings)
    raise typer.Exit(1 if findings.faults else 0)


def _require(chosen: frozenset[str]) -> None:
    if unknown := chosen.difference(_NAMES):
        progress.print(f"not to be measured: {', '.join(unknown)}; known: {', '.join(_NAMES)}")
        raise typer.Exit(2)
    if not wrk.is_installed():
        progress.print(wrk.INSTALL, markup=False)
        raise typer.Exit(2)


async def _measured(
    rounds: int, seconds: int, minutes: int, events: int, only: frozenset[str]
) -> Findings:
    _cancel_on_sigterm()
    findings = Findings()
    for group in GROUPS:
        if group.is_wanted(only):
            with _folder() as folder:
                setting = Setting(Path(folder), rounds, seconds, minutes, events, only, _say)
                findings.add(await group.measure(setting))
    return findings


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="routee-bench-", ignore_cleanup_errors=True)


def _cancel_on_sigterm() -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)


def _tell(findings: Findings) -> None:
    for skipped in findings.skipped:
        progress.print(f"skipped: {skipped}", markup=False)
    for line in missed(findings.figures):
        progress.print(line, markup=False, style="yellow")
    for fault in findings.faults:
        progress.print(fault, markup=False, style="red")


def _say(message: str) -> None:
    progress.print(message, markup=False)


if __name__ == "__main__":
    typer.run(bench)
