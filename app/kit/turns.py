"""Spreading work over the turns of the event loop, so that none of them becomes long."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """
    Handles what is put in, in order: all of one turn of the event loop together, but no more than
    `max_items`. The rest has its turn after whatever else the loop has to do.

    With `parts`, it is one of so many parts of what waits if that is more: the longer the queue,
    the more of it has its turn, so that nothing waits for many more turns than there are parts.
    """

    def __init__(
        self, handle: Callable[[Sequence[T]], object], *, max_items: int, parts: int | None = None
    ) -> None:
        self._handle = handle
        self._max_items = max_items
        self._parts = parts
        self._items: deque[T] = deque()

    def __len__(self) -> int:
        """How many items have not had their turn yet."""
        return len(self._items)

    def put(self, item: T) -> None:
        """Have *item* handled in a turn to come."""
        if not self._items:
            self._schedule()
        self._items.append(item)

    def _schedule(self) -> None:
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        items = self._items
        size = max(self._max_items, len(items) // self._parts) if self._parts else self._max_items
        mine = list(islice(items, size))
        for _ in mine:
            items.popleft()
        if items:
            self._schedule()
        self._handle(mine)
