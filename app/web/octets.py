"""Bytes that nobody can vouch for, as text that a person can read."""

from collections.abc import Iterator
from typing import Final

_ROW_OCTETS: Final = 16
_HALF: Final = _ROW_OCTETS // 2
_DELETE: Final = 0x7F
#: All controls but tab and ends of lines, and what would reverse its neighbours or hide something.
_INVISIBLE: Final = (
    *(0x00AD, 0x061C, 0x180E, 0x2028, 0x2029, 0xFEFF),
    *(code for code in range(0x20) if chr(code) not in "\t\n\r"),
    *range(_DELETE, 0xA0),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
)
_VISIBLE: Final = {code: f"[U+{code:04X}]" for code in _INVISIBLE}


def visible(text: str) -> str:
    """*text* with the number of each character that has no sign, such as a mark of direction."""
    return text.translate(_VISIBLE)


def hex_view(octets: bytes) -> str:
    """*octets* in rows: where it begins, the bytes in hexadecimal digits, and as ASCII."""
    return "\n".join(_rows(octets))


def _rows(octets: bytes) -> Iterator[str]:
    for at in range(0, len(octets), _ROW_OCTETS):
        row = octets[at : at + _ROW_OCTETS]
        digits = f"{row[:_HALF].hex(' ')}  {row[_HALF:].hex(' ')}"
        ascii_ = "".join(chr(one) if 0x20 <= one < _DELETE else "." for one in row)  # noqa: PLR2004
        yield f"{at:08x}  {digits:<{3 * _ROW_OCTETS}}  {ascii_}"
