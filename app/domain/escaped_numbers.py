"""Masking telephone numbers that escapes are a part of, as in JSON, in URLs, or in both."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from app.domain.masking import (
    ESCAPE_OR_BLANK,
    NUMBER_BUT_NO_DATE,
    mask_numbers,
    readings_with_origins,
)
from app.domain.phone_number import DIGITS

_SHOWN_DIGITS: Final = 3
_BEGINS_ESCAPE: Final = re.compile(r"[\\%&]")
_DIGIT: Final = re.compile(f"[{DIGITS}]")


class _Number(NamedTuple):
    begin: int
    end: int
    #: What is shown in its place.
    mask: str


def mask_escaped_numbers(text: str) -> str:
    """As `mask_numbers`, but also with numbers of which a program would read escapes."""
    if not _BEGINS_ESCAPE.search(text):
        return mask_numbers(text)
    pieces: list[str] = []
    done = 0
    for number in _apart(sorted(_numbers(text))):
        pieces += [text[done : number.begin], number.mask]
        done = number.end
    return "".join([*pieces, text[done:]])


def _numbers(text: str) -> Iterator[_Number]:
    """The numbers in all readings of *text*, where they stand in *text*."""
    for reading, origins in readings_with_origins(text, ESCAPE_OR_BLANK):
        for found in NUMBER_BUT_NO_DATE.finditer(reading):
            last = origins[found.end() - 1]
            # An escape that stands for nothing may follow the last digit.
            end = last + 1 if _DIGIT.match(text, last) else origins[found.end()]
            digits = "".join(_DIGIT.findall(found[0]))
            yield _Number(origins[found.start()], end, f"***{digits[-_SHOWN_DIGITS:]}")


def _apart(numbers: list[_Number]) -> Iterator[_Number]:
    """*numbers* in their order, with one for those that overlap."""
    joined: _Number | None = None
    for number in numbers:
        if joined is None or number.begin >= joined.end:
            if joined is not None:
                yield joined
            joined = number
        elif number.end > joined.end:
            joined = number._replace(begin=joined.begin)
    if joined is not None:
        yield joined
