"""Masks for callback tokens and telephone numbers."""

import re
from typing import Final

from app.domain.phone_number import DIGITS, LEADING, PLUSES, SEPARATORS, canonical_number

#: JSON, and a URL within a URL, can spell the slash in several ways.
_CALLBACK_URL: Final = re.compile(r"(callbacks(?:\\*/|\\+u002[Ff]|%2[Ff]))[A-Za-z0-9_~.%-]+")
_MASK: Final = r"\1***"
_MASK_NUMBER: Final = r"***\1"
_SHOWN_DIGITS: Final = 3
#: As in `bi_v1.masked_text`: seven digits or more, with anything between them that may separate the
#: digits of a number, or a character that could not be stored.
_GAP: Final = rf"[{SEPARATORS}\ufffd]*"
_SEVEN_DIGITS: Final = rf"(?:[{DIGITS}]{_GAP}){{4,}}([{DIGITS}]{_GAP}[{DIGITS}]{_GAP}[{DIGITS}])"
_FEWEST_CHARACTERS: Final = 7
#: A date like 2026-03-30 is none.
_NUMBER_BUT_NO_DATE: Final = re.compile(
    rf"(?<![{DIGITS}])"
    r"(?!(?:19|20)[0-9]{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12][0-9]|3[01])"
    rf"(?![{DIGITS}]))[{PLUSES}]?{_SEVEN_DIGITS}"
)
_WITH_PLUS: Final = re.compile(rf"(?:[{PLUSES}]|%2[Bb])[{LEADING}]*{_SEVEN_DIGITS}")


def mask_callback_urls(text: str) -> str:
    """*text* with the token in every callback URL replaced by `***`."""
    return _CALLBACK_URL.sub(_MASK, text)


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
    return _NUMBER_BUT_NO_DATE.sub(_MASK_NUMBER, text)


def mask_numbers_with_plus(text: str) -> str:
    """As `mask_numbers`, but only with a `+`: other digits may be ids, counts or times."""
    return _WITH_PLUS.sub(_MASK_NUMBER, text)
