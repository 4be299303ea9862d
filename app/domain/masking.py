"""What may be shown of a secret or of a telephone number."""

import re
from typing import Final

#: In any spelling of the slash that JSON or a URL in a URL may have.
_CALLBACK_URL: Final = re.compile(r"(callbacks(?:\\*/|\\+u002[Ff]|%2[Ff]))[A-Za-z0-9_~.%-]+")
_MASK: Final = r"\1***"
_SHOWN_DIGITS: Final = 3


def mask_callback_urls(text: str) -> str:
    """*text* with the token in every callback URL replaced by `***`."""
    return _CALLBACK_URL.sub(_MASK, text)


def mask_number(number: str) -> str:
    """A telephone number of which only the last three digits can be read."""
    return f"***{number[-_SHOWN_DIGITS:]}" if len(number) > _SHOWN_DIGITS else "***"
