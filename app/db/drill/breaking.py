"""The failures of the drill that befall the sessions and the settings of a server."""

import asyncio
from collections.abc import Mapping
from typing import Final

from app.db.drill.session import session

#: The tables that a flush writes.
LOCKED_TABLES: Final = ("messages", "events", "inbound_messages", "campaign_count_deltas")
_INGEST: Final = "routee-receiver ingest"
_BACKENDS: Final = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND application_name LIKE $1
ORDER BY pid
"""
_QUICKLY_SECONDS: Final = 5.0


async def change_server(url: str, settings: Mapping[str, str]) -> None:
    """
    Give the server at *url* these settings; those that need a restart have to wait for it.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    async with session(url) as connection:
        for name, value in settings.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await connection.execute("SELECT pg_reload_conf()")


async def execute(url: str, statements: str) -> None:
    """
    Run *statements*, which need no parameters.

    Raises:
        DatabaseUnavailable: they failed.
    """
    async with session(url) as connection:
        await connection.execute(statements)


async def lock_table(url: str, table: str, seconds: float) -> None:
    """
    Hold *table* locked against all others for so long.

    Raises:
        DatabaseUnavailable: the connection was lost meanwhile.
    """
    async with session(url) as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(seconds)


async def cut_sessions(url: str, *, only_ingest: bool) -> int:
    """
    Terminate the sessions of the service, and return how many there were.

    Raises:
        DatabaseUnavailable: the server cannot be reached.
    """
    async with session(url, command_seconds=_QUICKLY_SECONDS) as connection:
        pids = await connection.fetch(_BACKENDS, _INGEST if only_ingest else "routee-receiver%")
        for row in pids:
            await connection.execute("SELECT pg_terminate_backend($1)", row[0])
        return len(pids)


async def ingest_pids(url: str) -> list[int]:
    """
    The processes of the sessions that store callbacks.

    Raises:
        DatabaseUnavailable: the server cannot be reached.
    """
    async with session(url, command_seconds=_QUICKLY_SECONDS) as connection:
        return [row[0] for row in await connection.fetch(_BACKENDS, _INGEST)]


async def set_read_only(url: str, *, read_only: bool) -> None:
    """
    Let new transactions be read-only, as on a server that was demoted, or not any more.

    Raises:
        DatabaseUnavailable: the server cannot be reached.
    """
    async with session(url, command_seconds=_QUICKLY_SECONDS) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        change = (
            "SET default_transaction_read_only = on"
            if read_only
            else ("RESET default_transaction_read_only")
        )
        await connection.execute(f"ALTER SYSTEM {change}")
        await connection.execute("SELECT pg_reload_conf()")
