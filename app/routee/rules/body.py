"""The body of a message: its members, the layouts that are allowed, and how each is charged."""

from collections.abc import Iterator
from typing import Final

from app.domain.campaign import Billing
from app.routee.rules.findings import (
    BAD_FILE_TYPE,
    BAD_LAYOUT,
    BAD_SESSION_KIND,
    BAD_VIDEO_LAYOUT,
    OUT_OF_BOUNDS,
    VIDEO_IN_SESSION,
    Finding,
    RefusalCodes,
    fault,
    member,
)
from app.routee.rules.shapes import Member, Shape
from app.routee.rules.values import mapping_to_text, positive, text, url

MAX_URL_CHARACTERS: Final = 1000
MAX_VIDEO_MEGABYTES: Final = 200
MAX_VIDEO_SECONDS: Final = 600
# fmt: off
FILE_TYPES: Final = (
    "doc", "docx", "rtf", "dot", "dotx", "odt", "odf", "fodt", "txt", "info",
    "pdf", "xps", "pdax", "eps", "xls", "xlsx", "ods", "fods", "csv", "xlsm", "xltx",
)
# fmt: on

TEXT: Final = "Text"
IMAGE: Final = "Image"
FILE: Final = "File"
ACTION: Final = "Action"
VIDEO: Final = "Video"

#: In the order of Routee's API page; error messages list them.
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
_LAYOUTS: Final = {False: LAYOUTS, True: SESSION_LAYOUTS}
_KIND: Final = {False: "a message", True: "a session message"}
#: The keys are (is a session message, has a video).
_REFUSAL: Final[dict[tuple[bool, bool], RefusalCodes]] = {
    (False, False): BAD_LAYOUT,
    (False, True): BAD_VIDEO_LAYOUT,
    (True, False): BAD_SESSION_KIND,
    (True, True): VIDEO_IN_SESSION,
}


def _check_file_type(value: object, path: str) -> Iterator[Finding]:
    if isinstance(value, str) and value.lower() in FILE_TYPES:
        return
    dotted = isinstance(value, str) and value.lower().removeprefix(".") in FILE_TYPES
    advice = "without the dot" if dotted else f"one of: {' '.join(FILE_TYPES)}"
    yield fault(path, f"must be a bare extension, {advice}", BAD_FILE_TYPE)


_VIDEO_URL: Final = Member(url(most_characters=MAX_URL_CHARACTERS))
ACTION_MEMBERS: Final[Shape] = {
    "caption": Member(text(most_characters=30), required=True),
    "targetUrl": Member(url(schemes=("https", "http")), required=True),
}
FILE_MEMBERS: Final[Shape] = {
    "fileName": Member(text(most_characters=25), required=True),
    "fileType": Member(_check_file_type, required=True),
    "fileUrl": Member(url(), required=True),
}
VIDEO_MEMBERS: Final[Shape] = {
    # Routee's API page has both spellings; `check_video_url` demands exactly one of them.
    "videoUrl": _VIDEO_URL,
    "videoURL": _VIDEO_URL,
    "videoThumbnail": Member(
        url(most_characters=MAX_URL_CHARACTERS, too_long=OUT_OF_BOUNDS), required=True
    ),
    "fileSize": Member(
        positive(most=MAX_VIDEO_MEGABYTES, unit="megabytes", too_large=OUT_OF_BOUNDS),
        required=True,
    ),
    "duration": Member(
        positive(most=MAX_VIDEO_SECONDS, unit="seconds", too_large=OUT_OF_BOUNDS), required=True
    ),
}
BODY: Final[Shape] = {
    "text": Member(text()),
    "imageURL": Member(
        url(most_characters=MAX_URL_CHARACTERS, invalid=OUT_OF_BOUNDS, too_long=OUT_OF_BOUNDS)
    ),
    "action": Member(shape=ACTION_MEMBERS),
    "viberFile": Member(shape=FILE_MEMBERS),
    "viberVideo": Member(shape=VIDEO_MEMBERS),
    "fallbackValues": Member(mapping_to_text),
}


def check_video_url(request: object) -> Iterator[Finding]:
    """Check that a video has a URL, under exactly one of the two spellings of its name."""
    video = member(member(request, "body"), "viberVideo")
    if not isinstance(video, dict):
        return
    given = [key for key in ("videoUrl", "videoURL") if video.get(key) is not None]
    if not given:
        yield fault("body.viberVideo.videoUrl", "is required: add it")
    elif len(given) > 1:
        yield fault(
            "body.viberVideo.videoURL", "is another spelling of videoUrl: give only one of them"
        )


def check_layout(request: object) -> Iterator[Finding]:
    """Check that the body's parts form an allowed layout."""
    body = member(request, "body")
    if not isinstance(body, dict):
        return
    parts, session = _parts(body), _is_session(request)
    if parts in map(frozenset, _LAYOUTS[session]):
        return
    allowed = ", ".join("+".join(layout) for layout in _LAYOUTS[session])
    found = "+".join(part for part in _PART_BY_FIELD.values() if part in parts) or "nothing"
    yield fault(
        "body",
        f"has {found}, but {_KIND[session]} must be one of: {allowed}",
        _REFUSAL[session, VIDEO in parts],
    )


def billing_of(request: object) -> Billing:
    """How Routee will charge for *request*."""
    if _is_session(request):
        return Billing.SESSION
    text_only = _parts(member(request, "body")) == {TEXT}
    return Billing.TRANSACTIONAL if text_only else Billing.PROMOTIONAL


def _parts(body: object) -> frozenset[str]:
    return frozenset(
        part for field, part in _PART_BY_FIELD.items() if member(body, field) is not None
    )


def _is_session(request: object) -> bool:
    return member(request, "isSessionMessage") is True
