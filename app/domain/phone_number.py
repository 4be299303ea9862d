r"""
The one spelling of a telephone number: `+`, the country code and the rest, 6 to 15 digits.

Numbers are stored, asked for, compared, masked and hashed in this spelling. `phone_number.sql` says
the same, and a property test compares the two. The parts of patterns are of one syntax in Python
and in PostgreSQL: `\u` and `\U` escapes, and no `\d`, which means other characters there.
"""

import re
from itertools import groupby
from typing import Final

MIN_DIGITS: Final = 6
MAX_DIGITS: Final = 15
#: Longer texts are no numbers, so that reading one takes bounded time.
MAX_SPELLING_CHARACTERS: Final = 128

#: The zeros of all scripts that have decimal digits; each is followed by 1 to 9.
_ZEROS: Final = (
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6,
    0x0D66, 0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80,
    0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0,
    0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0,
    0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0,
    0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0,
)  # fmt: skip


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004


def _ranges(codes: tuple[int, ...]) -> str:
    """The digits of *codes*, zeros in their order; scripts that adjoin are one range."""
    found = []
    for _, group in groupby(enumerate(codes), key=lambda pair: pair[1] - 10 * pair[0]):
        zeros = [zero for _, zero in group]
        found.append(f"{_escaped(zeros[0])}-{_escaped(zeros[-1] + 9)}")
    return "".join(found)


#: What follows is to be put between [ and ].
DIGITS: Final = _ranges(_ZEROS)
_BLANKS: Final = (
    r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000"
)
#: Control characters, soft hyphens, marks of direction, joiners, variation selectors and the like.
_INVISIBLE: Final = (
    r"\u0001-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\u00ad\u034f\u0600-\u0605\u061c\u06dd"
    r"\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0001-\U000e01ef"
)
#: What is trimmed from texts.
MARGINS: Final = _BLANKS + _INVISIBLE
_DASHES: Final = (
    r"\u002d\u02d7\u058a\u05be\u1400\u1806\u2010-\u2015\u2043\u207b\u208b\u2212\u2e17\u2e1a\u2e3a"
    r"\u2e3b\u2e40\u2e5d\u301c\u3030\u30a0\u30fc\ufe31\ufe32\ufe58\ufe63\uff0d\uff5e\uff70"
    r"\U00010ead"
)
_DOTS: Final = r"\u002e\u00b7\u2022\u2024\u2027\u2219\u22c5\u30fb\ufe52\uff0e\uff61\uff65"
_OPENING: Final = r"\u0028\u003c\u005b\u007b\u3010\ufe59\uff08\uff3b\uff5b"
_CLOSING: Final = r"\u0029\u003e\u005d\u007d\u3011\ufe5a\uff09\uff3d\uff5d"
_SLASHES: Final = r"\u002f\u005c\u2044\u2215\u2571\u29f8\uff0f\uff3c"
#: What may be in front of a number.
LEADING: Final = MARGINS + _OPENING
#: What may separate two digits of a number.
SEPARATORS: Final = LEADING + _DASHES + _DOTS + _CLOSING + _SLASHES
PLUSES: Final = r"\u002b\u207a\u208a\u2795\ufe62\uff0b"

#: 00 is the prefix of calls abroad; it stands for the `+`.
CANONICAL: Final = r"\+(?!00)[0-9]{6,15}"
#: With digits of ASCII alone. In a URI `tel:` parameters follow; where one says in what country the
#: number is, the number by itself is not a whole one.
SPELLING: Final = (
    rf"[{LEADING}]*(?:[Tt][Ee][Ll][{MARGINS}]*:[{LEADING}]*)?[{PLUSES}]?"
    rf"[{LEADING}]*[0-9](?:[{SEPARATORS}]*[0-9]){{5,16}}[{SEPARATORS}]*"
    r"(?:;(?![Pp][Hh][Oo][Nn][Ee])[^;]*)*"
)
#: As spreadsheets write large numbers: 3.0691E+11, 306912345678.0. Some write a comma.
SCIENTIFIC: Final = (
    rf"[{MARGINS}]*[{PLUSES}]?"
    r"(?:([0-9]{1,15})(?:[.,]([0-9]{0,20}))?[Ee][+]?([0-9]{1,2})|([0-9]{6,15})[.,]00?)"
    rf"[{MARGINS}]*"
)

_TO_ASCII: Final = {zero + digit: 0x30 + digit for zero in _ZEROS for digit in range(10)}
_DIGIT: Final = re.compile(f"[{DIGITS}]")
_SPELLING: Final = re.compile(SPELLING)
_SCIENTIFIC: Final = re.compile(SCIENTIFIC)
_NO_DIGITS: Final = re.compile("[^0-9]+")
_MARGIN: Final = re.compile(f"^[{MARGINS}]+|[{MARGINS}]+$")

#: Truthy for a text that is a number in its one spelling already.
is_canonical: Final = re.compile(CANONICAL).fullmatch


def canonical_number(text: str) -> str | None:
    """The telephone number that *text* spells: `+` and 6 to 15 digits; None if it spells none."""
    if is_canonical(text):
        return text
    if len(text) > MAX_SPELLING_CHARACTERS:
        return None
    spelt = with_ascii_digits(text)
    if match := _SCIENTIFIC.fullmatch(spelt):
        whole, fraction, exponent, exact = match.groups()
        digits = exact or _shifted(whole, fraction or "", int(exponent))
    elif _SPELLING.fullmatch(spelt):
        digits = _NO_DIGITS.sub("", spelt.partition(";")[0])
    else:
        return None
    found = f"+{digits.removeprefix('00')}"
    return found if is_canonical(found) else None


def _shifted(whole: str, fraction: str, exponent: int) -> str:
    """The digits of whole.fraction * 10 ** exponent; empty if that is no whole number."""
    digits, zeros = whole + fraction, exponent - len(fraction)
    if zeros < 0:
        digits, cut = digits[:zeros], digits[zeros:]
        return "" if cut.strip("0") else digits.lstrip("0")
    return digits.lstrip("0") + "0" * zeros


def with_ascii_digits(text: str) -> str:
    """*text* with the decimal digits of other scripts replaced, and as long as before."""
    if text.isascii() or not _DIGIT.search(text):
        return text
    return text.translate(_TO_ASCII)


def digit_in_all_scripts(digit: str) -> str:
    """The characters that mean *digit*, one of 0 to 9."""
    return "".join(chr(zero + int(digit)) for zero in _ZEROS)


def trimmed(text: str) -> str:
    """*text* without blanks and invisible characters at both ends."""
    return _MARGIN.sub("", text)


def better_number(one: str | None, other: str | None) -> str | None:
    """
    The better of two spellings that were reported for one recipient; None only when both are.

    A telephone number in its one spelling is better than any other text; else the lesser one is.
    """
    if one == other or other is None:
        return one
    if one is None:
        return other
    return min(one, other, key=_merit)


def _merit(text: str) -> tuple[bool, str]:
    return is_canonical(text) is None, text
