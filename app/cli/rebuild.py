"""`routee-receiver rebuild`: compares the projections with the events, and repairs them."""

from collections.abc import Mapping
from typing import Annotated, Final

import typer

from app.cli.export_progress import ProgressDisplay, shown_on
from app.cli.listing import AsJson, show_rows
from app.cli.running import console, current_database, database_url, loaded_settings, run, say
from app.domain.rebuild import Difference
from app.services.rebuild import Findings, Rebuild
from app.settings import Settings

_TITLES: Final = ("projection", "key", "column", "stored", "expected")
_MOST: Final = 100
_MAX_MOST: Final = 10_000


def rebuild(
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare, and show what differs.")
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Do not go on where an interrupted rebuild ended."),
    ] = False,
    limit: Annotated[
        int, typer.Option(min=0, max=_MAX_MOST, help="How many differences are shown.")
    ] = _MOST,
    as_json: AsJson = False,
) -> None:
    """
    Make messages, counts and the roll-ups for BI again from the stored events.

    What differs is repaired and shown, with masked telephone numbers. The service may run
    meanwhile. After an interruption the next call goes on; one process at a time rebuilds. Messages
    of which retention may have removed events, and sums with something removed in them, stay as
    they are.

    Exit codes: 0 all that can be compared is right, or was repaired; 1 with --verify if anything
    differs, without it if anything could not be repaired, or it was interrupted.

    Example: routee-receiver rebuild --verify
    """
    if verify and restart:
        raise typer.BadParameter("goes with a rebuild, not with --verify", param_hint="--restart")
    found = run(_rebuild(loaded_settings(), verify=verify, restart=restart, most=limit))
    differing = found.differing.total()
    if differing or as_json:
        show_rows(
            _TITLES, [_row(each, as_json=as_json) for each in found.differences], as_json=as_json
        )
    _summarise(found)
    if differing > (0 if verify else found.repaired):
        raise typer.Exit(1)


def _summarise(found: Findings) -> None:
    say(f"{found.examined:,} messages compared.")
    if found.left_alone:
        say(
            f"{found.left_alone:,} of them stay as they are: retention may have removed some of "
            "their events."
        )
    for projection, rows in found.differing.items():
        say(f"{projection}: {rows:,} rows differ.")
    if found.repaired:
        say(f"{found.repaired:,} rows repaired.")
    if not found.differing:
        say("Nothing differs.")


def _row(difference: Difference, *, as_json: bool) -> Mapping[str, object]:
    row = difference._asdict()
    if not as_json:
        row |= {
            "key": _key_line(difference.key),
            "stored": _shown(difference.stored),
            "expected": _shown(difference.expected),
        }
    return row


def _key_line(key: Mapping[str, object]) -> str:
    if len(key) == 1:
        return str(*key.values())
    return ", ".join(f"{name} {_shown(value)}" for name, value in key.items())


def _shown(value: object) -> str:
    return "null" if value is None else str(value)


class _Display:
    """The progress of a rebuild on a terminal or in a log."""

    def __init__(self, progress: ProgressDisplay) -> None:
        self.expect = progress.expect
        self.add = progress.add
        self.say = say


async def _rebuild(settings: Settings, *, verify: bool, restart: bool, most: int) -> Findings:
    async with current_database(settings), database_url(settings) as url:
        with shown_on(console, what="messages") as progress:
            rebuilding = Rebuild(url, _Display(progress), most=most)
            return await (rebuilding.verify() if verify else rebuilding.rebuild(restart=restart))
