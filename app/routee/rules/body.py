"""The only file that knows the members of a message's body."""

from collections.abc import Iterator
from typing import Final

from app.routee.rules.findings import Finding, member
from app.routee.rules.refusals import BAD_FILE_TYPE, OUT_OF_BOUNDS, fault
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


def _check_file_type(value: object, path: str) -> Iterator[Finding]:
    if isinstance(value, str) and value.lower() in FILE_TYPES:
        return
    dotted = isinstance(value, str) and value.lower().removeprefix(".") in FILE_TYPES
    advice = "without the dot" if dotted else f"one of: {' '.join(FILE_TYPES)}"
    yield fault(path, f"must be a bare extension, {advice}", BAD_FILE_TYPE)


def _video_url() -> Member:
    return Member(url(most_characters=MAX_URL_CHARACTERS))


ACTION: Final[Shape] = {
    "caption": Member(text(most_characters=30), required=True),
    "targetUrl": Member(url(schemes=("https", "http")), required=True),
}
FILE: Final[Shape] = {
    "fileName": Member(text(most_characters=25), required=True),
    "fileType": Member(_check_file_type, required=True),
    "fileUrl": Member(url(), required=True),
}
VIDEO: Final[Shape] = {
    # Routee's API page spells it in both ways; `check_video_url` asks for one of them.
    "videoUrl": _video_url(),
    "videoURL": _video_url(),
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
        url(most_characters=MAX_URL_CHARACTERS, unfit=OUT_OF_BOUNDS, too_long=OUT_OF_BOUNDS)
    ),
    "action": Member(shape=ACTION),
    "viberFile": Member(shape=FILE),
    "viberVideo": Member(shape=VIDEO),
    "fallbackValues": Member(mapping_to_text),
}


def check_video_url(request: object) -> Iterator[Finding]:
    """Check that a video has a URL, in one of the two spellings of its name."""
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
