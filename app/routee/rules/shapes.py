"""Checks of objects: known, missing and unknown fields, and characters that nothing can store."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import count
from typing import Final

from app.routee.rules.findings import WHOLE, Finding, fault, item_path, member_path
from app.routee.rules.values import Check

#: The search for a similar name is slow, and a request with more unknown fields is no typing error.
_MAX_SUGGESTIONS: Final = 20
_MAX_COMPARED_CHARACTERS: Final = 64
#: NUL, which databases refuse, and lone surrogates, which have no encoding.
_UNSENDABLE: Final = re.compile("[\x00\ud800-\udfff]")
#: Far longer than the path of any field. Without a limit, deep nesting would exhaust the memory.
_MAX_PATH_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Member:
    """One known member of an object: checked by `check`, or an object itself of `shape`."""

    check: Check | None = None
    shape: Mapping[str, "Member"] | None = None
    required: bool = False


Shape = Mapping[str, Member]


def check_shape(document: object, path: str, shape: Shape) -> Iterator[Finding]:
    """Check the members of *document* that *shape* knows."""
    if not isinstance(document, dict):
        yield fault(path or WHOLE, "must be a JSON object")
        return
    for key, known in shape.items():
        yield from _check_member(document.get(key), member_path(path, key), known)


def _check_member(value: object, path: str, known: Member) -> Iterator[Finding]:
    if value is None:
        if known.required:
            yield fault(path, "is required: add it")
        return
    if known.shape is not None:
        yield from check_shape(value, path, known.shape)
    if known.check is not None:
        yield from known.check(value, path)


def check_unknown_fields(document: object, shape: Shape) -> Iterator[Finding]:
    """Refuse members of *document*, and of the objects in it, that its *shape* does not know."""
    known_paths = {path.rpartition(".")[2].casefold(): path for path in _paths(shape, "")}
    numbers = count()
    for path, key, siblings in _unknown_fields(document, "", shape):
        suggest = isinstance(key, str) and next(numbers) < _MAX_SUGGESTIONS
        known = _similar_field(str(key), path, siblings, known_paths) if suggest else None
        advice = f"did you mean {known}?" if known else "remove it"
        yield fault(member_path(path, key), f"is not a field that Routee knows here: {advice}")


def _unknown_fields(
    document: object, path: str, shape: Shape
) -> Iterator[tuple[str, object, Shape]]:
    """The path of the object that has the field, the field, and the shape of that object."""
    if not isinstance(document, dict):
        return
    for key, value in document.items():
        known = shape.get(key)
        if known is None:
            yield path, key, shape
        elif known.shape is not None:
            yield from _unknown_fields(value, member_path(path, key), known.shape)


def _paths(shape: Shape, path: str) -> Iterator[str]:
    for key, known in shape.items():
        here = member_path(path, key)
        yield here
        yield from _paths(known.shape or {}, here)


def _similar_field(
    key: str, path: str, siblings: Shape, known_paths: Mapping[str, str]
) -> str | None:
    """The path of the field of this name, wherever it belongs, else of a similar sibling."""
    folded = key[:_MAX_COMPARED_CHARACTERS].casefold()
    spellings = {sibling.casefold(): member_path(path, sibling) for sibling in siblings}
    if folded in known_paths:
        return known_paths[folded]
    close = get_close_matches(folded, spellings, n=1)
    return spellings[close[0]] if close else None


def check_characters(document: object) -> Iterator[Finding]:
    """Refuse NUL and lone surrogates in any text or name of *document*."""
    # Not recursive: JSON can be nested deeper than Python's stack.
    pending: list[tuple[str, object]] = [("", document)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, str) and _UNSENDABLE.search(value):
            yield fault(path or WHOLE, "has a NUL or half of a surrogate pair: remove it")
        pending.extend(reversed(list(_children(path[:_MAX_PATH_CHARACTERS], value))))


def _children(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            here = member_path(path, key)
            yield from (((here, key),) if _is_unsendable(key) else ())
            yield here, entry
    elif isinstance(value, list):
        yield from ((item_path(path, index), entry) for index, entry in enumerate(value))


def _is_unsendable(key: object) -> bool:
    return isinstance(key, str) and _UNSENDABLE.search(key) is not None
