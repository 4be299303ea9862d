"""How an erased recipient is recognised without being known, and what is put in its place."""

import hashlib
import re
from collections.abc import Container, Iterator, Sequence
from typing import Final, NamedTuple

#: Begins what stands where a number stood.
PSEUDONYM_PREFIX: Final = "erased:"
_PURPOSE: Final = b"rr erasure v1"
_HASH_BYTES: Final = 32
_PSEUDONYM_CHARACTERS: Final = 16
_MIN_DIGITS: Final = 6
_MAX_DIGITS: Final = 15
_NOT_DIGITS: Final = re.compile(r"[^0-9]")
#: Whatever may be a number in free text.
_CANDIDATE: Final = re.compile(rb"[0-9](?:[ ().\-/]{0,2}[0-9]){5,16}")
#: What may stand between two digits of a number.
_BETWEEN: Final = r"[ ().\-/]{0,2}"


class NotANumber(ValueError):
    """It has not between 6 and 15 digits."""


class Mark(NamedTuple):
    """An erased recipient, by the key that its hash was made with."""

    hash: bytes
    key: bytes

    @property
    def pseudonym(self) -> str:
        """What stands for the number: the same everywhere, so that recipients can be counted."""
        digest = hashlib.blake2b(self.hash, key=self.key, digest_size=16).hexdigest()
        return PSEUDONYM_PREFIX + digest[:_PSEUDONYM_CHARACTERS]

    def blinded(self, digest: bytes) -> bytes:
        """*digest*, of as many bytes, so that nobody can guess what it is of; always the same."""
        return hashlib.blake2b(digest, key=self.key, digest_size=len(digest)).digest()


class ErasureKeys:
    """Makes the hashes of numbers. The first key makes new ones, all find those that were made."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [hashlib.sha256(_PURPOSE + key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def marks_of(self, number: str) -> list[Mark]:
        """Those that *number* may be known by, that of the first key first."""
        digits = digits_of(number).encode()
        return [Mark(_hash(digits, key), key) for key in self._keys]

    def find(self, number: str, erased: Container[bytes]) -> Mark | None:
        """The mark of *number*, if it is one of *erased*."""
        digits = digits_of(number).encode()
        for key in self._keys:
            found = _hash(digits, key)
            if found in erased:
                return Mark(found, key)
        return None


def digits_of(number: str) -> str:
    """The digits of a number in any spelling, the country's first, without the 00 of a call."""
    digits = number[1:]
    if number[:1] == "+" and digits[:2] != "00" and digits.isascii() and digits.isdecimal():
        return digits
    return _NOT_DIGITS.sub("", number).removeprefix("00")


def wanted_digits(number: str) -> str:
    """
    The digits of a number that somebody asks for.

    Raises:
        NotANumber: it cannot be one.
    """
    digits = digits_of(number)
    if not _MIN_DIGITS <= len(digits) <= _MAX_DIGITS or re.search(r"[A-Za-z]", number):
        raise NotANumber
    return digits


def spellings(digits: str) -> str:
    """
    A pattern of all spellings of a number, for Python and for PostgreSQL.

    With or without +, 00, and signs between the digits, but not as a part of a longer number.
    """
    return rf"(?<![0-9])\+?(?:00)?{_BETWEEN.join(digits)}(?![0-9])"


def candidates(body: bytes) -> Iterator[str]:
    """What may be a number in *body*."""
    for match in _CANDIDATE.finditer(body):
        yield match[0].decode()


def _hash(digits: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(digits, key=key, digest_size=_HASH_BYTES).digest()
