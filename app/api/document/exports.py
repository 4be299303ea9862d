"""The answers of exports, with a row as an example in each text format."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from app.api.document.examples import EXAMPLES
from app.api.document.operations import operations_in
from app.api.export_answer import MEDIA_TYPES
from app.db.exports import ExportTable
from app.services.exports.columns import COLUMNS, CellKind
from app.services.exports.exports import Format
from app.services.exports.text import Cells, CsvEncoder, NdjsonEncoder

_EVENT: Final = EXAMPLES["HistoryItem"] | EXAMPLES["Message"]
_CAMPAIGN: Final = EXAMPLES["Campaign"] | {"recordedAt": EXAMPLES["Campaign"]["createdAt"]}
#: By operation: the table, and the members of a row as in the API.
_ROWS: Final[dict[str, tuple[ExportTable, Mapping[str, Any]]]] = {
    "exportMessages": (ExportTable.MESSAGES, EXAMPLES["Message"]),
    "exportEvents": (ExportTable.EVENTS, _EVENT),
    "exportInboundMessages": (ExportTable.INBOUND_MESSAGES, EXAMPLES["InboundMessage"]),
    "exportCampaigns": (ExportTable.CAMPAIGNS, _CAMPAIGN),
}


def add_exports(document: dict[str, Any]) -> None:
    """Add a row to each answer of an export; Parquet is not text."""
    for _, _, node in operations_in(document):
        if node["operationId"] in _ROWS:
            _show(node, *_ROWS[node["operationId"]])


def _show(node: dict[str, Any], table: ExportTable, members: Mapping[str, Any]) -> None:
    columns = COLUMNS[table]
    row = [_cell(kind, members[name]) for name, kind, _ in columns.columns]
    content = node["responses"]["200"]["content"]
    csv = CsvEncoder(columns, Cells.SPREADSHEET)
    texts = {
        Format.CSV: csv.begin() + csv.encode([row]),
        Format.NDJSON: NdjsonEncoder(columns).encode([row]),
    }
    for format_, text in texts.items():
        content[MEDIA_TYPES[format_]]["examples"] = {"row": {"value": text.decode()}}


def _cell(kind: CellKind, member: Any) -> object:  # noqa: ANN401 (any JSON)
    """The cell before it becomes text."""
    if kind is CellKind.INSTANT and member is not None:
        return datetime.fromisoformat(member)
    if kind is CellKind.MONEY and member is not None:
        return Decimal(member)
    return member
