"""The command line."""

from typing import Annotated

import typer

from app.cli.commands import CommandGroup
from app.cli.running import errors_in_one_line, is_logging_json
from app.cli.version import version_line
from app.db.database import schema_version
from app.domain.masking import SecretMask
from app.observability.logs import configure_logs
from app.settings import SettingsInvalid, load_settings, require_known_variables

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, pretty_exceptions_enable=False)


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
