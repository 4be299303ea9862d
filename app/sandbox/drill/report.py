"""How a run is shown: a line while it runs, and a table, a plot and a record at the end."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from app.sandbox.drill.run import Drill, Report

#: What each total means, in the order of the table.
_MEANINGS: Final = {
    "sent": "distinct callbacks",
    "stored": "of these, in their tables",
    "quarantined": "of these, in the quarantine, at least in part",
    "refused": "not stored, and each request was refused",
    "unknown": "not stored, and a request had no answer",
    "lost": "acknowledged, and not stored",
    "acknowledged": "answered 200 at least once",
    "duplicates_absorbed": "requests answered 200 for what was acknowledged before",
    "recovered": "acknowledged after a request that was not",
    "wrong": "rows that differ from what was sent",
    "unexpected": "rows that nothing explains that was sent",
}
_BAD: Final = ("lost", "wrong", "unexpected")


def progress_line(drill: Drill) -> str:
    """What the run is doing now."""
    course = drill.course
    tally = course.tallies[-1][1] if course.tallies else None
    stored = course.stored[-1][1] if course.stored else 0
    if tally is None:
        return drill.phase
    return (
        f"{drill.phase}, {course.seconds:.0f} s: {len(course.faults)} failures; {tally.sent} sent, "
        f"{tally.acknowledged} acknowledged, {tally.pending} pending, {tally.refused} requests "
        f"refused, {tally.unanswered} unanswered; {stored} rows stored"
    )


def show_report(report: Report, console: Console) -> None:
    """Print the table and the verdict."""
    totals = Table(title="\nCallbacks", title_justify="left", show_header=False)
    totals.add_column("")
    totals.add_column("", justify="right")
    totals.add_column("")
    for name, number in asdict(report.totals).items():
        style = "bold red" if name in _BAD and number else ""
        totals.add_row(name.replace("_", " "), str(number), _MEANINGS[name], style=style)
    totals.add_section()
    for name, times in sorted(report.course.fault_counts.items()):
        totals.add_row(name, str(times), "failures")
    totals.add_row("all failures", str(len(report.course.faults)), f"{report.course.missed} missed")
    console.print(totals)
    findings = Table(title="\nOracles", title_justify="left", show_header=False)
    for one in report.findings:
        verdict = "[green]holds[/]" if one.holds else "[bold red]broken[/]"
        findings.add_row(one.oracle, verdict, one.seen)
    console.print(findings)
    for one in report.findings:
        for fault in one.faults:
            console.print(f"  {one.oracle}: {fault}", markup=False, soft_wrap=True)
    for sentence in report.left_out:
        console.print(f"Left out: {sentence}.", markup=False)
    options = report.options
    run = f"{options.mode} mode, seed {options.seed}, {options.minutes:g} minutes"
    if report.holds:
        console.print(f"\n[bold green]Nothing was lost, wrong or unexpected[/] ({run}).")
    else:
        console.print(f"\n[bold red]A promise was broken[/] ({run}).")


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write the plot and a record of the run, and return their paths."""
    options = report.options
    name = f"{options.mode}-seed{options.seed}"
    plot, record = folder / f"{name}.svg", folder / f"{name}.json"
    title = f"Drill: {options.mode} mode, seed {options.seed}, {len(report.course.faults)} failures"
    plot.write_text(report.course.plot(title))
    record.write_text(
        json.dumps(
            {
                "mode": options.mode,
                "seed": options.seed,
                "minutes": options.minutes,
                "holds": report.holds,
                "totals": asdict(report.totals),
                "faults": report.course.fault_counts,
                "oracles": {one.oracle: one.faults for one in report.findings},
                "leftOut": report.left_out,
            },
            indent=2,
        )
        + "\n"
    )
    return plot, record
