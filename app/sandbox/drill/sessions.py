"""The failures of the service's sessions in PostgreSQL, in every mode."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from app.db.drill.breaking import (
    LOCKED_TABLES,
    cut_sessions,
    ingest_pids,
    lock_table,
    set_read_only,
)
from app.errors import DatabaseUnavailable, ReceiverError
from app.sandbox.drill.plan import FaultKind, PlannedFault
from app.sandbox.drill.serving import Injection
from app.sandbox.processes import eventually

_LANE: Final = "sessions"


def session_kinds(
    url_of: Callable[[], str], *, freeze: Callable[[int], None], thaw: Callable[[], None]
) -> list[tuple[FaultKind, Injection]]:
    """
    The failures of sessions, each with what injects it.

    *url_of* gives the address of the primary, also while it takes no writes. *freeze* stops the
    process of a session on it, and *thaw* lets all of them go on.
    """

    async def _cut_ingest(_fault: PlannedFault) -> None:
        await cut_sessions(url_of(), only_ingest=True)

    async def _cut_all(_fault: PlannedFault) -> None:
        await cut_sessions(url_of(), only_ingest=False)

    async def _freeze(fault: PlannedFault) -> None:
        pids = await ingest_pids(url_of())
        if not pids:
            raise DatabaseUnavailable("no session stores callbacks")
        freeze(pids[int(fault.draw * len(pids))])
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            thaw()

    async def _lock(fault: PlannedFault) -> None:
        table = LOCKED_TABLES[int(fault.draw * len(LOCKED_TABLES))]
        await lock_table(url_of(), table, fault.seconds)

    async def _be_read_only(fault: PlannedFault) -> None:
        url = url_of()
        await set_read_only(url, read_only=True)
        try:
            await asyncio.sleep(fault.seconds)
        finally:

            async def _is_writable() -> bool:
                return await takes_writes(url)

            with suppress(TimeoutError):  # the end of all failures goes on
                await eventually(_is_writable)

    return [
        (FaultKind("ingest sessions cut", _LANE, (0.0, 0.0), weight=3), _cut_ingest),
        (FaultKind("all sessions cut", _LANE, (0.0, 0.0)), _cut_all),
        (FaultKind("session frozen", _LANE, (0.5, 3.0), weight=3), _freeze),
        (FaultKind("table locked", _LANE, (0.5, 3.0), weight=3), _lock),
        (FaultKind("database read-only", _LANE, (0.5, 2.0)), _be_read_only),
    ]


async def takes_writes(url: str) -> bool:
    """Whether the server at *url* answers; it takes writes from then on."""
    try:
        await set_read_only(url, read_only=False)
    except ReceiverError:
        return False
    return True
