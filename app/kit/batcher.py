"""Group commit: what arrives while one batch is being flushed becomes the next batch."""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: What is called with the outcome of one item, or with the error that it met instead.
Done = Callable[[R | BaseException], object]

_UNBOUNDED: Final = sys.maxsize

#: How much of the budget may be spent on waiting, and how much on one flush.
_HALF: Final = 0.5
#: What the newest flush weighs in the time that one is expected to take.
_NEWEST: Final = 0.2


class BatcherError(Exception):
    """The batcher could not take an item, or not finish it in time."""


class Full(BatcherError):
    """As much is waiting as is allowed or can be flushed in time, or the batcher is closing."""


class TooLate(BatcherError):
    """The items were not flushed within the budget."""


class _Shared(asyncio.Future[Sequence[R]]):
    """
    One future that everybody in a batch awaits, instead of one future each.

    A task that is cancelled would cancel what it awaits, and so fail its neighbours. This future
    declines, so the cancellation reaches that task once the batch has ended.
    """

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 (the signature is asyncio's)
        return False


class _Batch(Generic[T, R]):
    """Items that are flushed together."""

    __slots__ = ("deadline", "items", "loop", "outcome", "outcomes", "told", "weight")

    def __init__(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self.items: list[T] = []
        self.weight = 0
        #: What the flush gave or raised, once it has ended.
        self.outcome: Sequence[R] | BaseException | None = None
        #: The same for those who wait for it, once they are told.
        self.outcomes: _Shared[R] = _Shared(loop=loop)
        #: Who is called, with the place of its item.
        self.told: list[tuple[int, Done[R]]] = []
        self.deadline = deadline
        self.loop = loop

    def tell(self) -> None:
        """Tell everybody what `outcome` says."""
        outcome = self.outcome
        if isinstance(outcome, BaseException):
            self.outcomes.set_exception(outcome)
            self.outcomes.exception()  # nobody may be waiting any more: that is no mistake
            self._call(lambda _: outcome)
        elif outcome is not None:
            self.outcomes.set_result(outcome)
            self._call(outcome.__getitem__)

    def _call(self, outcome_at: Callable[[int], R | BaseException]) -> None:
        for place, done in self.told:
            try:
                done(outcome_at(place))
            except Exception as error:  # noqa: BLE001 (it must not cost the others their answer)
                self.loop.call_exception_handler(
                    {"message": "an item's outcome could not be told", "exception": error}
                )


class Batcher(Generic[T, R]):
    """
    Collects items into batches and flushes one batch after another.

    There is no linger timer: an item that finds the batcher idle is flushed at once, and under
    load the batches grow by themselves. Every batch ends within `budget_seconds` of its first
    item, whatever the flush does: a flush that is still busy then is cancelled and left behind.

    To have begun what cannot be ended in time would cost those behind it their time as well. So no
    more batches wait than are expected to be flushed in half of the budget, and one that has less
    time left than a flush is expected to take is not begun.
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
            flush: makes all items durable and gives one outcome for each, in order. What it
                raises, everybody in the batch gets.
            max_batch_items: how many items one flush gets at most.
            max_pending_items: how many may be waiting or being flushed before `Full`.
            budget_seconds: after which time `TooLate` is raised.
            max_batch_weight: a batch that weighs as much takes no more items.
            max_pending_weight: how much may be waiting or being flushed before `Full`.
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
        #: As the last ones took it; at most half of the budget.
        self._flush_seconds = 0.0
        self._closing = False
        self._runner: asyncio.Task[None] | None = None
        self._abandoned: set[asyncio.Task[None]] = set()

    @property
    def pending_items(self) -> int:
        """How many items are waiting or being flushed."""
        return self._pending_items

    def has_room(self, *, items: int = 1, weight: int = 0) -> bool:
        """Whether so many more items, of so much weight together, would be taken at the moment."""
        return (
            not self._closing
            and self._pending_items + items <= self._max_pending_items
            and self._pending_weight + weight <= self._max_pending_weight
            and self._is_in_time(items)
        )

    def put(self, item: T, done: Done[R], *, weight: int = 0) -> None:
        """
        Take *item*, and call *done* with its outcome, or with the error that `submit` would raise.

        This costs a request neither a task nor a future of its own.

        Raises:
            Full: as `submit`.
        """
        batch = self._batch_with_room(weight)
        batch.told.append((len(batch.items), done))
        batch.items.append(item)

    async def submit(self, item: T, *, weight: int = 0) -> R:
        """
        Return the outcome of *item* once the flush that contains it has finished.

        Cancelling the caller does not take the item back.

        Raises:
            Full: as much as is allowed is waiting already, or the batcher is closing.
            TooLate: the flush did not finish within the budget. It may still come to its end.
        """
        batch = self._batch_with_room(weight)
        index = len(batch.items)
        batch.items.append(item)
        return (await batch.outcomes)[index]

    async def close(self) -> None:
        """Take no more items, and return once all that were taken have ended."""
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
        """Whether all batches that would wait then are expected to be begun early enough."""
        beyond = items - (self._room_in(self._waiting[-1]) if self._waiting else 0)
        if beyond <= 0:
            return True
        batches = len(self._waiting) + -(-beyond // self._max_batch_items)
        return batches * self._flush_seconds <= _HALF * self._budget_seconds

    def _room_in(self, batch: _Batch[T, R]) -> int:
        """How many more items it takes."""
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
        Flush one batch after another, until none waits or this task is left behind with a flush.

        A flush is awaited here, and not in a task of its own, as every step from task to task takes
        another turn of the event loop, in which the database has nothing to do.
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
                # Only when this task was cancelled, as at the end of a loop, is anything left.
                while self._waiting:
                    self._end(self._waiting.popleft())

    def _is_running(self) -> bool:
        """Whether the task that asks has not been left behind."""
        return self._runner is asyncio.current_task()

    async def _flushed(self, batch: _Batch[T, R]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        timer = loop.call_at(batch.deadline, self._leave_behind, batch, began)
        try:
            batch.outcome = await self._flush(batch.items)
        except Exception as error:  # noqa: BLE001 (everybody in the batch gets it)
            batch.outcome = error
        except BaseException as error:
            # A flush that has cancelled itself is too late for its batch, and for nobody else.
            if not isinstance(error, asyncio.CancelledError) or _is_cancelled():
                if self._is_running():
                    self._end(batch)
                raise
        finally:
            timer.cancel()
        if self._is_running():
            self._note(loop.time() - began)
            # Behind the beginning of the next flush: while that is under way there is time to tell
            # everybody, and the flush is what the next ones wait for.
            loop.call_soon(self._end, batch)

    def _note(self, seconds: float) -> None:
        """Learn from a flush how long the next one will take."""
        took = min(seconds, _HALF * self._budget_seconds)
        self._flush_seconds += (took - self._flush_seconds) * _NEWEST

    def _end(self, batch: _Batch[T, R]) -> None:
        """Whoever still waits for *batch* must not wait for ever."""
        if batch.outcome is None:
            batch.outcome = TooLate()
        batch.tell()
        self._pending_items -= len(batch.items)
        self._pending_weight -= batch.weight

    def _leave_behind(self, batch: _Batch[T, R], began: float) -> None:
        """End *batch*, which is still being flushed, and have another task go on with the next."""
        abandoned = self._runner
        assert abandoned is not None  # noqa: S101 (it has set the timer that calls this)
        abandoned.cancel()
        self._abandoned.add(abandoned)
        abandoned.add_done_callback(self._end_abandoned)
        loop = asyncio.get_running_loop()
        self._runner = loop.create_task(self._run()) if self._waiting else None
        self._note(loop.time() - began)
        batch.outcome = None
        self._end(batch)

    def _end_abandoned(self, abandoned: asyncio.Task[None]) -> None:
        self._abandoned.discard(abandoned)
        if not abandoned.cancelled():
            abandoned.exception()  # everybody has got `TooLate`: nobody is left to be told


def _is_cancelled() -> bool:
    """Whether it is the task that is to end, and not what it awaits that has ended so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
