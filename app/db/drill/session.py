"""The drill's own connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from app.db.engine import SEARCH_PATH
from app.db.explaining import where_of
from app.db.failures import translated

#: Reading all rows of a long run takes a while.
_COMMAND_SECONDS: Final = 300.0
_CONNECT_SECONDS: Final = 5.0
_SETTINGS: Final = {
    "application_name": "routee-receiver drill",
    # The server of a drill has another default.
    "synchronous_commit": "on",
    **SEARCH_PATH,
}


@asynccontextmanager
async def session(
    url: str, *, command_seconds: float = _COMMAND_SECONDS
) -> AsyncIterator[asyncpg.Connection]:
    """
    A connection that finds the service's tables.

    Raises:
        DatabaseUnavailable: it cannot be made, or was lost.
    """
    with translated(where_of(url)):
        connection = await asyncpg.connect(
            url,
            timeout=_CONNECT_SECONDS,
            command_timeout=command_seconds,
            server_settings=_SETTINGS,
        )
        try:
            yield connection
        finally:
            connection.terminate()
