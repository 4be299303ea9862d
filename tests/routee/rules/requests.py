"""Campaign requests to change one thing of, and short ways to ask what was found."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from app.routee.rules import Examination, examine
from app.routee.rules.findings import Finding

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

TEXT = {"text": "Your parcel is on its way."}
IMAGE = {"imageURL": "https://media.example/picture.png"}
ACTION = {"action": {"caption": "Track it", "targetUrl": "https://shop.example/parcel?id=7"}}
FILE = {
    "viberFile": {
        "fileName": "invoice.pdf",
        "fileType": "pdf",
        "fileUrl": "https://media.example/invoice.pdf",
    }
}
VIDEO = {
    "viberVideo": {
        "videoUrl": "https://media.example/film.mp4",
        "videoThumbnail": "https://media.example/film.jpg",
        "fileSize": 12,
        "duration": 30,
    }
}


def request(**members: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    """A request without faults, with *members* changed or added."""
    plain = {"senderInfoTrackingId": "sender-1", "to": ["+306912345678"], "body": TEXT}
    return deepcopy({**plain, **members})


def with_body(*parts: dict[str, Any]) -> dict[str, Any]:
    """A request whose body has *parts*."""
    return request(body={key: value for part in parts for key, value in part.items()})


def with_changed(part: dict[str, Any], **members: Any) -> dict[str, Any]:  # noqa: ANN401
    """A request whose body has *part* with some members of its only object changed."""
    ((key, content),) = part.items()
    text = TEXT if part is ACTION else {}
    return request(body={**text, key: {**content, **members}})


def examined(document: object) -> Examination:
    return examine(document, now=NOW)


def findings(document: object) -> list[Finding]:
    """All that was found, faults and warnings."""
    found = examined(document)
    return [*found.faults, *found.warnings]


def faulty_fields(document: object) -> list[str]:
    return [fault.field for fault in examined(document).faults]


def codes_at(document: object, field: str) -> list[tuple[str | None, str | None]]:
    """Routee's codes of the faults at *field*."""
    return [(one.code, one.error_code) for one in examined(document).faults if one.field == field]


def warnings(document: object) -> list[tuple[str, str]]:
    return [(caution.code, caution.field) for caution in examined(document).warnings]
