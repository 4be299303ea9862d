"""Connections of the tests to the service's tables."""

from typing import Any

import asyncpg

from app.db.engine import SEARCH_PATH


async def connect(url: str, **options: Any) -> asyncpg.Connection:  # noqa: ANN401 (asyncpg's own)
    """A connection that finds the service's tables, as those of the service do."""
    settings = SEARCH_PATH | options.pop("server_settings", {})
    return await asyncpg.connect(url, server_settings=settings, **options)
