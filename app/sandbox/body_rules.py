"""The simulator's rules for the body of a message."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from app.sandbox import refusals
from app.sandbox.refusals import ErrorRow
from app.sandbox.requests import MessageBody, Part

#: Files are not fetched: one counts as larger than 600 KB if its URL contains this.
LARGE_FILE_URL_PART = "larger-than-600-kb"

_LAYOUTS = frozenset(
    {
        frozenset({Part.TEXT}),
        frozenset({Part.IMAGE}),
        frozenset({Part.FILE}),
        frozenset({Part.TEXT, Part.ACTION}),
        frozenset({Part.TEXT, Part.ACTION, Part.IMAGE}),
    }
)
_VIDEO_LAYOUTS = frozenset(
    {
        frozenset({Part.VIDEO}),
        frozenset({Part.VIDEO, Part.TEXT}),
        frozenset({Part.VIDEO, Part.TEXT, Part.IMAGE}),
    }
)
_FILE_TYPES = frozenset(
    {
        *("doc", "docx", "rtf", "dot", "dotx", "odt", "odf", "fodt", "txt", "info", "pdf", "xps"),
        *("pdax", "eps", "xls", "xlsx", "ods", "fods", "csv", "xlsm", "xltx"),
    }
)
_URL_CHARACTERS = 1000
_FILE_NAME_CHARACTERS = 25
_CAPTION_CHARACTERS = 30
_VIDEO_MEGABYTES = 200
_VIDEO_SECONDS = 600
_INVALID_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f]")


def _has_bad_video_layout(body: MessageBody) -> bool:
    return Part.VIDEO in body.parts and body.parts not in _VIDEO_LAYOUTS


def _has_bad_layout(body: MessageBody) -> bool:
    return Part.VIDEO not in body.parts and body.parts not in _LAYOUTS


def _has_bad_image_url(body: MessageBody) -> bool:
    return bool(body.image_url) and not _is_media_url(body.image_url)


def _has_bad_action(body: MessageBody) -> bool:
    if not body.action:
        return False
    return not (
        _is_text(body.action.get("caption"), longest=_CAPTION_CHARACTERS)
        and _is_text(body.action.get("targetUrl"))
    )


def _has_bad_file_type(body: MessageBody) -> bool:
    return bool(body.file and str(body.file.get("fileType")).lower() not in _FILE_TYPES)


def _has_large_file(body: MessageBody) -> bool:
    return bool(body.file and LARGE_FILE_URL_PART in str(body.file.get("fileUrl")))


def _has_bad_file(body: MessageBody) -> bool:
    if not body.file:
        return False
    return not (
        _is_text(body.file.get("fileUrl"))
        and _is_text(body.file.get("fileName"), longest=_FILE_NAME_CHARACTERS)
    )


def _has_bad_thumbnail(body: MessageBody) -> bool:
    thumbnail = body.video.get("videoThumbnail") if body.video else None
    return thumbnail is not None and not _is_media_url(thumbnail)


def _has_bad_video(body: MessageBody) -> bool:
    if not body.video:
        return False
    return not (
        _is_text(body.video.get("videoUrl") or body.video.get("videoURL"))
        and _is_within(body.video.get("fileSize"), _VIDEO_MEGABYTES)
        and _is_within(body.video.get("duration"), _VIDEO_SECONDS)
    )


#: The first rule that is broken decides the answer.
BODY_RULES: tuple[tuple[Callable[[MessageBody], bool], ErrorRow], ...] = (
    (_has_bad_video_layout, refusals.BAD_VIDEO_LAYOUT),
    (_has_bad_layout, refusals.BAD_LAYOUT),
    (_has_bad_image_url, refusals.BAD_IMAGE_URL),
    (_has_bad_action, refusals.BAD_ACTION),
    (_has_bad_file_type, refusals.BAD_FILE_TYPE),
    (_has_large_file, refusals.FILE_TOO_LARGE),
    (_has_bad_file, refusals.BAD_FILE),
    (_has_bad_thumbnail, refusals.BAD_THUMBNAIL),
    (_has_bad_video, refusals.BAD_VIDEO),
)


def _is_media_url(value: object) -> bool:
    """Whether *value* is an https URL that is short enough for Routee."""
    if not isinstance(value, str) or len(value) > _URL_CHARACTERS or _INVALID_IN_URLS.search(value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_text(value: object, *, longest: int | None = None) -> bool:
    return isinstance(value, str) and 0 < len(value) <= (longest or len(value))


def _is_within(value: object, most: int) -> bool:
    """Whether *value* is absent, or a positive number up to *most*."""
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most
