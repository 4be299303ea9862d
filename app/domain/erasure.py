"""Recognising an erased recipient without storing the number, and the pseudonym for it."""

import hashlib
import re
from collections.abc import Container, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

#: A `+`, the prefix 00, and escapes of six characters for each digit and separator.
MAX_SPELLING_CHARACTERS: Final = 512
#: Every pseudonym begins with it.
PSEUDONYM_PREFIX: Final = "erased:"
_PURPOSE: Final = b"rr erasure v1"
_KEY_ID: Final = b"rr erasure key id"
_KEY_ID_BYTES: Final = 8
_HASH_BYTES: Final = 32
_PSEUDONYM_CHARACTERS: Final = 16
_MIN_DIGITS: Final = 6
_MAX_DIGITS: Final = 15
_NOT_DIGITS: Final = re.compile(r"[^0-9]")
#: With the prefix 00 of calls abroad.
_MAX_DIALLED_DIGITS: Final = _MAX_DIGITS + 2
_DIGITS: Final = re.compile(r"[0-9]+")
#: Characters that may separate two digits of a number, among them no-break and thin spaces, soft
#: hyphens and all dashes.
_SEPARATORS: Final = (
    " \t().\\-/\u00a0\u00ad\u2000-\u200f\u2010-\u2015\u202a-\u202f\u205f-\u2064\u2212\u3000\ufeff"
)
_MAX_SEPARATORS: Final = 3
_GAP: Final = re.compile(rf"[{_SEPARATORS}]{{0,{_MAX_SEPARATORS}}}")
#: A character other than a digit, as URLs and JSON escape it.
_ESCAPED: Final = r"%(?!3[0-9])[0-9A-Fa-f]{2}|\\u(?!003[0-9])[0-9A-Fa-f]{4}"
_BETWEEN: Final = rf"(?:[{_SEPARATORS}]|{_ESCAPED}){{0,{_MAX_SEPARATORS}}}"
#: Not within a longer number. The digits of an escape in front of it do not count as one.
_BEGIN: Final = (
    r"(?:(?<![0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))(?<!%3[0-9])(?<!\\u003[0-9])"
)
_END: Final = r"(?![0-9]|%3[0-9]|\\u003[0-9])"
_ESCAPES: Final = re.compile(r"((?:%[0-9A-Fa-f]{2})+)|\\u([0-9A-Fa-f]{4})")


class NotANumber(ValueError):
    """The text is no telephone number: it does not have 6 to 15 digits."""


class NumberHash(NamedTuple):
    """The keyed hash of a telephone number, and the key it was made with."""

    hash: bytes
    key: bytes

    @property
    def pseudonym(self) -> str:
        """The replacement for the number; always the same, so that recipients can be counted."""
        digest = hashlib.blake2b(self.hash, key=self.key, digest_size=16).hexdigest()
        return PSEUDONYM_PREFIX + digest[:_PSEUDONYM_CHARACTERS]

    @property
    def key_id(self) -> bytes:
        """An identifier of the key that does not reveal it."""
        return _id_of(self.key)

    def pseudonymised(self, digest: bytes) -> bytes:
        """A keyed hash of *digest*, of the same length, which no guess of the content confirms."""
        return hashlib.blake2b(digest, key=self.key, digest_size=len(digest)).digest()


def pseudonymised_key(number_hash: NumberHash, key: str) -> str:
    """The replacement for an idempotency key that contains the number; always the same."""
    digest = hashlib.sha256(key.encode(errors="replace")).digest()
    return PSEUDONYM_PREFIX + number_hash.pseudonymised(digest).hex()


class ErasureKeys:
    """The keys of the hashes. The first key makes new hashes, all keys find stored ones."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [hashlib.sha256(_PURPOSE + key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def ids(self) -> frozenset[bytes]:
        """The `NumberHash.key_id` of every key."""
        return frozenset(map(_id_of, self._keys))

    def hashes_of(self, number: str) -> list[NumberHash]:
        """The hashes of *number* with every key, that of the first key first."""
        digits = digits_of(number).encode()
        return [NumberHash(_hash(digits, key), key) for key in self._keys]

    def find(self, number: str, erased: Container[bytes]) -> NumberHash | None:
        """The hash of *number* that is in *erased*, if any."""
        digits = digits_of(number).encode()
        for key in self._keys:
            found = _hash(digits, key)
            if found in erased:
                return NumberHash(found, key)
        return None


def digits_of(number: str) -> str:
    """The digits of a number in any spelling, from the country code, without the prefix 00."""
    digits = number[1:]
    if number[:1] == "+" and digits[:2] != "00" and digits.isascii() and digits.isdecimal():
        return digits
    return _NOT_DIGITS.sub("", number).removeprefix("00")


def valid_digits(number: str) -> str:
    """
    The digits of a number that a person entered.

    Raises:
        NotANumber: it has too few or too many digits, or letters.
    """
    digits = digits_of(number)
    if not _MIN_DIGITS <= len(digits) <= _MAX_DIGITS or re.search(r"[A-Za-z]", number):
        raise NotANumber
    return digits


def spelling_pattern(digits: str) -> str:
    """
    A pattern for all spellings of a number, valid in Python and in PostgreSQL.

    It matches with or without `+`, 00 and separators, also where these are escaped as in URLs or
    JSON, but not within a longer number. A match has at most `MAX_SPELLING_CHARACTERS` characters.
    """
    spelt = (rf"(?:{digit}|%3{digit}|\\u003{digit})" for digit in digits)
    return rf"{_BEGIN}\+?(?:00)?{_BETWEEN.join(spelt)}{_END}"


def possible_numbers(body: bytes) -> Iterator[str]:
    """
    The digits of every possible telephone number in *body*, with repetitions.

    A date, a price or an escape that ends in a digit can be in front of a number, so a number can
    begin and end at any group of a row of digits.
    """
    text = body.decode(errors="surrogateescape")
    readable = _unescaped(text)
    return chain(_numbers_in(text), _numbers_in(readable) if readable != text else ())


def _numbers_in(text: str) -> Iterator[str]:
    groups: list[str] = []
    end = 0
    for match in _DIGITS.finditer(text):
        if not _GAP.fullmatch(text, end, match.start()):
            groups.clear()
        groups.append(match[0])
        end = match.end()
        digits = ""
        for group in reversed(groups):
            digits = group + digits
            if len(digits) > _MAX_DIALLED_DIGITS:
                break
            if len(digits) >= _MIN_DIGITS:
                yield digits
        del groups[:-_MAX_DIALLED_DIGITS]


def _unescaped(text: str) -> str:
    return _ESCAPES.sub(_unescaped_one, text)


def _unescaped_one(escape: re.Match[str]) -> str:
    url_escape, json_escape = escape.groups()
    if url_escape:
        return bytes.fromhex(url_escape.replace("%", "")).decode(errors="replace")
    return chr(int(json_escape, 16))


def _id_of(key: bytes) -> bytes:
    return hashlib.blake2b(_KEY_ID, key=key, digest_size=_KEY_ID_BYTES).digest()


def _hash(digits: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(digits, key=key, digest_size=_HASH_BYTES).digest()
