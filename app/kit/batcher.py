"""Group commit: what arrives while one batch is being flushed becomes the next batch."""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from app.kit.tasks import is_cancelled

T = TypeVar("T")
R = TypeVar("R")

#: A function that gets the outcome of one item, or the error that happened instead.
Done = Callable[[R | BaseException], object]

_UNBOUNDED: Final = sys.maxsize

#: The share of the budget that may be spent on waiting.
_WAITING_SHARE: Final = 0.5
#: The share of the budget that a flush is expected to take at most.
_FLUSH_SHARE: Final = 0.5
#: The weight of the newest flush in the time that a flush is expected to take.
_SMOOTHING: Final = 0.2


class BatcherError(Exception):
    """The batcher could not take an item, or not finish it in time."""


class Full(BatcherError):
    """No more items may wait or can be flushed in time, or the batcher is closing."""


class TooLate(BatcherError):
    """The items were not flushed within the budget."""


class _Shared(asyncio.Future[Sequence[R]]):
    """
    One future that all submitters of a batch await, instead of one future each.

    A cancelled task cancels the future that it awaits, which would fail its neighbours. This future
    ignores cancellation, so the task is cancelled once the batch has ended.
    """

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 (the signature is asyncio's)
        return False


class _Batch(Generic[T, R]):
    """Items that are flushed together."""

    __slots__ = ("deadline", "items", "listeners", "loop", "outcome", "outcomes", "weight")

    def __init__(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self.items: list[T] = []
        self.weight = 0
        #: What the flush returned or raised, once it has ended.
        self.outcome: Sequence[R] | BaseException | None = None
        #: The same, for the tasks that await it; set by `report`.
        self.outcomes: _Shared[R] = _Shared(loop=loop)
        #: Each with the index of its item.
        self.listeners: list[tuple[int, Done[R]]] = []
        self.deadline = deadline
        self.loop = loop

    def report(self) -> None:
        """Give `outcome` to all tasks and listeners that wait for it."""
        outcome = self.outcome
        if isinstance(outcome, BaseException):
            self.outcomes.set_exception(outcome)
            self.outcomes.exception()  # marked as handled: possibly no task awaits it any more
            self._call(lambda _: outcome)
        elif outcome is not None:
            self.outcomes.set_result(outcome)
            self._call(outcome.__getitem__)

    def _call(self, outcome_at: Callable[[int], R | BaseException]) -> None:
        for index, done in self.listeners:
            try:
                done(outcome_at(index))
            except Exception as error:  # noqa: BLE001 (the other listeners must be called all the same)
                self.loop.call_exception_handler(
                    {"message": "reporting the outcome of an item failed", "exception": error}
                )


class Batcher(Generic[T, R]):
    """
    Collects items into batches and flushes one batch after another.

    There is no linger timer: an item that finds the batcher idle is flushed at once, and under
    load the batches grow by themselves. Every batch ends within `budget_seconds` of its first
    item, whatever the flush does: a flush that is still running then is cancelled and abandoned.

    A flush that cannot end in time would delay all batches behind it as well. So no more batches
    wait than are expected to be flushed in half of the budget, and a batch that has less time left
    than a flush is expected to take is not flushed at all.
    """

    def __init__(  # noqa: PLR0913 (each bound by its name)
        self,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        max_batch_items: int,
        max_pending_items: int,
        budget_seconds: float,
        max_batch_weight: int = _UNBOUNDED,
        max_pending_weight: int = _UNBOUNDED,
    ) -> None:
        """
        Args:
            flush: makes all items durable and gives one outcome for each, in order. An exception
                that it raises is the outcome of all items of the batch.
            max_batch_items: the maximum number of items of one flush.
            max_pending_items: the maximum number of items that wait or are being flushed.
            budget_seconds: the time after which `TooLate` is raised.
            max_batch_weight: a batch of this weight takes no more items.
            max_pending_weight: the maximum weight of all items that wait or are being flushed.
        """
        self._flush = flush
        self._max_batch_items = max_batch_items
        self._max_pending_items = max_pending_items
        self._max_batch_weight = max_batch_weight
        self._max_pending_weight = max_pending_weight
        self._budget_seconds = budget_seconds
        self._waiting: deque[_Batch[T, R]] = deque()
        self._pending_items = 0
        self._pending_weight = 0
        #: A moving average of the last flushes; at most half of the budget.
        self._flush_seconds = 0.0
        self._closing = False
        self._runner: asyncio.Task[None] | None = None
        self._abandoned: set[asyncio.Task[None]] = set()

    @property
    def pending_items(self) -> int:
        """How many items wait or are being flushed."""
        return self._pending_items

    def has_room(self, *, items: int = 1, weight: int = 0) -> bool:
        """Whether *items* more, of *weight* together, would be accepted at the moment."""
        return (
            not self._closing
            and self._pending_items + items <= self._max_pending_items
            and self._pending_weight + weight <= self._max_pending_weight
            and self._is_in_time(items)
        )

    def put(self, item: T, done: Done[R], *, weight: int = 0) -> None:
        """
        Accept *item*, and call *done* with its outcome or with the error that `submit` would raise.

        Unlike `submit`, this needs neither a task nor a future for each item.

        Raises:
            Full: as `submit`.
        """
        batch = self._batch_with_room(weight)
        batch.listeners.append((len(batch.items), done))
        batch.items.append(item)

    async def submit(self, item: T, *, weight: int = 0) -> R:
        """
        Return the outcome of *item* once the flush that contains it has finished.

        Cancelling the caller does not withdraw the item.

        Raises:
            Full: no more items may wait, or the batcher is closing.
            TooLate: the flush did not finish within the budget. It may still succeed.
        """
        batch = self._batch_with_room(weight)
        index = len(batch.items)
        batch.items.append(item)
        return (await batch.outcomes)[index]

    async def close(self) -> None:
        """Accept no more items, and return once all accepted items have ended."""
        self._closing = True
        while self._runner is not None:
            await asyncio.wait({self._runner})
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=self._budget_seconds)

    def _batch_with_room(self, weight: int) -> _Batch[T, R]:
        if not self.has_room(weight=weight):
            raise Full
        batch = self._waiting[-1] if self._waiting else None
        if batch is None or not self._room_in(batch):
            batch = self._new_batch()
        self._pending_items += 1
        self._pending_weight += weight
        batch.weight += weight
        return batch

    def _is_in_time(self, items: int) -> bool:
        """Whether, with *items* more, all waiting batches are expected to begin early enough."""
        beyond = items - (self._room_in(self._waiting[-1]) if self._waiting else 0)
        if beyond <= 0:
            return True
        batches = len(self._waiting) + -(-beyond // self._max_batch_items)
        return batches * self._flush_seconds <= _WAITING_SHARE * self._budget_seconds

    def _room_in(self, batch: _Batch[T, R]) -> int:
        """How many more items *batch* takes."""
        if batch.weight >= self._max_batch_weight:
            return 0
        return self._max_batch_items - len(batch.items)

    def _new_batch(self) -> _Batch[T, R]:
        loop = asyncio.get_running_loop()
        batch: _Batch[T, R] = _Batch(loop, loop.time() + self._budget_seconds)
        self._waiting.append(batch)
        if self._runner is None:
            self._runner = loop.create_task(self._run())
        return batch

    async def _run(self) -> None:
        """
        Flush one batch after another, until none waits or this task is abandoned with its flush.

        A flush is awaited here and not in a task of its own: each step from task to task takes
        another tick of the event loop, during which the database would be idle.
        """
        try:
            while self._is_running() and self._waiting:
                batch = self._waiting.popleft()
                if batch.deadline > asyncio.get_running_loop().time() + self._flush_seconds:
                    await self._flushed(batch)
                else:
                    self._end(batch)
        finally:
            if self._is_running():
                self._runner = None
                # Batches are left only when this task was cancelled, as at the end of a loop.
                while self._waiting:
                    self._end(self._waiting.popleft())

    def _is_running(self) -> bool:
        """Whether the current task has not been abandoned."""
        return self._runner is asyncio.current_task()

    async def _flushed(self, batch: _Batch[T, R]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        timer = loop.call_at(batch.deadline, self._abandon, batch, began)
        try:
            batch.outcome = _complete(await self._flush(batch.items), len(batch.items))
        except Exception as error:  # noqa: BLE001 (it is the outcome of the batch)
            batch.outcome = error
        except BaseException as error:
            # A flush that has cancelled itself fails its own batch only.
            if not isinstance(error, asyncio.CancelledError) or is_cancelled():
                if self._is_running():
                    self._end(batch)
                raise
        finally:
            timer.cancel()
        if self._is_running():
            self._learn(loop.time() - began)
            # Callers are answered after the next flush has begun: the database works meanwhile.
            loop.call_soon(self._end, batch)

    def _learn(self, seconds: float) -> None:
        """Update the time that a flush is expected to take."""
        took = min(seconds, _FLUSH_SHARE * self._budget_seconds)
        self._flush_seconds += (took - self._flush_seconds) * _SMOOTHING

    def _end(self, batch: _Batch[T, R]) -> None:
        """Report the outcome of *batch*; without one, it is `TooLate`."""
        if batch.outcome is None:
            batch.outcome = TooLate()
        self._pending_items -= len(batch.items)
        self._pending_weight -= batch.weight
        batch.report()

    def _abandon(self, batch: _Batch[T, R], began: float) -> None:
        """End *batch*, whose flush still runs; another task goes on with the next batch."""
        abandoned = self._runner
        assert abandoned is not None  # noqa: S101 (that task has set the timer that calls this)
        abandoned.cancel()
        self._abandoned.add(abandoned)
        abandoned.add_done_callback(self._end_abandoned)
        loop = asyncio.get_running_loop()
        self._runner = loop.create_task(self._run()) if self._waiting else None
        self._learn(loop.time() - began)
        batch.outcome = None
        self._end(batch)

    def _end_abandoned(self, abandoned: asyncio.Task[None]) -> None:
        self._abandoned.discard(abandoned)
        if not abandoned.cancelled():
            abandoned.exception()  # the outcome was `TooLate` already


def _complete(outcomes: Sequence[R], items: int) -> Sequence[R]:
    if len(outcomes) != items:
        raise ValueError(f"a flush gave {len(outcomes)} outcomes for {items} items")
    return outcomes
