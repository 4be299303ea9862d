"""The database connection of the callback path: one for each process, replaced when it fails."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from app.db import ingest
from app.db.engine import SEARCH_PATH
from app.db.erasure.recipients import Erased, read_erased
from app.db.failures import Contended, ValuesRefused, translated
from app.db.feed.epoch import keep_epoch
from app.db.ingest import Appended
from app.db.launching import binding
from app.db.launching.binding import Claim
from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.quarantine import Quarantined

__all__ = ["Appended", "Claim", "Contended", "IngestConnection", "IngestSession", "ValuesRefused"]

_SESSION_SETTINGS: Final = {
    "application_name": "routee-receiver ingest",
    # A 200 is a committed row, whatever the server's default is.
    "synchronous_commit": "on",
    "jit": "off",
    **SEARCH_PATH,
}


class IngestConnection:
    """What the callback path reads and writes. Errors are those of `db.failures.translated`."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def append_events(self, events: Sequence[DeliveryEvent]) -> Appended:
        """See `ingest.append_events`."""
        with translated():
            return await ingest.append_events(self._connection, events)

    async def append_inbound(self, messages: Sequence[InboundMessage]) -> Appended:
        """See `ingest.append_inbound`."""
        with translated():
            return await ingest.append_inbound(self._connection, messages)

    async def append_quarantined(self, bodies: Sequence[Quarantined]) -> None:
        """See `ingest.append_quarantined`."""
        with translated():
            await ingest.append_quarantined(self._connection, bodies)

    async def observe(self, tracking_ids: Collection[str]) -> None:
        """See `binding.observe`."""
        with translated():
            await binding.observe(self._connection, tracking_ids)

    async def claim(self, campaign_id: UUID, tracking_id: str) -> Claim:
        """See `binding.claim`."""
        with translated():
            return await binding.claim(self._connection, campaign_id, tracking_id)

    async def read_erased(self, known_version: int | None) -> Erased | None:
        """See `recipients.read_erased`."""
        with translated():
            return await read_erased(self._connection, known_version)

    async def stored_replies(self, identities: Collection[bytes]) -> frozenset[bytes]:
        """See `ingest.stored_identities`."""
        with translated():
            return await ingest.stored_identities(self._connection, identities)


class IngestSession:
    """Keeps one connection open, and opens another when that one failed or was abandoned."""

    def __init__(self, url: str, *, statement_timeout_seconds: float) -> None:
        self._url = url
        self._settings = {
            **_SESSION_SETTINGS,
            # An abandoned connection must not hold its locks for long.
            "statement_timeout": str(int(statement_timeout_seconds * 1000)),
            "idle_in_transaction_session_timeout": str(int(statement_timeout_seconds * 1000)),
        }
        self._connect_seconds = statement_timeout_seconds
        self._connection: asyncpg.Connection | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[IngestConnection]:
        """
        Lend the connection to one flush; a concurrent flush gets another one.

        A flush that is cancelled, or finds the database unavailable, costs the connection: the next
        flush must not get the answer to a statement of this one.

        Raises:
            DatabaseUnavailable: no connection can be had.
        """
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            with translated():
                connection = await self._connect()
        try:
            yield IngestConnection(connection)
        except (ValuesRefused, Contended):
            self._return(connection)
            raise
        except BaseException:
            connection.terminate()
            raise
        self._return(connection)

    async def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(
            self._url,
            timeout=self._connect_seconds,
            server_settings=self._settings,
            target_session_attrs=SessionAttribute.read_write,
        )
        try:
            # The server may be another one than before, which needs a new epoch first.
            await keep_epoch(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _return(self, connection: asyncpg.Connection) -> None:
        if self._connection is not None:  # of an abandoned flush that has ended meanwhile
            self._connection.terminate()
        self._connection = connection
