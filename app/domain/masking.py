"""Masks for callback tokens, our credentials, and telephone numbers."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from html.entities import html5
from typing import Final

from app.domain.phone_number import DIGITS, LEADING, PLUSES, SEPARATORS, canonical_number

_MASK: Final = "***"
_SHOWN_DIGITS: Final = 3
_MASK_NUMBER: Final = r"***\1"
#: As in `bi_v1.masked_text`: seven digits or more, with anything between them that may separate the
#: digits of a number, or a character that could not be stored.
_GAP: Final = rf"[{SEPARATORS}\ufffd]*"
_SEVEN_DIGITS: Final = rf"(?:[{DIGITS}]{_GAP}){{4,}}([{DIGITS}]{_GAP}[{DIGITS}]{_GAP}[{DIGITS}])"
_FEWEST_CHARACTERS: Final = 7
#: A date like 2026-03-30 is none.
NUMBER_BUT_NO_DATE: Final = re.compile(
    rf"(?<![{DIGITS}])"
    r"(?!(?:19|20)[0-9]{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12][0-9]|3[01])"
    rf"(?![{DIGITS}]))[{PLUSES}]?{_SEVEN_DIGITS}"
)
_WITH_PLUS: Final = re.compile(rf"(?:[{PLUSES}]|%2[Bb])[{LEADING}]*{_SEVEN_DIGITS}")
#: Shorter values are no secrets: they would be found in ordinary words.
_MIN_SECRET_CHARACTERS: Final = 6
#: A text that is cut in its column may end within a secret. This much of it is masked, not less.
_MIN_BEGINNING_CHARACTERS: Final = 12
#: How often a text is unescaped: an escape can itself be escaped. Each time it gets shorter.
_MAX_ROUNDS: Final = 8

#: A campaign's token: `{campaign id}.{HMAC in hex}`, perhaps cut.
_OF_CAMPAIGN: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f]{16,}"
#: Is in every campaign token, and begins with a character that is quickly searched for.
_TOKEN_HINT: Final = re.compile(r"\.[0-9a-f]{16}")
#: Whatever stands in the place of a token in a callback URL, also if it is not valid any more.
_IN_CALLBACK_URL: Final = r"(?<=callbacks/)[a-z0-9_~.%-]+"

#: From the first of a run: a search from each of them takes seconds for a text of 7,000.
_BACKSLASHES: Final = r"(?<!\\)\\+"
_ESCAPES: Final = (
    r"(?P<octets>(?:%[0-9A-Fa-f]{2})+)"
    rf"|(?:{_BACKSLASHES}u|%u)(?P<pair>[dD][89abAB][0-9A-Fa-f]{{2}}(?:\\+u|%u)[dD][c-fC-F][0-9A-Fa-f]{{2}})"
    rf"|(?:{_BACKSLASHES}u|%u)(?P<four>[0-9A-Fa-f]{{4}})"
    rf"|{_BACKSLASHES}u\{{0*(?P<braces>[0-9A-Fa-f]{{1,6}})\}}"
    rf"|{_BACKSLASHES}x(?P<two>[0-9A-Fa-f]{{2}})"
    r"|&#0*(?P<decimal>[0-9]{1,7});?"
    r"|&#[xX]0*(?P<hexadecimal>[0-9A-Fa-f]{1,6});?"
    r"|&(?P<name>[A-Za-z]{2,8});"
    rf"|(?P<ignored>{_BACKSLASHES}(?=[^0-9A-Za-z\\])"
    # NULs are between the letters of UTF-16 that is read as UTF-8, and U+FFFD in their place in
    # columns.
    r"|[\x00\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffd])"
)
_ESCAPE: Final = re.compile(_ESCAPES)
#: The same, and the short escapes of blanks, which may stand between the digits of a number.
ESCAPE_OR_BLANK: Final = re.compile(rf"{_ESCAPES}|(?P<blank>{_BACKSLASHES}[bfnrtv])")
#: An escape at the end of a text that is cut.
_CUT_ESCAPE: Final = re.compile(rf"(?:%|{_BACKSLASHES}[ux]?\{{?|&#?x?)[0-9a-z]{{0,7}}$")
_OCTET_CHARACTERS: Final = 3  # as in %2F
_LAST_CHARACTER: Final = 0x10FFFF


class SecretMask:
    """
    Replaces secrets in texts by `***`, in whatever escapes and letters they are spelt.

    Secrets are the *values* it is given, and everything that has the form of a campaign's token.
    Case does not count. A text that is cut within a value loses what is left of it.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        lowered = {value.lower() for value in values if len(value) >= _MIN_SECRET_CHARACTERS}
        self._values = sorted(lowered, key=len, reverse=True)
        self._beginnings = tuple(value[:_MIN_BEGINNING_CHARACTERS] for value in self._values)
        spelt = "|".join([*map(re.escape, self._values), _OF_CAMPAIGN])
        self._secret = re.compile(spelt)
        self._secret_or_url = re.compile(f"{spelt}|{_IN_CALLBACK_URL}")

    def __repr__(self) -> str:
        return f"<SecretMask of {len(self._values)}>"

    def with_more(self, *values: str) -> "SecretMask":
        """A mask of these *values* as well."""
        return SecretMask([*self._values, *values])

    def may_be_in(self, text: str) -> bool:
        """
        Whether a secret can be in *text*; takes a microsecond for an ordinary text.

        *text* may be several texts joined with a line feed, each of which may be cut.
        """
        has_escapes = "%" in text or "\\" in text or "&" in text or "\0" in text
        if text.isascii() and not has_escapes:
            return self._may_be_spelt_in(text.lower())
        return any(map(self._may_be_spelt_in, _readings(text)))

    def is_in(self, text: str) -> bool:
        """Whether a secret is in *text*."""
        return self.text(text) is not text

    def text(self, text: str) -> str:
        """*text* without secrets; the same object if there is none."""
        return self._masked(text, self._secret) if self.may_be_in(text) else text

    def shown(self, text: str) -> str:
        """*text* without secrets, and without what stands in a token's place in callback URLs."""
        if any("callbacks/" in reading for reading in _readings(text)):
            return self._masked(text, self._secret_or_url)
        return self.text(text)

    def octets(self, body: bytes) -> bytes:
        """*body*, a text in UTF-8, as `shown` gives it; other bytes stay as they are."""
        text = body.decode(errors="surrogateescape")
        shown = self.shown(text)
        return body if shown is text else shown.encode(errors="surrogateescape")

    def _may_be_spelt_in(self, reading: str) -> bool:
        # Twice as fast as a generator.
        for beginning in self._beginnings:
            if beginning in reading:
                return True
        return _TOKEN_HINT.search(reading) is not None

    def _masked(self, text: str, pattern: re.Pattern[str]) -> str:
        """*text* without what *pattern* finds in any of its readings."""
        found = [
            (origins[begin], origins[end])
            for reading, origins in readings_with_origins(text)
            for begin, end in self._found_in(reading, pattern)
        ]
        return _without(text, found) if found else text

    def _found_in(self, reading: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
        yield from (match.span() for match in pattern.finditer(reading))
        uncut = _CUT_ESCAPE.sub("", reading)
        for value, beginning in zip(self._values, self._beginnings, strict=True):
            begin = uncut.find(beginning, max(len(uncut) - len(value), 0))
            while begin >= 0:
                if value.startswith(uncut[begin:]):
                    yield begin, len(reading)
                begin = uncut.find(beginning, begin + 1)


def mask_callback_urls(text: str) -> str:
    """*text* with the token in every callback URL, and each campaign token, replaced by `***`."""
    return _NO_VALUES.shown(text)


def mask_number(number: str) -> str:
    """A telephone number with only its last three digits, of other text the last characters."""
    if len(number) <= _SHOWN_DIGITS:
        return "***"
    shown = canonical_number(number) or number
    return f"***{shown[-_SHOWN_DIGITS:]}"


def mask_numbers(text: str) -> str:
    """*text* with only the last three digits of everything that looks like a telephone number."""
    if len(text) < _FEWEST_CHARACTERS:
        return text
    return NUMBER_BUT_NO_DATE.sub(_MASK_NUMBER, text)


def mask_numbers_with_plus(text: str) -> str:
    """As `mask_numbers`, but only with a `+`: other digits may be ids, counts or times."""
    return _WITH_PLUS.sub(_MASK_NUMBER, text)


def _without(text: str, found: list[tuple[int, int]]) -> str:
    """*text* with one mask for each range; ranges that overlap share one."""
    pieces: list[str] = []
    done = 0
    for begin, end in sorted(found):
        if begin >= done:
            pieces += [text[done:begin], _MASK]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


def _readings(text: str) -> Iterator[str]:
    """*text* in plain small letters: as it is, unescaped, unescaped twice, and so on."""
    for _ in range(_MAX_ROUNDS):
        yield _plain(text)
        unescaped = _ESCAPE.sub(_unescaped, text)
        if unescaped == text:
            return
        text = unescaped


def readings_with_origins(
    text: str, escape: re.Pattern[str] = _ESCAPE
) -> Iterator[tuple[str, Sequence[int]]]:
    """
    *text* in plain small letters: as it is, unescaped, unescaped twice, and so on.

    Each reading comes with the index in *text* at which each of its characters begins; the last of
    these is the end of *text*.
    """
    origins: Sequence[int] = range(len(text) + 1)
    for _ in range(_MAX_ROUNDS):
        yield _plain(text), origins
        unescaped = escape.sub(_unescaped, text)
        if unescaped == text:
            return
        origins = _origins_of_unescaped(text, origins, escape)
        text = unescaped


def _origins_of_unescaped(text: str, origins: Sequence[int], escape: re.Pattern[str]) -> list[int]:
    moved: list[int] = []
    done = 0
    for found in escape.finditer(text):
        moved += origins[done : found.start()]
        at = found.start()
        for width in _widths(found):
            moved.append(origins[at])
            at += width
        done = found.end()
    return [*moved, *origins[done:]]


def _widths(escape: re.Match[str]) -> list[int]:
    """How many characters of *escape* stand for each character of `_unescaped`."""
    unescaped = _unescaped(escape)
    if escape.lastgroup != "octets":
        return [len(escape[0])] * len(unescaped)
    octets = bytes.fromhex(escape[0].replace("%", ""))
    one_each = len(octets) == len(unescaped)
    return [_OCTET_CHARACTERS * (1 if one_each else len(one.encode())) for one in unescaped]


def _unescaped(escape: re.Match[str]) -> str:
    kind = escape.lastgroup or ""
    spelt = escape[kind]
    if kind == "octets":
        return _decoded(bytes.fromhex(spelt.replace("%", "")))
    if kind == "ignored":
        return ""
    if kind == "blank":
        return " "
    if kind == "name":
        named = html5.get(f"{spelt};", "")
        return named if len(named) == 1 else escape[0][:1]
    if kind == "pair":
        high, low = int(spelt[:4], 16), int(spelt[-4:], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    code = int(spelt, 10 if kind == "decimal" else 16)
    return chr(code) if code <= _LAST_CHARACTER else ""


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _plain(text: str) -> str:
    """*text* in small letters, with ASCII for letters of full width and the like; as long."""
    return text.lower() if text.isascii() else "".join(map(_plain_character, text))


@lru_cache(maxsize=4096)
def _plain_character(character: str) -> str:
    if unicodedata.category(character) == "Pd":  # all kinds of dashes
        return "-"
    plain = unicodedata.normalize("NFKC", character).lower()
    return plain if len(plain) == 1 else character


_NO_VALUES: Final = SecretMask()
