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
    """

    def __init__(self, handle: Callable[[Sequence[T]], object], *, max_items: int) -> None:
        self._handle = handle
        self._max_items = max_items
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
        items, mine = self._items, list(islice(self._items, self._max_items))
        for _ in mine:
            items.popleft()
        if items:
            self._schedule()
        self._handle(mine)
