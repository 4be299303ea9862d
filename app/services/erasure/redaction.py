"""Removing a number from JSON and other texts, and keeping what is of other people."""

import re
from typing import Any, Final

from app.domain.erasure import MAX_SPELLING_CHARACTERS
from app.routee.wire import Unreadable, parse, serialise

#: A search blocks all other threads; one of a piece takes a millisecond or two.
_PIECE_CHARACTERS: Final = 16_384
#: Replaces a value that belongs to the owner of the number alone.
_GONE: Final = object()


def is_in(text: str, pattern: re.Pattern[str]) -> bool:
    """Whether *pattern*, of the spellings of a number, is in *text*; searched piece by piece."""
    for begin in range(0, len(text), _PIECE_CHARACTERS):
        first = max(0, begin - MAX_SPELLING_CHARACTERS)
        found = pattern.search(text, first, begin + _PIECE_CHARACTERS)
        # At the end of a piece the match may be a part of a longer number.
        if found and pattern.match(text, found.start()):
            return True
    return False


def redacted_text(text: str, pattern: re.Pattern[str], pseudonym: str) -> str:
    """*text* with *pseudonym* in place of each match."""
    return pattern.sub(pseudonym, text) if is_in(text, pattern) else text


def redacted_json(
    body: bytes | None, pattern: re.Pattern[str], pseudonym: str, *, leave_out: bool = False
) -> bytes | None:
    """
    *body* with *pseudonym* in place of each match in keys, texts and whole numbers.

    With *leave_out* an element that is nothing but the number is removed from its array: a launch
    that is repeated must not send Routee a pseudonym as a recipient.
    """
    if not body or not is_in(body.decode(errors="replace"), pattern):
        return body
    try:
        value = parse(body)
    except Unreadable:
        return _redacted_bytes(body, pattern, pseudonym)
    return serialise(_Redaction(pattern, pseudonym, leave_out=leave_out).of(value))


def without_number(body: bytes, pattern: re.Pattern[str], pseudonym: str) -> bytes:
    """
    What may be kept of *body*, an unreadable callback, if it has the number.

    An array keeps its elements without the number, byte for byte the same values. An object is of
    one person, so nothing of it is kept, except for arrays in it: they are treated as above. A body
    that is not JSON loses the number alone.
    """
    if not is_in(_characters(body), pattern):
        return body
    try:
        value = parse(body)
    except Unreadable:
        return _redacted_bytes(body, pattern, pseudonym)
    if not isinstance(value, dict | list):
        return _redacted_bytes(body, pattern, pseudonym)
    kept = _without(value, pattern)
    if kept is _GONE:
        return b""
    return _redacted_bytes(serialise(kept), pattern, pseudonym)


def _characters(body: bytes) -> str:
    """*body* as text; bytes that are not UTF-8 survive the way back."""
    return body.decode(errors="surrogateescape")


def _redacted_bytes(body: bytes, pattern: re.Pattern[str], pseudonym: str) -> bytes:
    return redacted_text(_characters(body), pattern, pseudonym).encode(errors="surrogateescape")


def _without(value: Any, pattern: re.Pattern[str]) -> Any:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        members = {name: _without(member, pattern) for name, member in value.items()}
        is_of_owner = any(map(pattern.search, members)) or any(
            member is _GONE for member in members.values()
        )
        return _GONE if is_of_owner else members
    if isinstance(value, list):
        kept = [one for element in value if (one := _without(element, pattern)) is not _GONE]
        return kept if kept or not value else _GONE
    return _GONE if pattern.search(str(value)) else value


class _Redaction:
    def __init__(self, pattern: re.Pattern[str], pseudonym: str, *, leave_out: bool) -> None:
        self._pattern = pattern
        self._pseudonym = pseudonym
        self._leave_out = leave_out

    def of(self, value: Any) -> Any:  # noqa: ANN401 (any JSON)
        if isinstance(value, dict):
            return {self._text(key): self.of(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.of(element) for element in value if not self._is_left_out(element)]
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return self._pseudonym if self._pattern.fullmatch(str(value)) else value
        return value

    def _is_left_out(self, element: object) -> bool:
        return (
            self._leave_out
            and isinstance(element, str)
            and self._pattern.fullmatch(element.strip()) is not None
        )

    def _text(self, text: str) -> str:
        return self._pattern.sub(self._pseudonym, text)
