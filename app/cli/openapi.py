"""`routee-receiver openapi`: prints the OpenAPI document, or the AsyncAPI document, as JSON."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.api.application import api_document
from app.api.document.asyncapi import asyncapi_of


def openapi(
    output: Annotated[
        Path | None, typer.Option(help="The file to write instead of standard output.")
    ] = None,
    *,
    asyncapi: Annotated[
        bool,
        typer.Option("--asyncapi", help="The AsyncAPI document of the feed instead."),
    ] = False,
) -> None:
    """Print the OpenAPI document of the API, callbacks included. Needs no database, no settings."""
    document = asyncapi_of(api_document()) if asyncapi else api_document()
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
