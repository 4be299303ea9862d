"""Faults and warnings of a campaign request, the path of a field, and Routee's error codes."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from app.errors import Fault

#: The field of a fault of the whole request.
WHOLE: Final = "$"

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MAX_KEY_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning: Routee allows it, but it is probably not what the caller wants."""

    #: A stable word for programs, such as `ttl-short`.
    code: str
    field: str
    message: str


Finding = Fault | Caution


@dataclass(frozen=True, slots=True)
class Findings:
    """All faults and all warnings, each in the order of the rules that found them."""

    faults: tuple[Fault, ...] = ()
    warnings: tuple[Caution, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Self:
        """The *findings*, sorted into faults and warnings."""
        found = tuple(findings)
        return cls(
            faults=tuple(finding for finding in found if isinstance(finding, Fault)),
            warnings=tuple(finding for finding in found if isinstance(finding, Caution)),
        )


class RefusalCodes(NamedTuple):
    """The codes of a refusal, as far as Routee's API page names them."""

    code: str | None = None
    error_code: str | None = None


#: Routee's API page names no code for it.
UNNAMED: Final = RefusalCodes()
BAD_RECIPIENT: Final = RefusalCodes("400019002", "001")
BAD_LAYOUT: Final = RefusalCodes("400019002", "007")
BAD_VIDEO_LAYOUT: Final = RefusalCodes("400019002")
FILE_TOO_LARGE: Final = RefusalCodes("400019002", "016")
BAD_FILE_TYPE: Final = RefusalCodes("400019002", "019")
BAD_SESSION_KIND: Final = RefusalCodes("400019002", "020")
VIDEO_IN_SESSION: Final = RefusalCodes("400019002")
#: For an image URL, a ttl, a thumbnail URL, or the size or duration of a video.
OUT_OF_BOUNDS: Final = RefusalCodes("400000000")


def fault(field: str, message: str, refusal: RefusalCodes = UNNAMED) -> Fault:
    """A fault at *field*, with the codes that Routee would answer."""
    return Fault(field, message, code=refusal.code, error_code=refusal.error_code)


def member_path(path: str, key: object) -> str:
    """
    The path of member *key* of the object at *path*: `body.text`, or `body["odd key"]`.

    Keys come from the caller, so they are cut, and characters that JSON cannot hold are escaped.
    """
    if not isinstance(key, str):
        return f"{path}[?]"
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key[:_MAX_KEY_CHARACTERS])}]"


def item_path(path: str, index: int) -> str:
    """The path of an item of the array at *path*: `to[3]`."""
    return f"{path}[{index}]"


def member(document: object, key: str) -> object:
    """The member *key* of *document*; None if it is missing or *document* is no object."""
    return document.get(key) if isinstance(document, dict) else None
