"""Spreading work over the ticks of the event loop, so that none of them becomes long."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class TickQueue(Generic[T]):
    """
    Handles items in the order in which they were put.

    All items of one tick of the event loop are handled together in the next tick, at most
    `max_items` of them. The others are handled in later ticks, behind the loop's other callbacks.

    With `parts`, a tick handles that fraction of the queue if it is more than `max_items`: the
    longer the queue, the more items a tick handles, so that no item waits for many more ticks than
    there are parts.
    """

    def __init__(
        self, handle: Callable[[Sequence[T]], object], *, max_items: int, parts: int | None = None
    ) -> None:
        self._handle = handle
        self._max_items = max_items
        self._parts = parts
        self._items: deque[T] = deque()

    def __len__(self) -> int:
        """How many items are not handled yet."""
        return len(self._items)

    def put(self, item: T) -> None:
        """Have *item* handled in a later tick."""
        if not self._items:
            self._schedule()
        self._items.append(item)

    def _schedule(self) -> None:
        asyncio.get_running_loop().call_soon(self._on_tick)

    def _on_tick(self) -> None:
        items = self._items
        size = max(self._max_items, len(items) // self._parts) if self._parts else self._max_items
        try:
            batch = list(islice(items, size))
            for _ in batch:
                items.popleft()
        finally:  # whatever happens, what is left is handled in a later tick
            if items:
                self._schedule()
        self._handle(batch)
