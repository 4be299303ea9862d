"""The names of schemas and parameters in the document."""

import json
import re
from typing import Any, Final

_REF: Final = "#/components/schemas/"
_PAGE: Final = re.compile(r"Page_(\w+)_")
_ID_IN_PATH: Final = "tracking_id"
#: The names on the wire.
_PARAMETERS: Final = {_ID_IN_PATH: "trackingId", "idempotency-key": "Idempotency-Key"}
#: Classes that have another name in the document.
_NAMES: Final = {
    "Cells": "ExportCells",
    "Format": "ExportFormat",
    "Kind": "FeedItemType",
    "Reason": "QuarantineReason",
    "Outcome": "ReconciliationOutcome",
}


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    """*document* with the names that callers see."""
    schemas = document["components"]["schemas"]
    names = {name: _name(name) for name in schemas}
    document["components"]["schemas"] = {names[name]: schemas[name] for name in sorted(schemas)}
    text = json.dumps(document)
    for name, shown in names.items():
        text = text.replace(f'"{_REF}{name}"', f'"{_REF}{shown}"')
    text = text.replace(f"{{{_ID_IN_PATH}}}", "{trackingId}")
    for name, shown in _PARAMETERS.items():
        text = text.replace(f'"name": "{name}"', f'"name": "{shown}"')
    named: dict[str, Any] = json.loads(text)
    return named


def _name(name: str) -> str:
    if page := _PAGE.fullmatch(name):
        return f"{_name(page[1])}Page"
    return _NAMES.get(name) or name.removesuffix("Out")
