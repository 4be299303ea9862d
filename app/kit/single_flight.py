"""One call at a time for each key, shared by all callers of that key."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """
    Shares calls and their results among concurrent callers.

    A call goes on when its callers are cancelled. All callers of a call that fails get its error.

    Args:
        call: Gives the result for a key.
        keep_seconds: For how long `recent` gives a result after its call has ended.
        is_kept: Whether a result is kept at all.
    """

    def __init__(
        self,
        call: Callable[[K], Coroutine[Any, Any, V]],
        *,
        keep_seconds: float,
        is_kept: Callable[[V], bool],
    ) -> None:
        self._call = call
        self._keep_seconds = keep_seconds
        self._is_kept = is_kept
        #: Running, or ended and kept.
        self._latest: dict[K, asyncio.Task[V]] = {}
        #: Not begun: each waits until the latest call for its key has ended.
        self._next: dict[K, asyncio.Task[V]] = {}

    async def fresh(self, key: K) -> V:
        """The result of a call that begins after this one, so that it sees all that is done now."""
        latest = self._latest.get(key)
        following = self._next.get(key)
        if following is None:
            if latest is None or latest.done():
                following = self._latest[key] = self._started(key, self._call(key))
            else:
                following = self._started(key, self._call_after(latest, key))
                self._next[key] = following
        return await asyncio.shield(following)

    async def recent(self, key: K) -> V:
        """The result of the call that is running, else a kept one, else that of a new call."""
        latest = self._latest.get(key) or self._next.get(key)
        if latest is None:
            latest = self._latest[key] = self._started(key, self._call(key))
        return await asyncio.shield(latest)

    def _started(self, key: K, call: Coroutine[Any, Any, V]) -> asyncio.Task[V]:
        task = asyncio.create_task(call)
        task.add_done_callback(partial(self._end, key))
        return task

    async def _call_after(self, running: asyncio.Task[V], key: K) -> V:
        await asyncio.wait({running})
        # Callers that come from now on may know of something that this call is too early for.
        self._latest[key] = self._next.pop(key)
        return await self._call(key)

    def _end(self, key: K, task: asyncio.Task[V]) -> None:
        # Reading the exception marks it as handled: all callers may have been cancelled.
        is_good = not task.cancelled() and task.exception() is None
        is_kept = False
        try:
            is_kept = is_good and self._is_kept(task.result())
        finally:  # a result that is not dropped would be given for ever
            if is_kept:
                asyncio.get_running_loop().call_later(self._keep_seconds, self._drop, key, task)
            else:
                self._drop(key, task)

    def _drop(self, key: K, task: asyncio.Task[V]) -> None:
        if self._latest.get(key) is task:
            del self._latest[key]
