"""What an examination brings to light, and how the place of it is written."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from app.errors import Fault

#: The field of a fault that concerns the request as a whole.
WHOLE: Final = "$"

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MAX_KEY_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that is allowed, and yet probably not what the caller wants."""

    #: A word for programs, such as `ttl-short`.
    code: str
    field: str
    message: str


Finding = Fault | Caution


@dataclass(frozen=True, slots=True)
class Findings:
    """All faults and all warnings, each in the order of the rules."""

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


def member_path(path: str, key: object) -> str:
    """
    The path of member *key* of the object at *path*: `body.text`, or `body["odd key"]`.

    Keys come from strangers: they are cut, and what cannot be sent in an answer is escaped.
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
    """The member *key* of *document*; None if it has none, or is no object."""
    return document.get(key) if isinstance(document, dict) else None
