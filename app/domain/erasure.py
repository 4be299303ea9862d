"""Recognising an erased recipient without storing the number, and the pseudonym for it."""

import hashlib
import re
from collections.abc import Container, Iterator, Sequence
from typing import Final, NamedTuple

from app.domain.phone_number import (
    DIGITS,
    MAX_DIGITS,
    MIN_DIGITS,
    SEPARATORS,
    canonical_number,
    digit_in_all_scripts,
    with_ascii_digits,
)

#: A `+`, the prefix 00, and escapes of six characters for each digit and separator.
MAX_SPELLING_CHARACTERS: Final = 768
#: Every pseudonym begins with it.
PSEUDONYM_PREFIX: Final = "erased:"
_PURPOSE: Final = b"rr erasure v1"
_KEY_ID: Final = b"rr erasure key id"
_DIGEST_KEY: Final = b"rr erasure digest key"
_RECIPIENT_KEY: Final = b"rr recipient key"
_RECIPIENT_KEY_BYTES: Final = 16
_KEY_ID_BYTES: Final = 8
_HASH_BYTES: Final = 32
_PSEUDONYM_CHARACTERS: Final = 16
_NOT_DIGITS: Final = re.compile(r"[^0-9]")
#: With the prefix 00 of calls abroad.
_MAX_DIALLED_DIGITS: Final = MAX_DIGITS + 2
_DIGITS: Final = re.compile(r"[0-9]+")
_SCIENTIFIC: Final = re.compile(r"[0-9](?:[.,][0-9]{1,20})?[Ee]\+?[0-9]{1,2}(?![0-9])")
_MAX_SEPARATORS: Final = 6
_GAP: Final = re.compile(rf"[{SEPARATORS}]{{0,{_MAX_SEPARATORS}}}")
#: A character other than a digit, as URLs and JSON escape it.
_ESCAPED: Final = r"%(?!3[0-9])[0-9A-Fa-f]{2}|\\u(?!003[0-9])[0-9A-Fa-f]{4}|\\[bfnrt]"
_BETWEEN: Final = rf"(?:[{SEPARATORS}]|{_ESCAPED}){{0,{_MAX_SEPARATORS}}}"
#: Spares nearly all characters of a text the other conditions.
_FIRST: Final = rf"(?=[+%\\{DIGITS}])"
#: Not within a longer number. The digits of an escape in front of it do not count as one.
_BEGIN: Final = (
    rf"(?:(?<![{DIGITS}])|(?<=%[0-9A-Fa-f]{{2}})|(?<=\\u[0-9A-Fa-f]{{4}}))"
    r"(?<!%3[0-9])(?<!\\u003[0-9])"
)
_END: Final = rf"(?![{DIGITS}]|%3[0-9]|\\u003[0-9])"
_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+|(?:\\u[0-9A-Fa-f]{4})+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


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
    def recipient_key(self) -> str:
        """
        By what those who know the number recognise that it was erased.

        It cannot be made from the pseudonym, nor that from it: who kept it with a number does not
        find the number's pseudonym.
        """
        return hashlib.blake2b(
            self.hash + _RECIPIENT_KEY, key=self.key, digest_size=_RECIPIENT_KEY_BYTES
        ).hexdigest()

    @property
    def key_id(self) -> bytes:
        """An identifier of the key that does not reveal it."""
        return _id_of(self.key)

    @property
    def digest_key(self) -> bytes:
        """The key for the digests of events. PostgreSQL may see it: it reveals no other key."""
        return hashlib.blake2b(self.hash + _DIGEST_KEY, key=self.key, digest_size=32).digest()

    def pseudonymised_digest(self, digest: bytes) -> bytes:
        """The replacement for the digest of an event, as PostgreSQL computes it; of none, none."""
        return hashlib.sha256(self.digest_key + digest).digest() if digest else b""

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
    """
    The digits of a number in any spelling, from the country code, without the prefix 00.

    Of a text that is no number all digits, so that one with a number and something else is found.
    """
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        found = canonical_number(number)
        digits = found[1:] if found else _NOT_DIGITS.sub("", with_ascii_digits(number))
    return digits.removeprefix("00")


def valid_digits(number: str) -> str:
    """
    The digits of a number that a person entered.

    Raises:
        NotANumber: it has too few or too many digits, or is another text.
    """
    found = canonical_number(number)
    if found is None:
        raise NotANumber
    return found[1:]


def spelling_pattern(digits: str) -> str:
    """
    A pattern for all spellings of a number, valid in Python and in PostgreSQL.

    It matches with or without `+`, 00 and separators, in digits of any script, also where digits of
    ASCII and separators are escaped as in URLs or JSON, and in scientific notation, but not within
    a longer number. A match has at most `MAX_SPELLING_CHARACTERS` characters.
    """
    plain = rf"(?:{_spelt('0')}{{2}})?{_BETWEEN.join(map(_spelt, digits))}"
    return rf"{_FIRST}{_BEGIN}\+?(?:{_scientific(digits)}|{plain}){_END}"


def _spelt(digit: str) -> str:
    return rf"(?:[{digit_in_all_scripts(digit)}]|%3{digit}|\\u003{digit})"


def _scientific(digits: str) -> str:
    """As spreadsheets write it, with one digit before the point."""
    significant = digits[1:].rstrip("0")
    fraction = rf"[.,]{significant}0{{0,20}}" if significant else r"(?:[.,]0{0,20})?"
    return rf"{digits[0]}{fraction}[Ee]\+?0?{len(digits) - 1}"


def readings_of(body: bytes) -> Iterator[str]:
    """
    The texts that *body* can be read as: as it is, and with its escapes undone.

    Bytes that are not UTF-8 survive the way back, with `errors="surrogateescape"`.
    """
    text = body.decode(errors="surrogateescape")
    yield text
    if (readable := unescaped(text)) != text:
        yield readable


def possible_numbers(body: bytes) -> Iterator[str]:
    """
    The digits of every possible telephone number in *body*, with repetitions.

    A date, a price or an escape that ends in a digit can be in front of a number, so a number can
    begin and end at any group of a row of digits.
    """
    for text in readings_of(body):
        yield from possible_numbers_in(text)


def possible_numbers_in(text: str) -> Iterator[str]:
    """The digits of every possible telephone number in *text*, as `possible_numbers`."""
    return _numbers_in(with_ascii_digits(text))


def _numbers_in(text: str) -> Iterator[str]:
    for match in _SCIENTIFIC.finditer(text):
        if found := canonical_number(match[0]):
            yield found[1:]
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
            if len(digits) >= MIN_DIGITS:
                yield digits
        del groups[:-_MAX_DIALLED_DIGITS]


def unescaped(text: str) -> str:
    """*text* without the escapes of URLs and JSON; those of what is no character stay."""
    if "%" not in text and "\\u" not in text:
        return text
    return _ESCAPES.sub(_unescaped_row, text)


def _unescaped_row(escapes: re.Match[str]) -> str:
    if escapes[0][0] == "%":
        return bytes.fromhex(escapes[0].replace("%", "")).decode(errors="surrogateescape")
    units = bytes.fromhex(escapes[0].replace("\\u", ""))
    text = units.decode("utf-16-be", errors="surrogatepass")
    return escapes[0] if _SURROGATE.search(text) else text


def _id_of(key: bytes) -> bytes:
    return hashlib.blake2b(_KEY_ID, key=key, digest_size=_KEY_ID_BYTES).digest()


def _hash(digits: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(digits, key=key, digest_size=_HASH_BYTES).digest()
