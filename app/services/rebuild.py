"""Comparing the projections with the events, and rebuilding those that differ."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from app.db.database import Database
from app.db.rebuild import messages, sums
from app.db.rebuild.position import find_position, forget_position, reach
from app.db.rebuild.sums import ComparedSums, Sums
from app.db.retention.runs import exclusive, gently, long_work, patiently
from app.domain.rebuild import Difference, Projection
from app.errors import ErasureInProgress, RebuildInProgress

#: Any number, as long as no other program in the same database uses it.
_REBUILD_LOCK: Final = 7_021_011
#: How long to wait for an erasure, which changes texts of the roll-ups one by one.
_ERASURE_SECONDS: Final = 600


class Display(Protocol):
    """Shows the progress."""

    def expect(self, rows: int) -> None:
        """Set about how many messages there are to examine."""

    def add(self, rows: int) -> None:
        """Count messages that have just been examined."""

    def say(self, line: str) -> None:
        """Show a sentence."""


class Findings:
    """What differed, and of a rebuild what was repaired."""

    def __init__(self, most: int) -> None:
        self._most = most
        #: Messages that were compared, those before an interruption included.
        self.examined = 0
        #: Messages of which retention may have removed events: they stay as they are.
        self.left_alone = 0
        #: How many rows of each projection differed.
        self.differing: Counter[Projection] = Counter()
        #: How many rows were repaired.
        self.repaired = 0
        #: Some of the differences, with masked numbers.
        self.differences: list[Difference] = []

    @property
    def room(self) -> int:
        """How many more differences are to be kept."""
        return max(self._most - len(self.differences), 0)

    def note(self, projection: Projection, rows: int, found: Sequence[Difference]) -> None:
        """Add *rows* that differ, and as many of what was *found* as there is room for."""
        if rows:
            self.differing[projection] += rows
        self.differences += [difference.masked for difference in found[: self.room]]


class Rebuild:
    """
    Compares the projections in the database of *url*, and repairs them.

    The service may run and store meanwhile. At most *most* differences are kept to be shown.
    """

    def __init__(self, url: str, display: Display, *, most: int) -> None:
        self._url = url
        self._display = display
        self._findings = Findings(most)

    async def verify(self) -> Findings:
        """
        Compare only.

        Raises:
            ErasureInProgress: an erasure was under way for too long.
            DatabaseUnavailable: it was interrupted.
        """
        async with long_work(self._url, name="rebuild") as database:
            await self._run(database, repair=False)
        return self._findings

    async def rebuild(self, *, restart: bool = False) -> Findings:
        """
        Repair what differs, from where an interrupted rebuild ended unless it is to *restart*.

        Raises:
            RebuildInProgress: another process is at it.
            ErasureInProgress: an erasure was under way for too long.
            DatabaseUnavailable: it was interrupted. The next one goes on.
        """
        async with (
            long_work(self._url, name="rebuild") as database,
            exclusive(database, _REBUILD_LOCK) as is_ours,
        ):
            if not is_ours:
                raise RebuildInProgress
            if restart:
                await forget_position(database)
            await self._run(database, repair=True)
            await forget_position(database)
        return self._findings

    async def _run(self, database: Database, *, repair: bool) -> None:
        self._display.expect(await messages.expected_messages(database))
        await self._messages(database, repair=repair)
        self._display.say("Comparing the counts of campaigns.")
        await self._sums(database, sums.COUNTS, repair=repair)
        self._display.say("Comparing the roll-ups.")
        for one in sums.OF_MESSAGES:
            await self._sums(database, one, repair=repair)
        for since, until in await sums.ranges_of_hours(database):
            await self._sums(database, sums.of_hours(since, until), repair=repair)
            times = partial(sums.compare_times, database, since, until)
            await self._compared(Projection.CAMPAIGN_TIMES, times, repair=repair)

    async def _messages(self, database: Database, *, repair: bool) -> None:
        after = await self._beginning(database) if repair else ""
        while (upto := await _end_of_chunk(database, after)) is not None:
            await gently(partial(self._chunk, database, after, upto, repair=repair))
            if repair:
                await patiently(partial(reach, database, upto, examined=self._findings.examined))
            after = upto

    async def _beginning(self, database: Database) -> str:
        position = await find_position(database)
        if position is None:
            return ""
        self._findings.examined = position.examined
        self._display.add(position.examined)
        self._display.say(
            f"Going on after {position.examined:,} messages, where the rebuild that began at "
            f"{position.began_at:%Y-%m-%d %H:%M} was interrupted."
        )
        return position.message_tracking_id

    async def _chunk(self, database: Database, after: str, upto: str, *, repair: bool) -> None:
        found = await patiently(partial(messages.compare_chunk, database, after, upto))
        ids = _ids(found.differences)
        self._findings.note(Projection.MESSAGES, len(ids), found.differences)
        if repair:
            for some in _parts(ids):
                await self._repaired(partial(messages.insert_missing, database, some))
                await self._repaired(partial(messages.repair, database, some))
        counted = await self._unless_erasing(partial(sums.compare_counted, database, after, upto))
        self._findings.note(Projection.COUNTED_MESSAGES, counted.differing, counted.differences)
        if repair:
            for some in _parts(_ids(counted.differences)):
                await self._repaired(partial(sums.recount, database, some))
        self._findings.examined += found.examined
        self._findings.left_alone += found.left_alone
        self._display.add(found.examined)

    async def _sums(self, database: Database, one: Sums, *, repair: bool) -> None:
        compare = partial(sums.compare_sums, database, one)
        await self._compared(one.projection, compare, repair=repair)

    async def _compared(
        self,
        projection: Projection,
        compare: Callable[..., Awaitable[ComparedSums]],
        *,
        repair: bool,
    ) -> None:
        compare = partial(compare, most=self._findings.room)
        found = await self._unless_erasing(compare)
        if found.differing and repair:
            found = await self._unless_erasing(partial(compare, repair=True))
            self._findings.repaired += found.differing
        self._findings.note(projection, found.differing, found.differences)

    async def _repaired(self, repair: Callable[[], Awaitable[int]]) -> None:
        self._findings.repaired += await patiently(repair)

    async def _unless_erasing(self, compare: Callable[[], Awaitable[ComparedSums]]) -> ComparedSums:
        """Call *compare* again as long as it cannot compare, because an erasure is under way."""
        for second in range(_ERASURE_SECONDS):
            found = await patiently(compare)
            if not found.is_erasing:
                return found
            if second == 0:
                self._display.say("Waiting for the end of an erasure.")
            await asyncio.sleep(1)
        raise ErasureInProgress


async def _end_of_chunk(database: Database, after: str) -> str | None:
    return await patiently(partial(messages.end_of_chunk, database, after))


def _ids(differences: Sequence[Difference]) -> list[str]:
    """The messages of *differences*, each once, in their order."""
    return list(dict.fromkeys(str(each.key["message_tracking_id"]) for each in differences))


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    size = messages.REPAIR_MESSAGES
    for first in range(0, len(ids), size):
        yield ids[first : first + size]
