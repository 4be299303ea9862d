"""A mapping that remembers only what was used last."""

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `max_items` pairs; the one that was not used for longest goes first."""

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._items: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def find(self, key: K) -> V | None:
        """The value of *key*, if it is remembered."""
        value = self._items.get(key)
        if value is not None:
            self._items.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember *value*, and forget another if there are too many."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._max_items:
            self._items.popitem(last=False)

    def forget(self, key: K) -> None:
        """Forget *key*, if it is remembered."""
        self._items.pop(key, None)
