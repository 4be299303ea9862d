"""Times as commands take them."""

from datetime import UTC, datetime

import typer

from app.kit.instants import parse_instant


def as_instant(text: str) -> datetime:
    """
    *text* in ISO 8601; UTC if it has no offset.

    Raises:
        BadParameter: it is no time.
    """
    instant = parse_instant(text)
    if instant is None:
        raise typer.BadParameter("must be a time in ISO 8601, as 2026-01-31T12:00:00Z")
    return instant.replace(tzinfo=UTC)
