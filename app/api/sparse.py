"""Sparse answers: with the parameter `fields`, items have the members that it names, no others."""

from collections.abc import Callable, Collection, Coroutine
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Query

from app.api.parameters import unknown
from app.errors import Fault, InvalidRequest

R = TypeVar("R")

#: The names that were asked for; None for the usual members.
Fields = frozenset[str] | None

#: Stands for the members of an answer without `fields`.
_USUAL: Final = "*"
#: Values are left as they are written.
_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()

DESCRIPTION: Final = (
    "Names of members, with commas between them: items have these and no others, also none that is "
    "always there otherwise. `*` stands for all that are there without this parameter."
)


def fields_among(
    known: Collection[str], *, on_request: Collection[str] = ()
) -> Callable[..., Coroutine[Any, Any, Fields]]:
    """A dependency that gives the parameter `fields` of items that have the *known* members."""

    async def _fields(
        fields: Annotated[str | None, Query(description=DESCRIPTION)] = None,
    ) -> Fields:
        return chosen(fields, known, on_request=on_request)

    return _fields


def chosen(text: str | None, known: Collection[str], *, on_request: Collection[str] = ()) -> Fields:
    """
    The members that *text* names, of the *known* ones; those *on_request* are not usual.

    Raises:
        InvalidRequest: it names a member that is not known, or none.
    """
    if text is None:
        return None
    names: set[str] = set()
    for name in text.split(","):
        if name == _USUAL:
            names.update(one for one in known if one not in on_request)
        elif name in known:
            names.add(name)
        else:
            what = unknown("member", name, known) if name else "must be names with commas between"
            raise InvalidRequest(faults=(Fault("fields", what),))
    return frozenset(names)


def sparse(as_json: Callable[[R], bytes], fields: Fields) -> Callable[[R], bytes]:
    """*as_json*, which writes an item, with the members *fields* alone."""
    return as_json if fields is None else lambda row: picked(as_json(row), fields)


def picked(item: bytes, fields: frozenset[str]) -> bytes:
    """The JSON object *item* with the members *fields* alone."""
    members = _DECODER.decode(item)
    return _ENCODER.encode({name: value for name, value in members.items() if name in fields})
