"""How the schemas and path parameters of the routes are called in the document."""

import json
import re
from typing import Any, Final

_REF: Final = "#/components/schemas/"
_PAGE: Final = re.compile(r"Page_(\w+)_")
_ID_IN_PATH: Final = "tracking_id"
#: As they are written on the wire.
_PARAMETERS: Final = {_ID_IN_PATH: "trackingId", "idempotency-key": "Idempotency-Key"}
#: Names that say more on the wire than in the code.
_NAMES: Final = {
    "AwaitedOut": "AwaitedMessage",
    "Cells": "ExportCells",
    "Effect": "EffectOfEvent",
    "FeedOut": "FeedPage",
    "Format": "ExportFormat",
    "Found": "LookupAnswer",
    "Kind": "FeedItemType",
    "Step": "HistoryItem",
    "Warned": "CampaignWarning",
}


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    """*document* under the names that callers see."""
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
