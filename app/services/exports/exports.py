"""Exporting: stored rows out of one snapshot, in the words of the API, as bytes of a format."""

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

#: At a time in one process: each costs a connection, and processor time that callbacks need.
MAX_EXPORTS: Final = 2
#: A snapshot that is held keeps the database from tidying up.
MAX_SERVED_SECONDS: Final = 3600
_RETRY_AFTER_SECONDS: Final = 30
_AS_IT_COMES: Final = Reading()


class Format(StrEnum):
    """As what to export."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class Wanted(NamedTuple):
    """What to export."""

    table: ExportTable
    rows: ExportFilter = ExportFilter()
    mask_numbers: bool = False


class Encoder(Protocol):
    """Makes rows bytes; all of them one after the other are the export."""

    def begin(self) -> bytes:
        """What stands before the rows."""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """What *rows*, at least one, become; perhaps later."""

    def end(self) -> bytes:
        """What makes it complete."""


def encoder_of(table: ExportTable, format_: Format, cells: Cells) -> Encoder:
    """
    A new encoder.

    Raises:
        InvalidRequest: what the format needs is not installed.
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
    #: Before this instant no wanted row can come any more that is not here; None: it is not known.
    complete_until: datetime | None
    #: How many rows the database expects.
    expected_rows: int


class ServedExport(NamedTuple):
    """The same as bytes."""

    chunks: AsyncIterator[bytes]
    complete_until: datetime | None


@asynccontextmanager
async def exported(
    url: str, wanted: Wanted, reading: Reading = _AS_IT_COMES
) -> AsyncIterator[Export]:
    """
    The rows of *wanted*, in chunks, as `snapshot_of` gives them.

    Raises:
        DatabaseUnavailable: they cannot be read, or can no longer.
    """
    async with snapshot_of(url, wanted.table, wanted.rows, reading) as snapshot:
        rows = _rows(wanted, snapshot.chunks)
        yield Export(rows, snapshot.complete_until, snapshot.expected_rows)


async def _rows(wanted: Wanted, chunks: AsyncIterator[Records]) -> AsyncIterator[Sequence[Row]]:
    async for records in chunks:
        # In a thread, so that no callback waits for a whole chunk.
        yield await asyncio.to_thread(_told, wanted, records)


def _told(wanted: Wanted, records: Records) -> Sequence[Row]:
    columns, row_of, _ = COLUMNS[wanted.table]
    rows = [row_of(tuple(record)) for record in records]
    if not wanted.mask_numbers:
        return rows
    return [with_numbers_masked(columns, row) for row in rows]


class Exports:
    """The exports that a process serves, a few at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._under_way = 0

    @asynccontextmanager
    async def served(self, wanted: Wanted, encoder: Encoder) -> AsyncIterator[ServedExport]:
        """
        An export as bytes; leaving the block ends it.

        Raises:
            TooManyExports: others are under way.
            DatabaseUnavailable: it cannot be read, or can no longer.
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
