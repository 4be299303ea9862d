"""
Checks of single values, whatever object they are in.

Each factory here returns a check, and no check raises. Messages never repeat a value: it can be a
telephone number, or a megabyte.
"""

import re
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from math import isfinite
from typing import Final, TypeGuard
from urllib.parse import urlsplit

from app.routee.rules.findings import UNNAMED, Finding, RefusalCodes, fault, member_path

#: Takes a value and its path, gives the findings. It is never called with null, which is absent.
Check = Callable[[object, str], Iterator[Finding]]

#: Backslashes are here because clients disagree about the host of a URL that has one.
_INVALID_IN_URLS: Final = re.compile(r"[\s\x00-\x20\x7f\\]")


def text(*, most_characters: int | None = None, may_be_blank: bool = False) -> Check:
    """A check for a string of at most *most_characters*."""

    def check(value: object, path: str) -> Iterator[Finding]:
        if not isinstance(value, str):
            yield fault(path, "must be a string")
        elif not may_be_blank and not value.strip():
            yield fault(path, "must not be empty: leave it out or fill it in")
        elif most_characters is not None and len(value) > most_characters:
            yield fault(path, f"must have at most {most_characters} characters: shorten it")

    return check


def identifier(*, most_bytes: int) -> Check:
    """A check for an opaque id."""
    filled = text()

    def check(value: object, path: str) -> Iterator[Finding]:
        yield from filled(value, path)
        # `check_characters` reports lone surrogates; here they must only not raise.
        if isinstance(value, str) and len(value.encode(errors="surrogatepass")) > most_bytes:
            yield fault(path, f"must have at most {most_bytes} bytes: copy the id from Routee")

    return check


def written_as(pattern: re.Pattern[str], advice: str) -> Check:
    """A check for a string that *pattern* matches fully; *advice* is the message if it does not."""

    def check(value: object, path: str) -> Iterator[Finding]:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            yield fault(path, advice)

    return check


def flag(value: object, path: str) -> Iterator[Finding]:
    """Check for true or false."""
    if not isinstance(value, bool):
        yield fault(path, "must be true or false, without quotes")


def whole(*, least: int, most: int, unit: str, too_large: RefusalCodes = UNNAMED) -> Check:
    """A check for an integer from *least* to *most*."""
    advice = f"must be a whole number from {least} to {most} ({unit}), without quotes"

    def check(value: object, path: str) -> Iterator[Finding]:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            yield fault(path, advice)
        elif value > most:
            yield fault(path, advice, too_large)

    return check


def positive(*, most: int, unit: str, too_large: RefusalCodes = UNNAMED) -> Check:
    """A check for a number above 0 and up to *most*."""
    advice = f"must be a number greater than 0 and at most {most} ({unit}), without quotes"

    def check(value: object, path: str) -> Iterator[Finding]:
        if not _is_number(value) or not value > 0:
            yield fault(path, advice)
        elif value > most:
            yield fault(path, advice, too_large)

    return check


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    if isinstance(value, int):
        return not isinstance(value, bool)
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, float) and isfinite(value)


def url(
    *,
    schemes: Collection[str] = ("https",),
    most_characters: int | None = None,
    invalid: RefusalCodes = UNNAMED,
    too_long: RefusalCodes = UNNAMED,
) -> Check:
    """A check for an absolute URL with one of *schemes*."""

    def check(value: object, path: str) -> Iterator[Finding]:
        problem = _problem_of_url(value, schemes)
        if problem:
            yield fault(path, problem, invalid)
        if isinstance(value, str) and most_characters is not None and len(value) > most_characters:
            yield fault(path, f"must have at most {most_characters} characters", too_long)

    return check


def _problem_of_url(value: object, schemes: Collection[str]) -> str | None:
    if not isinstance(value, str):
        return "must be a string with a URL"
    if _INVALID_IN_URLS.search(value):
        return "must be a URL without spaces, line ends or backslashes: percent-encode them"
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "is not a valid URL: correct its host or port"
    if parts.scheme not in schemes:
        return "must be a URL that starts with " + " or ".join(f"{one}://" for one in schemes)
    return None if usable else "must name a host after ://"


def mapping_to_text(value: object, path: str) -> Iterator[Finding]:
    """Check for an object whose values are strings."""
    if not isinstance(value, dict):
        yield fault(path, "must be an object of strings")
        return
    for key, entry in value.items():
        if entry is not None and not isinstance(entry, str):
            yield fault(member_path(path, key), "must be a string")
