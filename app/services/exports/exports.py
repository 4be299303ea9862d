"""Exporting stored rows of one snapshot, named as in the API, as bytes of a format."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from app.db.exports import ExportFilter, ExportTable, Reading, Records, snapshot_of
from app.errors import TooManyExports
from app.services.exports.columns import COLUMNS, Row, with_numbers_masked
from app.services.exports.parquet import ParquetEncoder
from app.services.exports.text import Cells, CsvEncoder, NdjsonEncoder

#: Concurrent exports of a process: each costs a connection, and processor time of callbacks.
MAX_EXPORTS: Final = 2
#: VACUUM removes nothing that an open snapshot can see.
MAX_SERVED_SECONDS: Final = 3600
_RETRY_AFTER_SECONDS: Final = 30
_DEFAULT_READING: Final = Reading()


class Format(StrEnum):
    """The file formats of exports."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class ExportRequest(NamedTuple):
    """What to export."""

    table: ExportTable
    rows: ExportFilter = ExportFilter()
    mask_numbers: bool = False


class Encoder(Protocol):
    """Turns rows into bytes; all results one after the other are the export."""

    def begin(self) -> bytes:
        """The bytes before the rows."""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """The bytes of *rows*, at least one; an encoder may return them in a later call."""

    def end(self) -> bytes:
        """The bytes after the rows."""


def encoder_of(table: ExportTable, format_: Format, cells: Cells) -> Encoder:
    """
    A new encoder.

    Raises:
        InvalidRequest: a package that the format needs is not installed.
    """
    match format_:
        case Format.CSV:
            return CsvEncoder(COLUMNS[table], cells)
        case Format.NDJSON:
            return NdjsonEncoder(COLUMNS[table])
        case Format.PARQUET:
            return ParquetEncoder(COLUMNS[table])


class Export(NamedTuple):
    """An export that has begun."""

    chunks: AsyncIterator[Sequence[Row]]
    #: No further row from before this instant can be stored; None if that is not known.
    complete_until: datetime | None
    #: How many rows the database expects.
    expected_rows: int


class ServedExport(NamedTuple):
    """An export as bytes."""

    chunks: AsyncIterator[bytes]
    complete_until: datetime | None


@asynccontextmanager
async def exported(
    url: str, wanted: ExportRequest, reading: Reading = _DEFAULT_READING
) -> AsyncIterator[Export]:
    """
    The rows of *wanted*, in chunks, as `snapshot_of` gives them.

    Raises:
        DatabaseUnavailable: reading fails, now or within the block.
    """
    async with snapshot_of(url, wanted.table, wanted.rows, reading) as snapshot:
        rows = _rows(wanted, snapshot.chunks)
        yield Export(rows, snapshot.complete_until, snapshot.expected_rows)


async def _rows(
    wanted: ExportRequest, chunks: AsyncIterator[Records]
) -> AsyncIterator[Sequence[Row]]:
    async for records in chunks:
        # In a thread, so that no callback waits for a whole chunk.
        yield await asyncio.to_thread(_rows_of, wanted, records)


def _rows_of(wanted: ExportRequest, records: Records) -> Sequence[Row]:
    columns, row_of, _ = COLUMNS[wanted.table]
    rows = [row_of(tuple(record)) for record in records]
    if not wanted.mask_numbers:
        return rows
    return [with_numbers_masked(columns, row) for row in rows]


class Exports:
    """Serves exports, a few at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._under_way = 0

    @asynccontextmanager
    async def served(self, wanted: ExportRequest, encoder: Encoder) -> AsyncIterator[ServedExport]:
        """
        An export as bytes; leaving the block ends it.

        Raises:
            TooManyExports: `MAX_EXPORTS` are under way.
            DatabaseUnavailable: reading fails, now or within the block.
        """
        if self._under_way >= MAX_EXPORTS:
            raise TooManyExports(
                f"{MAX_EXPORTS} exports are under way.", retry_after_seconds=_RETRY_AFTER_SECONDS
            )
        self._under_way += 1
        try:
            async with exported(
                self._url, wanted, Reading(max_seconds=MAX_SERVED_SECONDS)
            ) as export:
                yield ServedExport(_encoded(export.chunks, encoder), export.complete_until)
        finally:
            self._under_way -= 1


async def _encoded(chunks: AsyncIterator[Sequence[Row]], encoder: Encoder) -> AsyncIterator[bytes]:
    yield encoder.begin()
    async for rows in chunks:
        yield await asyncio.to_thread(encoder.encode, rows)
    # The last group of a Parquet file is compressed here.
    yield await asyncio.to_thread(encoder.end)
