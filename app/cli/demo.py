"""`routee-receiver demo`: the whole product on this machine."""

import asyncio
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console

from app.cli.running import end_on_sigterm, errors_in_one_line, loaded_settings
from app.domain.masking import SecretMask
from app.observability.logs import configure_logs
from app.sandbox.demo import demonstrate


def demo(
    *,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep everything running, to try the API and the dashboard."),
    ] = False,
) -> None:
    """
    Run the whole product against a simulated Routee, and check the outcome.

    Starts a PostgreSQL 18 in RECEIVER_DATA_DIR/demo, the service, and a simulated Routee; launches
    a campaign of 500 recipients, whose callbacks and replies come back doubled and shuffled; and
    compares the stored data with the data that was sent. The exit code is 0 only if they are equal.
    """
    settings = loaded_settings()
    mask = SecretMask(settings.all_secrets())
    configure_logs(log_format=settings.log_format, level="WARNING", mask=mask)
    end_on_sigterm()
    with errors_in_one_line(), suppress(KeyboardInterrupt):
        held = asyncio.run(demonstrate(settings.data_dir / "demo", Console(), keep=keep))
        raise typer.Exit(0 if held else 1)
