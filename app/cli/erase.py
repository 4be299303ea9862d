"""`routee-receiver erase`: pseudonymises one recipient."""

import getpass
from typing import Annotated

import typer
from rich.table import Table

from app.cli.running import console, current_database, database_url, loaded_settings, run, say
from app.domain.erasure import ErasureKeys
from app.services.erasure.erasures import Eraser, Erasure
from app.settings import Settings


def erase(
    number: Annotated[str, typer.Argument(help="The recipient's number with its country code.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the rows that would change.")
    ] = False,
    lift: Annotated[
        bool, typer.Option("--lift", help="Store new callbacks of an erased recipient again.")
    ] = False,
) -> None:
    """
    Erase a recipient: number, texts and payloads, wherever they are stored.

    The rows stay, under a pseudonym, so that counts do not change. Until the erasure is lifted,
    later callbacks are pseudonymised before they are stored, and campaigns to the number are
    refused. All stored data is searched, which takes a while; an erasure that is interrupted is
    resumed by any process that serves, or by the next call. Needs RECEIVER_ERASURE_KEYS or
    RECEIVER_SIGNING_KEYS, with the values of `serve`.

    Example: routee-receiver erase +306912345678
    """
    settings = loaded_settings()
    if lift:
        if not run(_lift(settings, number)):
            say("The recipient was not erased.")
            raise typer.Exit(1)
        say("Lifted: new callbacks of the recipient are stored unchanged again.")
        return
    if not dry_run and not yes:
        typer.confirm("An erasure cannot be undone. Erase the recipient?", abort=True, err=True)
    _show(run(_erase(settings, number, dry_run=dry_run)), dry_run=dry_run)


def _show(erasure: Erasure, *, dry_run: bool) -> None:
    found = {table: rows for table, rows in sorted(erasure.rows.items()) if rows}
    if erasure.is_repeated:
        say("The recipient had been erased before.")
    if not found:
        say("Nothing of the recipient is stored.")
        return
    table = Table("table", "rows that would change" if dry_run else "rows changed")
    for name, rows in found.items():
        table.add_row(name, f"{rows:,}")
    console.print(table)


async def _erase(settings: Settings, number: str, *, dry_run: bool) -> Erasure:
    async with current_database(settings), database_url(settings) as url:
        erasing = Eraser(url, ErasureKeys(settings.keys_for_erasure()), say=say)
        return await erasing.erase(number, asked_by=_user(), dry_run=dry_run)


async def _lift(settings: Settings, number: str) -> bool:
    async with current_database(settings), database_url(settings) as url:
        erasing = Eraser(url, ErasureKeys(settings.keys_for_erasure()), say=say)
        return await erasing.lift(number, asked_by=_user())


def _user() -> str:
    try:
        return f"command line, {getpass.getuser()}"
    except (KeyError, OSError):  # a container's user need not have a name
        return "command line"
