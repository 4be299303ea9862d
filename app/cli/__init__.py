"""The command line."""

from typing import Annotated

import typer

from app.cli import api_key, bi_user, campaign, quarantine
from app.cli.capacity import capacity
from app.cli.config import config
from app.cli.demo import demo
from app.cli.doctor import doctor
from app.cli.drill import drill
from app.cli.erase import erase
from app.cli.export import export
from app.cli.migrate import migrate
from app.cli.openapi import openapi
from app.cli.rebuild import rebuild
from app.cli.reconcile import reconcile
from app.cli.retain import retain
from app.cli.running import errors_in_one_line, is_logging_json
from app.cli.serve import serve
from app.cli.simulate import simulate
from app.cli.starting import version_line
from app.cli.work import work
from app.db.database import schema_version
from app.domain.masking import SecretMask
from app.observability.healthcheck import healthcheck
from app.observability.logs import configure_logs
from app.settings import SettingsInvalid, load_settings, require_known_variables

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(api_key.app, name="api-key")
app.add_typer(bi_user.app, name="bi-user")
app.add_typer(campaign.app, name="campaign")
app.add_typer(quarantine.app, name="quarantine")
app.command()(demo)
app.command()(drill)
app.command()(serve)
app.command()(work)
app.command()(migrate)
app.command()(doctor)
app.command()(healthcheck)
app.command()(retain)
app.command()(reconcile)
app.command()(erase)
app.command()(rebuild)
app.command()(simulate)
app.command()(export)
app.command()(openapi)
app.command()(capacity)
app.command()(config)


def _show_version(is_asked: bool) -> None:  # noqa: FBT001 (Typer calls it so)
    if is_asked:
        typer.echo(f"{version_line()}, schema {schema_version()}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """
    Store Routee's Viber callbacks durably, in any order, and answer questions about them.

    Settings are environment variables named RECEIVER_*; `routee-receiver config` lists them. To see
    the whole product work on one machine, run: routee-receiver demo
    """
    if context.invoked_subcommand not in {"config", "doctor"}:  # which show what is wrong
        with errors_in_one_line():
            require_known_variables()


def main() -> None:
    """Run the command line. `serve` and `demo` configure the logs again, by their settings."""
    is_json = is_logging_json()
    configure_logs(
        log_format="json" if is_json else "console",
        # What is said to a person otherwise is logged for the collector.
        level="INFO" if is_json else "WARNING",
        mask=_mask(),
    )
    app()


def _mask() -> SecretMask:
    """Of the secrets in the settings; the commands say themselves if one is unusable."""
    try:
        return SecretMask(load_settings().all_secrets())
    except SettingsInvalid:
        return SecretMask()
