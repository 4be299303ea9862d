"""`routee-receiver openapi`: prints the OpenAPI document."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.api.application import api_document


def openapi(
    output: Annotated[
        Path | None, typer.Option(help="The file to write instead of standard output.")
    ] = None,
) -> None:
    """Print the OpenAPI document of the API, callbacks included. Needs no database, no settings."""
    text = json.dumps(api_document(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
