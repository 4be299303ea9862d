"""The operations of a document."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Operation(NamedTuple):
    """One call, and its method and path."""

    method: str
    path: str
    #: The operation object itself, to be changed in place.
    node: dict[str, Any]


def operations_in(document: dict[str, Any]) -> Iterator[Operation]:
    """All operations of the paths, without those of the webhooks."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield Operation(method, path, item[method])
