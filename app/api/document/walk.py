"""Going through the operations of a document."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Operation(NamedTuple):
    """One call, and where it stands."""

    method: str
    path: str
    #: The operation object itself, to be changed in place.
    node: dict[str, Any]


def operations_in(document: dict[str, Any]) -> Iterator[Operation]:
    """Every operation of the paths; those of the webhooks are not ours."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield Operation(method, path, item[method])
