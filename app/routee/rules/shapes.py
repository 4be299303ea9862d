"""How objects with known members are checked: each member, those that lack, and strangers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import count
from typing import Final

from app.routee.rules.findings import WHOLE, Finding, member_path
from app.routee.rules.refusals import fault
from app.routee.rules.values import Check

#: Looking for a likeness is dear; a request with more strangers has another problem.
_MAX_SUGGESTIONS: Final = 20
_MAX_COMPARED_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Member:
    """One known member of an object: checked by `check`, or an object itself of `shape`."""

    check: Check | None = None
    shape: Mapping[str, "Member"] | None = None
    required: bool = False


Shape = Mapping[str, Member]


def check_shape(document: object, path: str, shape: Shape) -> Iterator[Finding]:
    """What is wrong with the members of *document* that *shape* knows."""
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


def check_strangers(document: object, shape: Shape) -> Iterator[Finding]:
    """The members of *document*, and of the objects in it, that its *shape* does not know."""
    homes = {path.rpartition(".")[2].casefold(): path for path in _paths(shape, "")}
    numbers = count()
    for path, key, siblings in _strangers(document, "", shape):
        suggest = isinstance(key, str) and next(numbers) < _MAX_SUGGESTIONS
        known = _likeness(str(key), path, siblings, homes) if suggest else None
        advice = f"did you mean {known}?" if known else "remove it"
        yield fault(member_path(path, key), f"is not a field that Routee knows here: {advice}")


def _strangers(document: object, path: str, shape: Shape) -> Iterator[tuple[str, object, Shape]]:
    """The path of the object that each stranger is in, the stranger, and who belongs there."""
    if not isinstance(document, dict):
        return
    for key, value in document.items():
        known = shape.get(key)
        if known is None:
            yield path, key, shape
        elif known.shape is not None:
            yield from _strangers(value, member_path(path, key), known.shape)


def _paths(shape: Shape, path: str) -> Iterator[str]:
    for key, known in shape.items():
        here = member_path(path, key)
        yield here
        yield from _paths(known.shape or {}, here)


def _likeness(key: str, path: str, siblings: Shape, homes: Mapping[str, str]) -> str | None:
    """The path of the field of this name, wherever it belongs, else of a sibling spelt alike."""
    folded = key[:_MAX_COMPARED_CHARACTERS].casefold()
    spellings = {sibling.casefold(): member_path(path, sibling) for sibling in siblings}
    if folded in homes:
        return homes[folded]
    close = get_close_matches(folded, spellings, n=1)
    return spellings[close[0]] if close else None
