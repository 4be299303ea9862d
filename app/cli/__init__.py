"""The command line."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Take Routee's Viber callbacks durably, in any order, and answer for them."""


def main() -> None:
    """Run the command line."""
    app()
