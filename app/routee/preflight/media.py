"""What Routee and Viber demand of media and their hosts, and the check of one request."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.routee.preflight.prober import Head, Prober, Unreachable
from app.routee.rules.findings import (
    FILE_TOO_LARGE,
    OUT_OF_BOUNDS,
    UNNAMED,
    Caution,
    Finding,
    Findings,
    RefusalCodes,
    fault,
    member,
)

_KILOBYTE: Final = 1024
_MEGABYTE: Final = 1024 * _KILOBYTE
#: The file is missing. Other statuses may only mean that the host does not support HEAD.
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaKind:
    """The demands on one kind of media; sizes in bytes."""

    name: str
    #: Viber shows no video whose host does not answer HEAD with the length. For other media Routee
    #: does not demand it, and signed URLs often allow only GET.
    needs_head: bool = False
    most_bytes: int | None = None
    too_large: RefusalCodes = UNNAMED
    recommended_bytes: int | None = None
    #: Prefixes of content types; empty allows any.
    expected: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


IMAGE: Final = MediaKind(name="image", recommended_bytes=400 * _KILOBYTE, expected=("image/",))
THUMBNAIL: Final = MediaKind(name="image", expected=("image/",))
FILE: Final = MediaKind(
    name="file",
    most_bytes=600 * _KILOBYTE,
    too_large=FILE_TOO_LARGE,
    unexpected=("text/html", "image/", "audio/", "video/"),
)
VIDEO: Final = MediaKind(
    name="video",
    needs_head=True,
    most_bytes=200 * _MEGABYTE,
    too_large=OUT_OF_BOUNDS,
    expected=("video/",),
)

_KIND_BY_FIELD: Final = {
    "body.imageURL": IMAGE,
    "body.viberFile.fileUrl": FILE,
    "body.viberVideo.videoUrl": VIDEO,
    "body.viberVideo.videoURL": VIDEO,
    "body.viberVideo.videoThumbnail": THUMBNAIL,
}


async def preflight(request: object, *, prober: Prober) -> Findings:
    """
    Check the media of *request*, a campaign request as parsed JSON.

    All hosts are called concurrently, so it takes at most the prober's time limit. A host that does
    not answer is a fault: another attempt is free, a campaign without its image costs money.
    """
    media = ((path, kind, _find(request, path)) for path, kind in _KIND_BY_FIELD.items())
    results = await asyncio.gather(
        *(_probe(path, kind, url, prober) for path, kind, url in media if isinstance(url, str))
    )
    return Findings.of(finding for findings in results for finding in findings)


def _find(request: object, path: str) -> object:
    value = request
    for key in path.split("."):
        value = member(value, key)
    return value


async def _probe(path: str, kind: MediaKind, url: str, prober: Prober) -> Sequence[Finding]:
    try:
        head = await prober.head(url)
    except Unreachable as error:
        return [fault(path, str(error))]
    return list(_check(head, path, kind))


def _check(head: Head, path: str, kind: MediaKind) -> Iterator[Finding]:
    if not HTTPStatus(HTTPStatus.OK) <= head.status < HTTPStatus.MULTIPLE_CHOICES:
        yield _status_finding(head.status, path, kind)
        return
    yield from _check_length(head.content_length, path, kind)
    yield from _check_type(head.content_type, path, kind)


def _status_finding(status: int, path: str, kind: MediaKind) -> Finding:
    if kind.needs_head or status in _GONE:
        return fault(path, f"its host answers HEAD with {status}: it must answer 200")
    return Caution(
        "media-unchecked",
        path,
        f"its host answers HEAD with {status}, so that the {kind.name} could not be checked",
    )


def _check_length(length: int | None, path: str, kind: MediaKind) -> Iterator[Finding]:
    if length is None:
        yield _missing_length_finding(path, kind)
    elif length == 0:
        yield fault(path, f"is empty: upload the {kind.name} again")
    elif kind.most_bytes is not None and length > kind.most_bytes:
        most = _shown(kind.most_bytes)
        yield fault(path, f"is too large: a {kind.name} may have {most}", kind.too_large)
    elif kind.recommended_bytes is not None and length > kind.recommended_bytes:
        most = _shown(kind.recommended_bytes)
        yield Caution("media-large", path, f"is large: Routee recommends at most {most}")


def _missing_length_finding(path: str, kind: MediaKind) -> Finding:
    if kind.needs_head:
        return fault(path, "its host sends no Content-Length: it must, or the video is not shown")
    return Caution(
        "media-unchecked",
        path,
        f"its host sends no Content-Length, so that the {kind.name}'s size could not be checked",
    )


def _check_type(media_type: str | None, path: str, kind: MediaKind) -> Iterator[Finding]:
    if media_type is None:
        return
    as_expected = not kind.expected or media_type.startswith(kind.expected)
    if not as_expected or media_type.startswith(kind.unexpected):
        yield Caution(
            "media-type", path, f"is served as {media_type[:60]}, which is not a {kind.name}"
        )


def _shown(size: int) -> str:
    return f"{size // _MEGABYTE} MB" if size >= _MEGABYTE else f"{size // _KILOBYTE} KB"
