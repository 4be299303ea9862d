"""The only file that knows which characters no text of a request may have."""

import re
from collections.abc import Iterator
from typing import Final

from app.routee.rules.findings import WHOLE, Finding, item_path, member_path
from app.routee.rules.refusals import fault

#: NUL, which databases refuse, and lone surrogates, which have no encoding.
_UNSENDABLE: Final = re.compile("[\x00\ud800-\udfff]")
#: Far longer than that of any field; otherwise the paths of deep nesting would fill the memory.
_MAX_PATH_CHARACTERS: Final = 300


def check_characters(request: object) -> Iterator[Finding]:
    """Check every text of *request*, and every name in it."""
    # Not recursive: JSON can be nested deeper than Python's stack.
    waiting: list[tuple[str, object]] = [("", request)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str) and _UNSENDABLE.search(value):
            yield fault(path or WHOLE, "has a NUL or half of a surrogate pair: remove it")
        waiting.extend(reversed(list(_children(path[:_MAX_PATH_CHARACTERS], value))))


def _children(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            here = member_path(path, key)
            yield from (((here, key),) if _is_unsendable(key) else ())
            yield here, entry
    elif isinstance(value, list):
        yield from ((item_path(path, place), entry) for place, entry in enumerate(value))


def _is_unsendable(key: object) -> bool:
    return isinstance(key, str) and _UNSENDABLE.search(key) is not None
