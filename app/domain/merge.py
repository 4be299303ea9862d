"""The two order-independent merges of a column's values."""

from typing import Any, Protocol, TypeVar


class _Ordered(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...  # noqa: ANN401 (any comparable type)


T = TypeVar("T", bound=_Ordered)


def least(one: T | None, other: T | None) -> T | None:
    """The lesser of two values; None only when both are. PostgreSQL's LEAST."""
    if one is None:
        return other
    if other is None or not other < one:
        return one
    return other


def greatest(one: T | None, other: T | None) -> T | None:
    """The greater of two values; None only when both are. PostgreSQL's GREATEST."""
    if one is None:
        return other
    if other is None or not one < other:
        return one
    return other
