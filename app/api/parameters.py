"""The parameters that a call has: any other one in a query is refused."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Any, Final, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.errors import Fault, InvalidRequest

#: Of so many unknown names similar ones are looked for; more of them are no typing error.
_MAX_FAULTS: Final = 20
_MAX_COMPARED_CHARACTERS: Final = 64


class _Known:
    """The parameters of one route."""

    def __init__(self, route: APIRoute) -> None:
        self.takes_many: Mapping[str, bool] = dict(_parameters(route.dependant))
        self.names = self.takes_many.keys()


def refuse_unknown_parameters(request: Request) -> None:
    """
    Refuse a parameter that the route of *request* does not have, and a value too many of one.

    Raises:
        InvalidRequest: with the names, and with similar ones that the route has.
    """
    if not request.scope["query_string"]:
        return
    given = request.query_params
    known = _known(_ByIdentity(request.scope["route"]))
    if known.names >= given.keys() and len(given) == len(given.multi_items()):
        return
    faults = tuple(islice(_faults(request, known), _MAX_FAULTS))
    if faults:
        raise InvalidRequest(faults=faults)


def unknown(noun: str, name: str, known: Collection[str]) -> str:
    """What is said of a *noun* with a *name* that is not among the *known* ones."""
    message = f"unknown {noun} {name[:_MAX_COMPARED_CHARACTERS]}"
    folded = name[:_MAX_COMPARED_CHARACTERS].casefold()
    spellings = {one.casefold(): one for one in known}
    close = get_close_matches(folded, spellings, n=1)
    return f"{message}: did you mean {spellings[close[0]]}?" if close else message


class _ByIdentity:
    """A route as a key: routes are compared by what they have, and so have no hash."""

    def __init__(self, route: APIRoute) -> None:
        self.route = route

    def __hash__(self) -> int:
        return id(self.route)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.route is self.route


@cache
def _known(route: _ByIdentity) -> _Known:
    return _Known(route.route)


def _faults(request: Request, known: _Known) -> Iterator[Fault]:
    for name in request.query_params:
        if name not in known.names:
            yield Fault(name, unknown("parameter", name, known.names))
        elif not known.takes_many[name] and len(request.query_params.getlist(name)) > 1:
            yield Fault(name, f"{name} takes one value, and was given more than once")


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The name of each parameter of a query, and whether it takes many values."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, member in annotation.model_fields.items():
                yield member.alias or name, _is_list(member.annotation)
        else:
            yield field.alias, _is_list(annotation)
    for one in dependant.dependencies:
        yield from _parameters(one)


def _is_list(annotation: Any) -> bool:  # noqa: ANN401 (any type)
    return get_origin(annotation) is list or any(
        get_origin(one) is list for one in get_args(annotation)
    )
