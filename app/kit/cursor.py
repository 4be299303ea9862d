"""Opaque cursors of lists: URL-safe, versioned, and verified when they come back."""

import base64
import binascii
import hashlib
import json
from typing import Final

_VERSION: Final = 1
_CHECK_BYTES: Final = 6


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
    The position in *cursor*.

    Raises:
        CursorInvalid: the cursor was altered, or made by another version or for another list.
    """
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CursorInvalid from None
    check, content = decoded[:_CHECK_BYTES], decoded[_CHECK_BYTES:]
    if check != _check(content, scope):
        raise CursorInvalid
    content_version, *position = json.loads(content)
    if content_version != _VERSION:
        raise CursorInvalid
    return list(position)


def _check(content: bytes, scope: str) -> bytes:
    return hashlib.sha256(scope.encode() + b"\0" + content).digest()[:_CHECK_BYTES]
