"""
Exports as Parquet: one file as a stream of bytes, or a folder with one file for each day.

pyarrow comes with the extra `parquet`, and is imported only when an export needs it.
"""

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from app.errors import Fault, InvalidRequest
from app.services.exports.columns import CellKind, Columns, Row
from app.services.exports.text import open_text

#: A row group is held in memory and compressed as a whole. Its bytes are limited as well, since a
#: row of a campaign may have a thousand recipients.
_ROW_GROUP_ITEMS: Final = 20_000
_ROW_GROUP_BYTES: Final = 8_000_000
#: Readers support decimals of 38 digits at most; an amount has 16 before its point.
_DIGITS: Final = 38
_FRACTION_DIGITS: Final = 18
_UNIT: Final = Decimal(1).scaleb(-_FRACTION_DIGITS)
#: What Hive and its readers use in place of NULL.
_NO_DAY: Final = "__HIVE_DEFAULT_PARTITION__"
_CONTEXT: Final = Context(prec=_DIGITS)
_MISSING: Final = "Parquet needs pyarrow: pip install 'routee-receiver[parquet]'"


class ParquetEncoder:
    """Rows as the bytes of one Parquet file, which is valid only with its end."""

    def __init__(self, columns: Columns) -> None:
        """
        Begin a file in memory, from which each call takes the bytes that were written.

        Raises:
            InvalidRequest: pyarrow is not installed.
        """
        self._arrow, parquet = _pyarrow()
        self._columns = columns.columns
        self._schema = self._arrow.schema(
            [(column.name, _type(self._arrow, column.kind)) for column in self._columns]
        )
        self._written = io.BytesIO()
        self._writer = parquet.ParquetWriter(
            self._written,
            self._schema,
            compression="zstd",
            use_dictionary=[
                column.name for column in self._columns if column.kind is CellKind.WORD
            ],
        )
        self._pending: list[Any] = []
        self._pending_rows = 0
        self._pending_bytes = 0

    def begin(self) -> bytes:
        """The magic bytes."""
        return self._take_written()

    def encode(self, rows: Sequence[Row]) -> bytes:
        """A row group, or nothing while the group is not full."""
        columns = zip(*rows, strict=True)
        arrays = [
            self._arrow.array(_cells(column.kind, cells), type=field.type)
            for column, field, cells in zip(self._columns, self._schema, columns, strict=True)
        ]
        batch = self._arrow.record_batch(arrays, schema=self._schema)
        self._pending.append(batch)
        self._pending_rows += len(rows)
        self._pending_bytes += batch.nbytes
        if self._pending_rows >= _ROW_GROUP_ITEMS or self._pending_bytes >= _ROW_GROUP_BYTES:
            self._write_group()
        return self._take_written()

    def end(self) -> bytes:
        """The last row group and the footer."""
        if self._pending:
            self._write_group()
        self._writer.close()
        return self._take_written()

    def _write_group(self) -> None:
        table = self._arrow.Table.from_batches(self._pending, self._schema)
        self._writer.write_table(table, row_group_size=self._pending_rows)
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _take_written(self) -> bytes:
        written = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        return written


class DayFolders:
    """
    Rows in the order of their days as `day=YYYY-MM-DD/part-0.parquet`, by the days of UTC.

    Rows without a time come first, in a folder that Hive's readers show as `day IS NULL`.
    """

    def __init__(self, folder: Path, columns: Columns, *, day_if_empty: date) -> None:
        """
        Begin to fill *folder*, which exists and is empty.

        Without any rows, *day_if_empty* gets an empty file.

        Raises:
            InvalidRequest: pyarrow is not installed.
        """
        _pyarrow()
        self._folder = folder
        self._columns = columns
        self._day_if_empty = day_if_empty
        self._day: date | None = None
        self._file: _DayFile | None = None

    def write(self, rows: Sequence[Row]) -> None:
        """Write *rows*; none is of an earlier day than the rows before."""
        index = self._columns.day_index
        for day, of_day in groupby(rows, key=lambda row: _day(row[index])):
            self._file_of(day).write(list(of_day))

    def finish(self) -> None:
        """Complete the file of the last day."""
        # Without any file a reader fails, as it cannot know the columns.
        file = self._file or self._file_of(self._day_if_empty)
        file.finish()

    def close(self) -> None:
        """Close the file that is open, complete or not."""
        if self._file is not None:
            self._file.close()

    def _file_of(self, day: date | None) -> "_DayFile":
        if self._file is None or day != self._day:
            if self._file is not None:
                self._file.finish()
            folder = self._folder / f"day={_NO_DAY if day is None else day.isoformat()}"
            folder.mkdir()
            self._day, self._file = day, _DayFile(folder / "part-0.parquet", self._columns)
        return self._file


class _DayFile:
    def __init__(self, path: Path, columns: Columns) -> None:
        self._encoder = ParquetEncoder(columns)
        self._file = path.open("xb")
        self._file.write(self._encoder.begin())

    def write(self, rows: Sequence[Row]) -> None:
        self._file.write(self._encoder.encode(rows))

    def finish(self) -> None:
        self._file.write(self._encoder.end())
        self.close()

    def close(self) -> None:
        self._file.close()


def _day(instant: datetime | None) -> date | None:
    return None if instant is None else instant.astimezone(UTC).date()


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow as pa  # noqa: PLC0415 (an extra)
        from pyarrow import parquet  # noqa: PLC0415 (an extra)
    except ImportError:
        raise InvalidRequest(_MISSING, faults=(Fault("format", _MISSING),)) from None
    return pa, parquet


def _type(arrow: ModuleType, kind: CellKind) -> object:
    types = {
        CellKind.INSTANT: arrow.timestamp("us", tz="UTC"),
        CellKind.MONEY: arrow.decimal128(_DIGITS, _FRACTION_DIGITS),
        CellKind.COUNT: arrow.int64(),
        CellKind.FLAG: arrow.bool_(),
    }
    return types.get(kind, arrow.string())


def _cells(kind: CellKind, cells: Sequence[Any]) -> Sequence[Any]:
    if kind is CellKind.MONEY:
        return [None if cell is None else _CONTEXT.quantize(cell, _UNIT) for cell in cells]
    if kind is CellKind.OPEN:
        return [None if cell is None else open_text(cell) for cell in cells]
    return cells
