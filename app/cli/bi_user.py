"""`routee-receiver bi-user`: the logins with which analysts' programs read the views."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from app.cli.listing import AsJson, show_rows
from app.cli.running import (
    AcceptOutdated,
    accepting_outdated,
    current_database,
    database_url,
    errors_in_one_line,
    loaded_settings,
    require_safe_embedded,
    run,
    run_with_database,
    say,
)
from app.db.bi.address import address, on_localhost, socket_folder_of
from app.db.bi.hardening import Change, find_hardening, script
from app.db.bi.hardening import harden as harden_database
from app.db.bi.login import BiLogin, check_name
from app.db.bi.users import (
    CreatedLogin,
    NotAllowed,
    bi_logins,
    create_bi_login,
    remove_bi_login,
)
from app.db.database import Database
from app.kit.scram import make_verifier
from app.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Make, list and remove the logins of analysts, who read the views of schema bi_v1 in SQL.",
)

_PASSWORD_BYTES = 32

Name = Annotated[str, typer.Option(help="Its name: a-z, 0-9 and _, a letter first.")]


@app.command()
def create(
    name: Name,
    pii: Annotated[  # noqa: FBT002 (an option of the command line)
        bool, typer.Option("--pii", help="It sees telephone numbers whole, not masked.")
    ] = False,
    max_connections: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help="How many connections it may have at once. A person's program takes 1 to 5, a "
            "server for many people 10 to 20, each of its processes a pool of its own.",
        ),
    ] = 10,
    accept_outdated_postgres: AcceptOutdated = False,  # noqa: FBT002 (an option of the command line)
) -> None:
    """
    Make a login for Power BI, Excel, Grafana, Superset and the like.

    The last line of the output is its connection URI, with a password that is stored nowhere: keep
    it. The login reads the views of schema bi_v1 and nothing else. Its transactions are ended after
    RECEIVER_BI_MAX_SECONDS, also while they are idle, as between two cells of a notebook. With more
    than --max-connections at once PostgreSQL refuses the next: "too many connections for role".

    Making logins takes a database role with CREATEROLE, or a superuser as the embedded PostgreSQL
    has. With another role this prints the statements that an administrator must run instead.

    Example: routee-receiver bi-user create --name powerbi
    """
    settings = accepting_outdated(loaded_settings(), accept_outdated_postgres)
    if not settings.database_url:
        with errors_in_one_line():
            require_safe_embedded(settings, "An analyst's login could use them.")
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    login = BiLogin(name, make_verifier(password), pii, settings.bi_max_seconds, max_connections)
    uri = run(_create(settings, login, password))
    if uri is None:
        raise typer.Exit(1)
    typer.echo(uri)


@app.command(name="list")
def list_logins(*, as_json: AsJson = False) -> None:
    """List the logins of analysts, and how many sessions each has now."""
    rows = [
        {
            "name": login.name,
            "numbers": "whole" if login.pii else "masked",
            "maxConnections": login.max_connections if login.max_connections >= 0 else "any",
            "sessions": login.sessions,
        }
        for login in run_with_database(bi_logins)
    ]
    show_rows(["name", "numbers", "maxConnections", "sessions"], rows, as_json=as_json)


@app.command()
def remove(name: Name) -> None:
    """
    Remove a login. Its sessions end at once.

    Example: routee-receiver bi-user remove --name powerbi
    """
    if not run_with_database(lambda database: _remove(database, name)):
        say(f"There is no analyst's login {name!r}. See: routee-receiver bi-user list")
        raise typer.Exit(1)
    say(f"Removed {name}.")


@app.command()
def harden(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,  # noqa: FBT002
    dry_run: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Print the statements only.")
    ] = False,
) -> None:
    """
    Take from every role of this database what an analyst's login could do harm with.

    PostgreSQL lets every role connect to every database, make large objects and take locks. This
    prints the statements that revoke it, and asks before it runs them; roles that already use this
    database keep each right. Statements that take another role are printed for an administrator,
    and the exit code is 1. A second run has nothing to change.

    Example: routee-receiver bi-user harden --dry-run
    """
    changes = run_with_database(find_hardening)
    ours = [change for change in changes if change.may_run]
    others = [change for change in changes if not change.may_run]
    if not changes:
        say("There is nothing to change: the database is hardened.")
    if ours:
        _print("To be changed in this database:", ours)
    if others:
        _print("For an administrator, as the role of the service may not run it:", others)
    if dry_run:
        return
    if ours:
        if not yes:
            typer.confirm("Change the rights of this database?", abort=True, err=True)
        run_with_database(lambda database: harden_database(database, ours))
        say("Changed.")
    if others:
        raise typer.Exit(1)


def _print(title: str, changes: list[Change]) -> None:
    """On standard output as a script that psql can run."""
    typer.echo("\n".join([f"-- {title}", *script(changes)]))


@asynccontextmanager
async def _reached(settings: Settings) -> AsyncIterator[tuple[Database, str]]:
    """The database, and the URL at which analysts reach it."""
    async with database_url(settings) as url:
        found = settings.model_copy(update={"database_url": url})
        async with current_database(found) as database:
            yield database, settings.database_read_url or _for_others(settings, url)


def _for_others(settings: Settings, url: str) -> str:
    is_embedded = not settings.database_url
    if is_embedded and settings.embedded_port:
        return on_localhost(url, settings.embedded_port)
    if is_embedded:
        say(
            f"The embedded PostgreSQL has a socket only, in {socket_folder_of(url)}, which its own "
            "account and root reach. For others on this machine, set RECEIVER_EMBEDDED_PORT."
        )
    return url


async def _create(settings: Settings, login: BiLogin, password: str) -> str | None:
    """The login's URI; None when an administrator must make it."""
    check_name(login.name)
    async with _reached(settings) as (database, url):
        try:
            made = await create_bi_login(database, login)
        except NotAllowed as error:
            _explain(error)
            uri = address(url, user=login.name, password=password, database=error.database)
            say(f"Then its connection URI, shown only now, is:\n{uri}")
            return None
    _describe(login, made)
    return address(url, user=login.name, password=password, database=made.database)


def _describe(login: BiLogin, made: CreatedLogin) -> None:
    numbers = "whole" if login.pii else "masked"
    say(
        f"Made the login {login.name}: it reads the views of schema bi_v1, telephone numbers "
        f"{numbers}; at most {login.max_connections} connections, {login.max_seconds} s a query."
    )
    if made.lacking:
        say(
            "So that it may connect once the database is hardened, the database's owner should run:"
        )
        for statement in made.lacking:
            say(f"  {statement};")
    if not made.is_hardened:
        say("Against harm to the whole database see: routee-receiver bi-user harden --dry-run")
    say("Its connection URI, shown only now:")


def _explain(error: NotAllowed) -> None:
    say(f"routee-receiver: {error} Let an administrator run, in the database {error.database}:\n")
    say(error.script)


async def _remove(database: Database, name: str) -> bool:
    try:
        return await remove_bi_login(database, name)
    except NotAllowed as error:
        _explain(error)
        raise typer.Exit(1) from error
