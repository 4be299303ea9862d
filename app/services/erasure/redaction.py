"""Removing a number from JSON and other texts, and keeping what is of other people."""

import re
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from app.domain.erasure import MAX_SPELLING_CHARACTERS, readings_of, unescaped
from app.domain.phone_number import trimmed
from app.routee.wire import Unreadable, parse, serialise
from app.services.erasure.bodies import other_readings_of

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


def is_in_body(body: bytes, pattern: re.Pattern[str]) -> bool:
    """Whether *pattern* is in *body*, in whatever charset and compression it can be read."""
    texts = chain(readings_of(body), other_readings_of(body).texts)
    return any(is_in(text, pattern) for text in texts)


def redacted_text(text: str, pattern: re.Pattern[str], pseudonym: str) -> str:
    """*text* with *pseudonym* in place of each match; without escapes, if they hide one."""
    if is_in(text, pattern):
        text = pattern.sub(pseudonym, text)
    readable = unescaped(text)
    if readable != text and is_in(readable, pattern):
        return pattern.sub(pseudonym, readable)
    return text


def redacted_json(
    body: bytes | None, pattern: re.Pattern[str], pseudonym: str, *, leave_out: bool = False
) -> bytes | None:
    """
    *body* with *pseudonym* in place of each match in keys, texts and whole numbers.

    With *leave_out* an element that is nothing but the number is removed from its array: a launch
    that is repeated must not send Routee a pseudonym as a recipient.
    """
    if not body or not is_in_body(body, pattern):
        return body
    try:
        value = parse(body)
    except Unreadable:
        return _redacted_bytes(body, pattern, pseudonym)
    return serialise(_Redaction(pattern, pseudonym, leave_out=leave_out).of(value))


def without_number(
    body: bytes, pattern: re.Pattern[str], pseudonym: str, *, reason: str = ""
) -> bytes:
    """
    What may be kept of *body*, an unreadable callback for that *reason*, if it has the number.

    An array keeps its elements without the number, byte for byte the same values. An object is of
    one person, so nothing of it is kept, except for arrays in it: they are treated as above. A body
    that is not JSON loses the number alone.

    Nothing is kept of a body in which the number can be read only after a conversion, from another
    charset or a compression; nor of one that is compressed and cannot be opened: it is not
    known whose number is in it.
    """
    left = _without_plain_number(body, pattern, pseudonym) if is_in_body(body, pattern) else body
    return b"" if other_readings_of(left, reason).is_sealed or is_in_body(left, pattern) else left


def _without_plain_number(body: bytes, pattern: re.Pattern[str], pseudonym: str) -> bytes:
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


def _redacted_bytes(body: bytes, pattern: re.Pattern[str], pseudonym: str) -> bytes:
    text = body.decode(errors="surrogateescape")
    return redacted_text(text, pattern, pseudonym).encode(errors="surrogateescape")


def _without(value: Any, pattern: re.Pattern[str]) -> Any:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        members = {name: _without(member, pattern) for name, member in value.items()}
        is_of_owner = any(_has(name, pattern) for name in members) or any(
            member is _GONE for member in members.values()
        )
        return _GONE if is_of_owner else members
    if isinstance(value, list):
        kept = [one for element in value if (one := _without(element, pattern)) is not _GONE]
        return kept if kept or not value else _GONE
    return _GONE if _has(str(value), pattern) else value


def _has(text: str, pattern: re.Pattern[str]) -> bool:
    return is_in(text, pattern) or is_in(unescaped(text), pattern)


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
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return self._pseudonym if self._pattern.search(str(value)) else value
        return value

    def _is_left_out(self, element: object) -> bool:
        return (
            self._leave_out
            and isinstance(element, str)
            and self._pattern.fullmatch(trimmed(element)) is not None
        )

    def _text(self, text: str) -> str:
        return redacted_text(text, self._pattern, self._pseudonym)
