"""Masks for callback tokens and telephone numbers."""

import re
from typing import Final

#: JSON, and a URL within a URL, can spell the slash in several ways.
_CALLBACK_URL: Final = re.compile(r"(callbacks(?:\\*/|\\+u002[Ff]|%2[Ff]))[A-Za-z0-9_~.%-]+")
_MASK: Final = r"\1***"
_SHOWN_DIGITS: Final = 3


def mask_callback_urls(text: str) -> str:
    """*text* with the token in every callback URL replaced by `***`."""
    return _CALLBACK_URL.sub(_MASK, text)


def mask_number(number: str) -> str:
    """A telephone number with only its last three digits."""
    return f"***{number[-_SHOWN_DIGITS:]}" if len(number) > _SHOWN_DIGITS else "***"
