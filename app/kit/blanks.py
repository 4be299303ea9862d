"""Blanks of every kind, and characters that show nothing, at the ends of texts."""

from typing import Final

#: Spelt out, because what Python counts as a blank grows with its versions: Unicode's white space,
#: soft hyphens, characters of width zero, marks of direction and byte order, blank letters.
BLANKS: Final = "".join(
    chr(code)
    for first, last in (
        (0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0xAD, 0xAD), (0x034F, 0x034F),
        (0x061C, 0x061C), (0x115F, 0x1160), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x200F),
        (0x2028, 0x202F), (0x205F, 0x206F), (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164),
        (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB),
    )
    for code in range(first, last + 1)
)  # fmt: skip


def trimmed(text: str) -> str:
    """*text* without blanks at its ends. Of ASCII these are the blanks of `str.strip`."""
    return text.strip() if text.isascii() else text.strip(BLANKS)
