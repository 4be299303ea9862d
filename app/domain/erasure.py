"""How an erased recipient is recognised without being known, and what is put in its place."""

import hashlib
import re
from collections.abc import Container, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

#: A sign, two digits of a call, and escapes of six characters for each digit and between.
LONGEST_SPELLING: Final = 512
#: Begins what stands where a number stood.
PSEUDONYM_PREFIX: Final = "erased:"
_PURPOSE: Final = b"rr erasure v1"
_KEY_ID: Final = b"rr erasure key id"
_KEY_ID_BYTES: Final = 8
_HASH_BYTES: Final = 32
_PSEUDONYM_CHARACTERS: Final = 16
_MIN_DIGITS: Final = 6
_MAX_DIGITS: Final = 15
_NOT_DIGITS: Final = re.compile(r"[^0-9]")
#: Those of a call abroad before them.
_MAX_CALLED_DIGITS: Final = _MAX_DIGITS + 2
_DIGITS: Final = re.compile(r"[0-9]+")
#: What may stand between two digits of a number: among others spaces that do not break, thin ones,
#: soft hyphens, and all dashes.
_SEPARATORS: Final = (
    " \t().\\-/\u00a0\u00ad\u2000-\u200f\u2010-\u2015\u202a-\u202f\u205f-\u2064\u2212\u3000\ufeff"
)
_MOST_BETWEEN: Final = 3
_GAP: Final = re.compile(rf"[{_SEPARATORS}]{{0,{_MOST_BETWEEN}}}")
#: A character as URLs, and as JSON, may spell it; not a digit.
_ESCAPED: Final = r"%(?!3[0-9])[0-9A-Fa-f]{2}|\\u(?!003[0-9])[0-9A-Fa-f]{4}"
_BETWEEN: Final = rf"(?:[{_SEPARATORS}]|{_ESCAPED}){{0,{_MOST_BETWEEN}}}"
#: Not in the middle of a longer number. The digits of an escape before it are no part of it.
_BEGIN: Final = (
    r"(?:(?<![0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))(?<!%3[0-9])(?<!\\u003[0-9])"
)
_END: Final = r"(?![0-9]|%3[0-9]|\\u003[0-9])"
_ESCAPES: Final = re.compile(r"((?:%[0-9A-Fa-f]{2})+)|\\u([0-9A-Fa-f]{4})")


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

    @property
    def key_id(self) -> bytes:
        """Tells the key from others, and nothing else about it."""
        return _id_of(self.key)

    def blinded(self, digest: bytes) -> bytes:
        """*digest*, of as many bytes, so that nobody can guess what it is of; always the same."""
        return hashlib.blake2b(digest, key=self.key, digest_size=len(digest)).digest()


def blinded_key(mark: Mark, key: str) -> str:
    """What an idempotency key that has the number becomes; always the same."""
    digest = hashlib.sha256(key.encode(errors="replace")).digest()
    return PSEUDONYM_PREFIX + mark.blinded(digest).hex()


class ErasureKeys:
    """Makes the hashes of numbers. The first key makes new ones, all find those that were made."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [hashlib.sha256(_PURPOSE + key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def ids(self) -> frozenset[bytes]:
        """See `Mark.key_id`, of every key."""
        return frozenset(map(_id_of, self._keys))

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

    With or without +, 00, and signs between the digits, also where these are escaped as in URLs or
    JSON, but not as a part of a longer number. A match has at most `LONGEST_SPELLING` characters.
    """
    spelt = (rf"(?:{digit}|%3{digit}|\\u003{digit})" for digit in digits)
    return rf"{_BEGIN}\+?(?:00)?{_BETWEEN.join(spelt)}{_END}"


def candidates(body: bytes) -> Iterator[str]:
    """
    The digits of whatever may be a number in *body*; some of them more than once.

    A date, or a price, may stand before a number, and an escape that ends in a digit as well: of
    digits in a row, each group may be the first one and each the last.
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
            if len(digits) > _MAX_CALLED_DIGITS:
                break
            if len(digits) >= _MIN_DIGITS:
                yield digits
        del groups[:-_MAX_CALLED_DIGITS]


def _unescaped(text: str) -> str:
    return _ESCAPES.sub(_unescaped_one, text)


def _unescaped_one(escape: re.Match[str]) -> str:
    of_a_url, of_json = escape.groups()
    if of_a_url:
        return bytes.fromhex(of_a_url.replace("%", "")).decode(errors="replace")
    return chr(int(of_json, 16))


def _id_of(key: bytes) -> bytes:
    return hashlib.blake2b(_KEY_ID, key=key, digest_size=_KEY_ID_BYTES).digest()


def _hash(digits: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(digits, key=key, digest_size=_HASH_BYTES).digest()
