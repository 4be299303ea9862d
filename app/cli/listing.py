"""How commands list rows: whole on standard output, for a person or as JSON for a program."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

#: One row: the title of each column, and its value. The titles are the names in JSON too.
Row = Mapping[str, object]

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]

_GAP = "  "


def show_rows(
    titles: Sequence[str], rows: Sequence[Row], *, as_json: bool, absent: str = "never"
) -> None:
    """
    Print *rows* on standard output, which nothing cuts or wraps to the width of a terminal.

    As JSON they are an array of objects with times in ISO 8601; else columns under *titles*, with
    *absent* for null.
    """
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], default=_json, indent=2))
        return
    table = [list(titles), *([_text(row[title], absent) for title in titles] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo(_GAP.join(cells).rstrip())


def _json(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _text(value: object, absent: str) -> str:
    """*value* in one line, without characters that a terminal would obey."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, list):
        value = " ".join(map(str, value))
    text = absent if value is None else str(value)
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
