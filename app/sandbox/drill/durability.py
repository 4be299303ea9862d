"""The settings on which the durability of a 200 rests, which a SIGKILL cannot show."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.db.drill.reading import settings_of, wal_positions
from app.sandbox.drill.callbacks import Stream
from app.sandbox.drill.ledger import Head, Ledger, LedgerFile, read_ledger
from app.sandbox.http_connection import HttpConnection
from app.sandbox.processes import HOST

#: What the server must have.
_NEEDED: Final = {"fsync": "on", "full_page_writes": "on", "data_checksums": "on"}
_PROBES: Final = 8


class DurabilityProbe:
    """
    Reads the settings, and finds out whether a 200 waits for the write-ahead log.

    `synchronous_commit` of another session cannot be read. But nothing flushes the log of an idle
    server whose default is `off` before some seconds have passed, unless a session asks for it: so
    each 200 must leave the log flushed beyond where it ended before.

    Args:
        path: For the ledger of its own callbacks.
        head: What its callbacks follow from.
        token: The callback token.
        needed: Settings that the server must have besides those that every durable server has.
    """

    def __init__(
        self, path: Path, head: Head, token: str, needed: Mapping[str, str] | None = None
    ) -> None:
        self._needed = needed or {}
        self._path = path
        self._token = token
        self._ledger = LedgerFile(path, head)
        self._callbacks = head.callbacks(Stream.PROBE)

    async def faults(self, database_url: str, ports: list[int]) -> list[str]:
        """
        What is wrong now; for an idle service.

        Raises:
            DatabaseUnavailable: the database cannot be read.
            OSError: the service does not answer.
        """
        needed = _NEEDED | dict(self._needed)
        settings = await settings_of(database_url, list(needed))
        faults = [
            f"{name} is {settings.get(name)}"
            for name, value in needed.items()
            if settings.get(name) != value
        ]
        for port in ports:  # none, where a 200 is no commit in the database
            flushed = [await self._is_flushed(database_url, port) for _ in range(_PROBES)]
            if not all(flushed):
                faults.append(
                    f"{flushed.count(False)} of {_PROBES} answers 200 came before the log was "
                    "flushed: synchronous_commit of the ingest session is not on"
                )
        return faults

    def close(self) -> Ledger:
        """Close the ledger, and read it."""
        self._ledger.close()
        return read_ledger(self._path)

    async def _is_flushed(self, database_url: str, port: int) -> bool:
        callback = next(self._callbacks)
        connection = HttpConnection(HOST, port)
        before = await wal_positions(database_url)
        self._ledger.note_sent(callback)
        started = time.monotonic()
        answer = await connection.post(f"/callbacks/{self._token}/{callback.kind}", callback.body)
        seconds = time.monotonic() - started
        self._ledger.note_answer(callback.key, answer.status, "", seconds)
        connection.close()
        after = await wal_positions(database_url)
        return after.flushed > before.written
