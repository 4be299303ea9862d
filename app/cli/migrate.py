"""`routee-receiver migrate`: brings the schema to a version, and says what that would do."""

import asyncio
import json
import time
from typing import Annotated, Final

import typer

from app.cli.listing import AsJson
from app.cli.running import database_url, loaded_settings, run, say
from app.db.database import Database, migrate_database
from app.db.migrating import Plan, planned
from app.errors import DatabaseUnavailable, SchemaOutdated
from app.settings import Settings

_ASK_AGAIN_SECONDS: Final = 1.0


def migrate(
    *,
    status: Annotated[
        bool, typer.Option("--status", help="Only say what the schema is and what would run.")
    ] = False,
    to: Annotated[
        str,
        typer.Option(
            metavar="REVISION",
            help="The version to go to, up or down: one such as 0001, head, or base for none.",
        ),
    ] = "head",
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before going down, which loses data.")
    ] = False,
    as_json: AsJson = False,
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Wait for so long until the database answers, as one that has just been started.",
        ),
    ] = 0,
) -> None:
    """
    Bring the database schema to the version that this program needs.

    Safe to run at any time, several times at once, and while the service runs: one process works,
    the others wait, and no callback waits for a migration that waits for a lock. After an
    interruption run it again.

    With --to it goes to another version. Going down loses what the newer version has stored: it
    says what, and asks. Back up first.

    Exit codes with --status: 0 the schema is what this program needs (or what --to says); 1 it is
    not.

    Examples: routee-receiver migrate --status; routee-receiver migrate --to 0001
    """
    if as_json and not status:
        raise typer.BadParameter("goes with --status", param_hint="--json")
    settings = loaded_settings()
    plan = run(_planned(settings, to, wait_seconds=wait))
    if status:
        _show(plan, as_json=as_json)
        raise typer.Exit(plan.state != "current")
    if plan.state == "ahead":
        _describe(plan)
    if plan.state == "ahead" and not yes:
        typer.confirm("This cannot be undone. Go down?", abort=True, err=True)
    version = run(_migrated(settings, plan))
    say(f"The schema is at version {version}.")


def _show(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        steps = [step._asdict() for step in plan.steps]
        document = {
            "schema": plan.found,
            "needed": plan.target,
            "state": plan.state,
            "wouldRun": steps,
        }
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(f"schema now  {plan.found}")
    typer.echo(f"needed      {plan.target}")
    typer.echo(f"state       {plan.state}")
    for step in plan.steps:
        way = "down" if plan.state == "ahead" else "up"
        typer.echo(f"would run   {step.revision} {way}: {step.what}")
        if step.loses:
            typer.echo(f"loses       {step.loses}")
    if plan.state == "unknown":
        say(_unknown(plan))


def _describe(plan: Plan) -> None:
    say(f"From {plan.found} down to {plan.target}. This is lost:")
    for step in plan.steps:
        say(f"- {step.revision}: {step.loses}")


def _unknown(plan: Plan) -> str:
    return (
        f"The database schema is {plan.found}, which this program does not know: a newer version "
        f"has made it. Only that version can bring it down: routee-receiver migrate --to "
        f"{plan.target}"
    )


async def _planned(settings: Settings, to: str, *, wait_seconds: float) -> Plan:
    async with database_url(settings) as url:
        if wait_seconds:
            await _answers(url, time.monotonic() + wait_seconds)
        database = Database(url, name="migrate", pool_items=1)
        try:
            return await planned(database, to)
        finally:
            await database.close()


async def _migrated(settings: Settings, plan: Plan) -> str:
    if plan.state == "unknown":
        raise SchemaOutdated(_unknown(plan))
    async with database_url(settings) as url:
        return await migrate_database(url, to=plan.target, is_down=plan.state == "ahead", say=say)


async def _answers(url: str, until: float) -> None:
    """
    Return once the database at *url* answers.

    Raises:
        DatabaseUnavailable: it does not answer *until* then.
    """
    database, said = Database(url, name="migrate", pool_items=1), ""
    try:
        while True:
            try:
                await database.server_version()
            except DatabaseUnavailable as error:
                left = until - time.monotonic()
                if left <= 0:
                    raise
                if str(error) != said:
                    said = str(error)
                    say(f"{said} Waiting for {left:.0f} s at most.")
                await asyncio.sleep(min(left, _ASK_AGAIN_SECONDS))
            else:
                return
    finally:
        await database.close()
