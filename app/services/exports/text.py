"""
Exports as CSV and as NDJSON.

CSV follows RFC 4180, in UTF-8. An empty cell is null, `""` an empty text.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from app.services.exports.columns import CellKind, Columns, Row

#: More than RFC 4180 asks for: some programs also split at semicolons and tabs.
_MUST_BE_QUOTED: Final = re.compile(r'[",;\t\r\n]|^$|^\s|\s$')
#: The signs that begin a formula in spreadsheets, the full-width forms included.
_SIGNS: Final = (
    "[=+\\-@\N{FULLWIDTH EQUALS SIGN}"
    "\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}]"
)
_BEGINS_FORMULA: Final = re.compile(rf"[\t\r\n]|[\s\"]*{_SIGNS}")
#: Where the list separator is `;`, as in most of Europe, Excel splits a CSV at semicolons and not
#: at commas. Quotes are then hardly ever at the beginning of a cell and protect nothing: a tab or a
#: line end inside a text ends a cell, too.
_ENDS_CELL: Final = re.compile(r"[;\t\r\n]")
#: What may precede a formula. The sign is optional, so that no part of a text is searched twice.
_BETWEEN: Final = re.compile(rf"([;\s\"]+)({_SIGNS}?)")
#: Evaluated as a formula it only loses its plus; an apostrophe would spoil every comparison.
_TELEPHONE_NUMBER: Final = re.compile(r"\+[0-9]{1,15}")
#: Matches nearly all texts at once.
_HARMLESS: Final = re.compile(rf'\+[0-9]{{1,15}}|(?!{_SIGNS})[^\s",;][^",;\t\r\n]*(?<!\s)')
_ENCODER: Final = msgspec.json.Encoder(decimal_format="string")


class Cells(StrEnum):
    """How a CSV writes texts."""

    #: An apostrophe precedes what a spreadsheet would evaluate as a formula, also inside a text
    #: where a spreadsheet may begin a new cell.
    SPREADSHEET = "spreadsheet"
    #: As they are stored.
    EXACT = "exact"


class CsvEncoder:
    """Rows as lines of CSV, after a line with the names of the columns."""

    def __init__(self, columns: Columns, cells: Cells) -> None:
        write = _harmless if cells is Cells.SPREADSHEET else _quoted
        self._names = columns.names
        self._writers = [_writer(column.kind, write) for column in columns.columns]
        if cells is Cells.SPREADSHEET:
            self._writers[0] = _writer(columns.columns[0].kind, _harmless_at_first)

    def begin(self) -> bytes:
        """The names of the columns."""
        return f"{','.join(self._names)}\r\n".encode()

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Lines for *rows*."""
        return "".join(map(self._line, rows)).encode()

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def _line(self, row: Row) -> str:
        cells = (
            "" if cell is None else write(cell)
            for write, cell in zip(self._writers, row, strict=True)
        )
        return ",".join(cells) + "\r\n"


class NdjsonEncoder:
    """Rows as objects in JSON, one a line."""

    def __init__(self, columns: Columns) -> None:
        self._names = columns.names
        self._money = [
            index for index, column in enumerate(columns.columns) if column.kind is CellKind.MONEY
        ]

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Lines for *rows*."""
        return _ENCODER.encode_lines([self._object(row) for row in rows])

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def _object(self, row: Row) -> dict[str, Any]:
        members = dict(zip(self._names, row, strict=True))
        for index in self._money:
            if row[index] is not None:
                members[self._names[index]] = format(row[index], "f")
        return members


def open_text(value: object) -> str:
    """A value of Routee's as text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _writer(kind: CellKind, write_text: Callable[[str], str]) -> Callable[[Any], str]:
    if kind is CellKind.OPEN:
        return lambda value: write_text(open_text(value))
    return _WRITERS.get(kind, write_text)


def _harmless(text: str) -> str:
    if _HARMLESS.fullmatch(text):
        return text
    if _ENDS_CELL.search(text):
        text = _BETWEEN.sub(_disarmed, text)
    return _quoted(f"'{text}" if _BEGINS_FORMULA.match(text) else text)


def _harmless_at_first(text: str) -> str:
    """The first cell: where commas end no cell, a number in it only begins a longer cell."""
    return f"'{text}" if _TELEPHONE_NUMBER.fullmatch(text) else _harmless(text)


def _disarmed(found: re.Match[str]) -> str:
    between, sign = found.groups()
    return f"{between}'{sign}" if sign and _ENDS_CELL.search(between) else found[0]


def _quoted(text: str) -> str:
    if not _MUST_BE_QUOTED.search(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


_WRITERS: Final[dict[CellKind, Callable[[Any], str]]] = {
    CellKind.INSTANT: _instant,
    CellKind.MONEY: "{:f}".format,
    CellKind.COUNT: str,
    CellKind.FLAG: json.dumps,
}
