"""`python -m tests.bench`: how fast callbacks are stored, as ratios that can be repeated."""

import asyncio
import signal
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from tests.bench import (
    analysed,
    beside_dashboards,
    beside_reads,
    comparison,
    idle,
    latency,
    memory,
    modes,
    overload,
    reads,
    scale,
    snapshot,
    workers,
    wrk,
)
from tests.bench.contenders import revision
from tests.bench.group import Findings, Group, Say, Setting
from tests.bench.report import missed, table_of, write

#: All that is measured, in this order. A further group is added here.
GROUPS: Final[Sequence[Group]] = (
    comparison.GROUP,
    latency.GROUP,
    overload.GROUP,
    memory.GROUP,
    analysed.GROUP,
    idle.GROUP,
    workers.GROUP,
    modes.GROUP,
    snapshot.GROUP,
    reads.GROUP,
    beside_reads.GROUP,
    beside_dashboards.GROUP,
    scale.GROUP,
)

_PARTS: Final = {
    group.name: set(group.parts) - set(revision.BEFORE.values()) or {group.name} for group in GROUPS
}
_NAMES: Final = frozenset(name for group in GROUPS for name in group.names)
_RESULT: Final = Path("var/bench.json")

_HELP: Final = """
Measure how fast callbacks are stored, as ratios that can be repeated elsewhere.

The service runs in turn with others on the same machine, each on a PostgreSQL of its own, and gets
callbacks over the loopback interface: eight campaigns, of which half send each message a personal
text. What was acknowledged is then compared with what is stored.

It ends with 0 if nothing was lost, with 1 if something was, with 2 if wrk is missing or a name is
unknown. A figure that is not as wanted is shown, and changes no exit code.

\b
Groups, and what of them can be measured alone:
{groups}

\b
Examples:
  python -m tests.bench                            all of it, about half an hour
  python -m tests.bench ours bare --rounds 9       the service beside a bare server
  python -m tests.bench same personal              what personal texts cost
  python -m tests.bench ours bento                 beside the fastest durable peer
  python -m tests.bench personal --against v0.1.0  beside another revision of the service
  python -m tests.bench statistics idle            two small groups
  python -m tests.bench scale --events 10000000    a database that fills a disk
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)
console = Console()
progress = Console(stderr=True, highlight=False)


def _help() -> str:
    lines = []
    for group in GROUPS:
        lines.append(f"  {group.name:<12}{group.says}")
        lines += [f"  {'':<12}  {line}" for line in textwrap.wrap(", ".join(group.parts), 64)]
    return _HELP.format(groups="\n".join(lines))


@app.command(help=_help())
def bench(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    names: Annotated[
        list[str] | None, typer.Argument(help="Groups, or parts of them; none: all.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often each is measured.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="For how long each time.")] = 5,
    minutes: Annotated[
        int, typer.Option(min=0, max=600, help="For how long to watch memory grow; 0: not.")
    ] = 0,
    events: Annotated[
        int, typer.Option(min=30_000, help="How many a full database has, against a small one.")
    ] = 300_000,
    only: Annotated[list[str] | None, typer.Option(help="As NAMES, for one name each.")] = None,
    against: Annotated[
        str, typer.Option(help="A revision (branch, tag, commit) of the service to compare with.")
    ] = "",
    output: Annotated[Path, typer.Option(help="Where all figures are written to.")] = _RESULT,
) -> None:
    chosen = _chosen([*(names or ()), *(only or ())], against)
    _require_wrk()
    findings = asyncio.run(_measured(rounds, seconds, minutes, events, chosen, against))
    write(output, findings, rounds=rounds, seconds=seconds)
    console.print(table_of(findings.figures))
    console.print(f"Absolute figures mean nothing elsewhere. All of them: {output}", markup=False)
    _report(findings)
    raise typer.Exit(1 if findings.faults else 0)


def _chosen(names: Sequence[str], against: str) -> frozenset[str]:
    """The parts to measure, and the groups that have none; empty: all."""
    if unknown := set(names) - _NAMES:
        progress.print(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(_NAMES))}")
        raise typer.Exit(2)
    chosen = {part for name in names for part in _PARTS.get(name, (name,))}
    before = revision.BEFORE.items()
    if against and chosen:
        chosen |= {other for ours, other in before if ours in chosen}
    if not against and not chosen.isdisjoint(other for _, other in before):
        progress.print("with what revision to compare is for --against to say")
        raise typer.Exit(2)
    return frozenset(chosen)


def _require_wrk() -> None:
    if not wrk.is_installed():
        progress.print(wrk.INSTALL, markup=False)
        raise typer.Exit(2)


async def _measured(  # noqa: PLR0913, PLR0917 (the command's options)
    rounds: int, seconds: int, minutes: int, events: int, only: frozenset[str], against: str
) -> Findings:
    _cancel_on_sigterm()
    findings, say = Findings(), _sayer()
    wanted = [group for group in GROUPS if group.is_wanted(only)]
    for number, group in enumerate(wanted, 1):
        say(f"group {number} of {len(wanted)}, {group.name}: {group.says}")
        with _folder() as folder:
            setting = Setting(Path(folder), rounds, seconds, minutes, events, only, say, against)
            findings.add(await group.measure(setting))
    return findings


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="routee-bench-", ignore_cleanup_errors=True)


def _cancel_on_sigterm() -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)


def _report(findings: Findings) -> None:
    for skipped in findings.skipped:
        progress.print(f"skipped: {skipped}", markup=False)
    for line in missed(findings.figures):
        progress.print(line, markup=False, style="yellow")
    for fault in findings.faults:
        progress.print(fault, markup=False, style="red")


def _sayer() -> Say:
    started = time.monotonic()

    def _say(message: str) -> None:
        progress.print(f"{time.monotonic() - started:5.0f} s  {message}", markup=False)

    return _say


if __name__ == "__main__":
    app(prog_name="python -m tests.bench")
