"""How many events a second are stored: in a full database, and in a small one, in turn."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Final, NamedTuple

from app.db.ingest import append_events
from app.domain.event import DeliveryEvent
from tests.bench.scale_sides import Side
from tests.bench.scale_story import EVENTS_PER_MESSAGE, Teller, right_now

_BATCH_ITEMS: Final = 64
_CAMPAIGNS: Final = 8
#: So many messages are under way at once: that far apart are the events of one.
_MESSAGES_APART: Final = 256
#: So short a turn that both meet the same checkpoints, and so long that each finds its own caches.
_BATCHES_IN_TURN: Final = 40

Batch = Sequence[DeliveryEvent]


class Rates(NamedTuple):
    """Events a second."""

    big: float
    small: float

    @property
    def ratio(self) -> float:
        """What is left of the rate with much in the database."""
        return self.big / self.small


async def warm_up(big: Side, small: Side, *, seconds: float) -> None:
    """
    Store events for so long that most pages have been written since the last checkpoint.

    The first time a page is logged whole. A checkpoint comes every few minutes, here there was one
    just now; the more there is in the database, the more pages there are.
    """
    await rates(big, small, "warm-up", seconds=seconds)


async def rates(big: Side, small: Side, mark: str, *, seconds: float) -> Rates:
    """Store events of fresh campaigns for *seconds* each."""
    batches = (_batches(mark), _batches(mark))
    for side, own in zip((big, small), batches, strict=True):
        await _turn(side, own)
    spent, turns = [0.0, 0.0], 0
    while min(spent) < seconds:
        order = (0, 1) if turns % 2 else (1, 0)
        for which in order:
            spent[which] += await _turn((big, small)[which], batches[which])
        turns += 1
    events = turns * _BATCHES_IN_TURN * _BATCH_ITEMS
    return Rates(events / spent[0], events / spent[1])


async def _turn(side: Side, batches: Iterator[Batch]) -> float:
    """For how long the next batches are being stored."""
    mine = [next(batches) for _ in range(_BATCHES_IN_TURN)]
    started = time.perf_counter()
    async with side.ingest.connected() as connection:
        for batch in mine:
            appended = await append_events(connection, batch)
            assert appended.fresh == len(batch)
    return time.perf_counter() - started


def _batches(mark: str) -> Iterator[Batch]:
    events = chain.from_iterable(_events(f"{mark} {number}") for number in count())
    while True:
        yield [next(events) for _ in range(_BATCH_ITEMS)]


def _events(mark: str) -> Iterator[DeliveryEvent]:
    """One campaign after the other, messages interleaved."""
    plan = right_now(mark, _CAMPAIGNS * _MESSAGES_APART * EVENTS_PER_MESSAGE, _CAMPAIGNS)
    teller = Teller(plan)
    for first in range(0, plan.messages, _MESSAGES_APART):
        numbers = range(first, first + _MESSAGES_APART)
        stories = [teller.story(number) for number in numbers]
        for step in zip(*stories, strict=True):
            yield from step
