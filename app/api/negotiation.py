"""What the caller of a request accepts, by the quality values of its headers."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

#: RFC 9110, section 12.4.2.
_QUALITY: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
#: A longer header accepts nothing: real ones have a tenth of it.
_MAX_CHARACTERS: Final = 2000


@lru_cache(maxsize=256)
def qualities(field: str) -> Mapping[str, float]:
    """
    What *field* (of `Accept` or `Accept-Encoding`) names, in small letters, each with its quality.

    A quality is from 0, not acceptable, to 1. What has no readable one is left out.
    """
    found: dict[str, float] = {}
    if len(field) > _MAX_CHARACTERS:
        return found
    for one in field.split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        given = [part for part in parameters if part[:2].lower() == "q="]
        quality = _QUALITY.fullmatch(given[0]) if given else None
        if name and (quality or not given):
            found[name.lower()] = float(quality[1]) if quality else 1.0
    return found
