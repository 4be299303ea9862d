"""Opaque cursors of lists: URL-safe, versioned, and verified when they come back."""

import base64
import binascii
import hashlib
import json
import re
from typing import Final

_VERSION: Final = 1
_CHECK_BYTES: Final = 6
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class CursorInvalid(ValueError):
    """The text is not a cursor of this list."""


def encode_cursor(position: list[str | int], *, scope: str) -> str:
    """
    *position*, the sort key of the last item, as a cursor for the list *scope* only.

    *scope* names the list with its filters: a cursor used in another list would skip items.
    """
    content = json.dumps([_VERSION, *position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(content, scope) + content).decode().rstrip("=")


def decode_cursor(cursor: str, *, scope: str) -> list[str | int]:
    """
    The position in *cursor*: integers of any size, and texts that are Unicode, perhaps with NUL.

    Anybody can compute the check of a content of their own: what is in it is not to be believed.

    Raises:
        CursorInvalid: the cursor was altered, or made by another version or for another list.
    """
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        check, content = decoded[:_CHECK_BYTES], decoded[_CHECK_BYTES:]
        if check != _check(content, scope):
            raise CursorInvalid
        parts = json.loads(content)
    except (binascii.Error, ValueError, RecursionError):
        raise CursorInvalid from None
    if not isinstance(parts, list) or parts[:1] != [_VERSION] or not all(map(_is_part, parts)):
        raise CursorInvalid
    return parts[1:]


def _is_part(part: object) -> bool:
    """Whether *part* can be of a position: no float, no bool, no lone surrogate."""
    if type(part) is str:
        return not _SURROGATE.search(part)
    return type(part) is int


def _check(content: bytes, scope: str) -> bytes:
    return hashlib.sha256(scope.encode() + b"\0" + content).digest()[:_CHECK_BYTES]
