"""The only file that knows what Routee and Viber demand of the hosts of media."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.routee.preflight.prober import Head, Prober, Unreachable
from app.routee.rules.findings import Caution, Finding, Findings, member
from app.routee.rules.refusals import FILE_TOO_LARGE, OUT_OF_BOUNDS, UNNAMED, Refusal, fault

_KILOBYTE: Final = 1024
_MEGABYTE: Final = 1024 * _KILOBYTE
#: These say that the file is not there, other than those that only dislike the question.
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is demanded of one kind of media; sizes in bytes."""

    name: str
    #: Without an answer to HEAD that names the length Viber shows no video. Of other media Routee
    #: does not demand it, and signed URLs often allow GET alone.
    needs_head: bool = False
    most_bytes: int | None = None
    too_large: Refusal = UNNAMED
    recommended_bytes: int | None = None
    #: Beginnings of content types; empty: any.
    expected: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


IMAGE: Final = Kind(name="image", recommended_bytes=400 * _KILOBYTE, expected=("image/",))
THUMBNAIL: Final = Kind(name="image", expected=("image/",))
FILE: Final = Kind(
    name="file",
    most_bytes=600 * _KILOBYTE,
    too_large=FILE_TOO_LARGE,
    unexpected=("text/html", "image/", "audio/", "video/"),
)
VIDEO: Final = Kind(
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


@dataclass(frozen=True, slots=True)
class Medium:
    """A file that a request refers to."""

    path: str
    kind: Kind
    url: str


async def preflight(request: object, *, prober: Prober) -> Findings:
    """
    What is wrong with the media of *request*, a campaign request as parsed JSON.

    All hosts are asked at the same time, so it takes no longer than the prober's time box. What
    does not answer is a fault: asking again costs nothing, a campaign without its image does.
    """
    media = _media_of(request)
    looks = await asyncio.gather(*(_look(medium, prober) for medium in media))
    return Findings.of(finding for look in looks for finding in look)


def _media_of(request: object) -> tuple[Medium, ...]:
    candidates = ((path, kind, _find(request, path)) for path, kind in _KIND_BY_FIELD.items())
    return tuple(Medium(path, kind, url) for path, kind, url in candidates if isinstance(url, str))


def _find(request: object, path: str) -> object:
    value = request
    for key in path.split("."):
        value = member(value, key)
    return value


async def _look(medium: Medium, prober: Prober) -> Sequence[Finding]:
    try:
        head = await prober.head(medium.url)
    except Unreachable as error:
        return [fault(medium.path, str(error))]
    return list(_judge(head, medium.path, medium.kind))


def _judge(head: Head, path: str, kind: Kind) -> Iterator[Finding]:
    if not HTTPStatus(HTTPStatus.OK) <= head.status < HTTPStatus.MULTIPLE_CHOICES:
        yield _judge_status(head.status, path, kind)
        return
    yield from _judge_length(head.content_length, path, kind)
    yield from _judge_type(head.content_type, path, kind)


def _judge_status(status: int, path: str, kind: Kind) -> Finding:
    if kind.needs_head or status in _GONE:
        return fault(path, f"its host answers HEAD with {status}: it must answer 200")
    return Caution(
        "media-unchecked",
        path,
        f"its host answers HEAD with {status}, so that the {kind.name} could not be checked",
    )


def _judge_length(length: int | None, path: str, kind: Kind) -> Iterator[Finding]:
    if length is None:
        yield _judge_missing_length(path, kind)
    elif length == 0:
        yield fault(path, f"is empty: upload the {kind.name} again")
    elif kind.most_bytes is not None and length > kind.most_bytes:
        most = _shown(kind.most_bytes)
        yield fault(path, f"is too large: a {kind.name} may have {most}", kind.too_large)
    elif kind.recommended_bytes is not None and length > kind.recommended_bytes:
        most = _shown(kind.recommended_bytes)
        yield Caution("media-large", path, f"is large: Routee recommends at most {most}")


def _judge_missing_length(path: str, kind: Kind) -> Finding:
    if kind.needs_head:
        return fault(path, "its host sends no Content-Length: it must, or the video is not shown")
    return Caution(
        "media-unchecked",
        path,
        f"its host sends no Content-Length, so that the {kind.name}'s size could not be checked",
    )


def _judge_type(media_type: str | None, path: str, kind: Kind) -> Iterator[Finding]:
    if media_type is None:
        return
    as_expected = not kind.expected or media_type.startswith(kind.expected)
    if not as_expected or media_type.startswith(kind.unexpected):
        yield Caution(
            "media-type", path, f"is served as {media_type[:60]}, which is not a {kind.name}"
        )


def _shown(size: int) -> str:
    return f"{size // _MEGABYTE} MB" if size >= _MEGABYTE else f"{size // _KILOBYTE} KB"
