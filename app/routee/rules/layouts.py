"""The only file that knows which parts a message may have together, and how that is charged."""

from collections.abc import Iterator
from typing import Final

from app.domain.campaign import Billing
from app.routee.rules.findings import Finding, member
from app.routee.rules.refusals import (
    BAD_LAYOUT,
    BAD_SESSION_KIND,
    BAD_VIDEO_LAYOUT,
    VIDEO_IN_SESSION,
    Refusal,
    fault,
)

Layout = frozenset[str]

TEXT: Final = "Text"
IMAGE: Final = "Image"
FILE: Final = "File"
ACTION: Final = "Action"
VIDEO: Final = "Video"

#: In the order in which Routee's API page lists them, for messages.
LAYOUTS: Final = (
    (TEXT,),
    (IMAGE,),
    (FILE,),
    (TEXT, ACTION),
    (TEXT, ACTION, IMAGE),
    (VIDEO,),
    (VIDEO, TEXT),
    (VIDEO, TEXT, IMAGE),
)
SESSION_LAYOUTS: Final = ((TEXT,), (IMAGE,), (FILE,))

_PART_BY_FIELD: Final = {
    "text": TEXT,
    "imageURL": IMAGE,
    "action": ACTION,
    "viberFile": FILE,
    "viberVideo": VIDEO,
}
_OFFERED: Final = {False: LAYOUTS, True: SESSION_LAYOUTS}
_KIND: Final = {False: "a message", True: "a session message"}
#: By (is a session message, has a video).
_REFUSAL: Final[dict[tuple[bool, bool], Refusal]] = {
    (False, False): BAD_LAYOUT,
    (False, True): BAD_VIDEO_LAYOUT,
    (True, False): BAD_SESSION_KIND,
    (True, True): VIDEO_IN_SESSION,
}


def check_layout(request: object) -> Iterator[Finding]:
    """Check that the parts of the body may stand together."""
    body = member(request, "body")
    if not isinstance(body, dict):
        return
    parts, session = _parts(body), _is_session(request)
    if parts in map(frozenset, _OFFERED[session]):
        return
    offered = ", ".join("+".join(layout) for layout in _OFFERED[session])
    found = "+".join(part for part in _PART_BY_FIELD.values() if part in parts) or "nothing"
    yield fault(
        "body",
        f"has {found}, but {_KIND[session]} must be one of: {offered}",
        _REFUSAL[session, VIDEO in parts],
    )


def billing_of(request: object) -> Billing:
    """How Routee will charge for *request*."""
    if _is_session(request):
        return Billing.SESSION
    text_only = _parts(member(request, "body")) == {TEXT}
    return Billing.TRANSACTIONAL if text_only else Billing.PROMOTIONAL


def _parts(body: object) -> Layout:
    return frozenset(
        part for field, part in _PART_BY_FIELD.items() if member(body, field) is not None
    )


def _is_session(request: object) -> bool:
    return member(request, "isSessionMessage") is True
