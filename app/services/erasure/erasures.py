"""Erasing one recipient: all that is stored is pseudonymised, and so is what still comes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from app.db.database import Database
from app.db.erasure.erasures import (
    AskedErasure,
    ask_for_erasure,
    begin_erasure,
    end_erasure,
    find_erasure,
    is_sampled,
    next_erasure,
    note_lift,
    note_progress,
    note_sampled,
    sample_anew,
    tables_with_rows,
)
from app.db.erasure.recipients import add_erased, find_erased, lacking_keys, remove_erased
from app.db.retention.runs import exclusive, long_work
from app.domain.erasure import ErasureKeys, NotANumber, valid_digits
from app.errors import (
    DatabaseUnavailable,
    ErasureInProgress,
    ErasureNotConfigured,
    Fault,
    InvalidRequest,
    NotFound,
)
from app.services.erasure.erased_recipients import KNOWN_WITHIN_SECONDS
from app.services.erasure.scan import ErasureScan, ErasureTarget

#: Any number, as long as no other program in the same database uses it.
_ERASURE_LOCK: Final = 7_021_010
#: How often the progress is stored, and looked for.
_PROGRESS_SECONDS: Final = 1.0

Say = Callable[[str], object]


class Erasure(NamedTuple):
    """What became of an erasure."""

    erased_at: datetime | None
    #: Whether the recipient had been erased before.
    is_repeated: bool
    #: How many rows of each table had something of the recipient.
    rows: dict[str, int]


class Eraser:
    """
    Erases recipients in the database of *url*; *keys* make the hashes that recognise them.

    Erasures that were asked for are rows. Any process performs them, one at a time, and any process
    goes on with one that was interrupted.
    """

    def __init__(self, url: str, keys: ErasureKeys, *, say: Say = lambda _: None) -> None:
        self._url = url
        self._keys = keys
        self._say = say

    async def ask(self, database: Database, number: str, *, asked_by: str) -> AskedErasure:
        """
        Store that *number* is to be erased. From now on what comes of it is pseudonymised.

        Raises:
            ErasureNotConfigured: there is no key.
            InvalidRequest: it is not a number.
            DatabaseUnavailable: it may have been stored or not; asking again is harmless.
        """
        digits = self._digits(number)
        was_erased, target = await self._target(database, digits)
        erasure = await ask_for_erasure(database, digits, asked_by=asked_by, was_erased=was_erased)
        await add_erased(database, target.number_hash)
        return await _found(database, erasure)

    def recipient_keys(self, numbers: Sequence[str]) -> list[str]:
        """
        What the feed will call each of *numbers* when it is erased.

        Raises:
            ErasureNotConfigured: there is no key.
            InvalidRequest: one is not a number.
        """
        keys: list[str] = []
        faults: list[Fault] = []
        for position, number in enumerate(numbers):
            try:
                keys.append(self._keys.hashes_of(self._digits(number))[0].recipient_key)
            except InvalidRequest as refusal:
                faults += [Fault(f"numbers[{position}]", each.message) for each in refusal.faults]
        if faults:
            raise InvalidRequest(faults=tuple(faults))
        return keys

    async def perform_asked(self, database: Database) -> None:
        """
        Perform all erasures that were asked for, unless another process is at it.

        *database* is only asked whether there are any.

        Raises:
            DatabaseUnavailable: one was interrupted; the next call goes on with it.
        """
        if not self._keys or await next_erasure(database) is None:
            return
        with suppress(ErasureInProgress):
            async with self._alone() as alone:
                while (asked := await next_erasure(alone)) is not None:
                    await self._perform(alone, asked)

    async def erase(self, number: str, *, asked_by: str, dry_run: bool = False) -> Erasure:
        """
        Pseudonymise everything that is stored of *number*, and everything that will come.

        All tables are scanned. Repeating it is harmless, and finds what is left. If another process
        is erasing, its progress is shown until this erasure is done too.

        Raises:
            ErasureNotConfigured: there is no key.
            InvalidRequest: it is not a number.
            ErasureInProgress: another erasure is running, so that a dry run would miscount.
            DatabaseUnavailable: it was interrupted. A process that serves goes on with it, and so
                does the next call.
        """
        if dry_run:
            return await self._counted(self._digits(number))
        async with long_work(self._url, name="erasure") as database:
            asked = await self.ask(database, number, asked_by=asked_by)
            shown = None
            while asked.ended_at is None:
                await self.perform_asked(database)
                asked = await _found(database, asked.id)
                if asked.ended_at is None:
                    if asked.progress and asked.progress != shown:
                        self._say(shown := asked.progress)
                    await asyncio.sleep(_PROGRESS_SECONDS)
        return Erasure(asked.ended_at, asked.was_erased, asked.counts)

    async def lift(self, number: str, *, asked_by: str) -> bool:
        """
        Stop pseudonymising *number* from now on; False if it was not erased.

        Raises:
            ErasureNotConfigured: there is no key.
            InvalidRequest: it is not a number.
            ErasureInProgress: an erasure is running, or waits.
        """
        digits = self._digits(number)
        hashes = [each.hash for each in self._keys.hashes_of(digits)]
        async with self._alone() as database:
            if await next_erasure(database) is not None:
                raise ErasureInProgress
            if await find_erased(database, hashes) is None:
                return False
            lifted = await remove_erased(database, hashes)
            await note_lift(database, asked_by=asked_by, lifted=lifted)
        return True

    async def _counted(self, digits: str) -> Erasure:
        async with self._alone() as database:
            is_repeated, target = await self._target(database, digits)
            scan = ErasureScan(database, target, dry_run=True, say=self._say)
            await scan.run()
        return Erasure(None, is_repeated, dict(scan.found))

    async def _perform(self, database: Database, asked: AskedErasure) -> None:
        if asked.digits is None:  # it has ended
            return
        await begin_erasure(database, asked.id)
        _, target = await self._target(database, asked.digits)
        progress = _Progress(self._say)
        scan = ErasureScan(database, target, dry_run=False, say=progress.say)
        # What an interrupted run has changed is not found again.
        scan.found.update(asked.counts)
        async with progress.stored(database, asked.id, scan.found):
            await self._wait_until_all_know(
                await add_erased(database, target.number_hash), progress.say
            )
            await scan.run()
            progress.say("taking new samples")
            is_resumed = asked.began_at is not None
            await _sample_anew(database, asked.id, None if is_resumed else scan.changed)
        keys = [each.recipient_key for each in self._keys.hashes_of(asked.digits)]
        await end_erasure(database, asked.id, scan.found, recipient_keys=keys)

    def _digits(self, number: str) -> str:
        if not self._keys:
            raise ErasureNotConfigured(
                "Set RECEIVER_ERASURE_KEYS, or RECEIVER_SIGNING_KEYS, for all processes. Make a "
                'key with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        try:
            return valid_digits(number)
        except NotANumber:
            fault = Fault("number", "must be a telephone number of 6 to 15 digits")
            raise InvalidRequest(faults=(fault,)) from None

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Database]:
        """
        The database, for one process at a time.

        Raises:
            ErasureInProgress: another process is erasing.
        """
        async with (
            long_work(self._url, name="erasure") as database,
            exclusive(database, _ERASURE_LOCK) as is_ours,
        ):
            if not is_ours:
                raise ErasureInProgress
            await self._warn_of_missing_keys(database)
            yield database

    async def _warn_of_missing_keys(self, database: Database) -> None:
        if missing := await lacking_keys(database, self._keys.ids):
            self._say(
                f"Recipients were erased with {len(missing)} key(s) that are missing from the "
                "settings. They are not recognised: put the keys back after the current one."
            )

    async def _target(self, database: Database, digits: str) -> tuple[bool, ErasureTarget]:
        """Whether the number is erased already, and what to search for."""
        hashes = self._keys.hashes_of(digits)
        known = await find_erased(database, [each.hash for each in hashes])
        number_hash = next((each for each in hashes if each.hash == known), hashes[0])
        pseudonyms = frozenset(each.pseudonym for each in hashes)
        return known is not None, ErasureTarget(digits, number_hash, pseudonyms)

    async def _wait_until_all_know(self, since: timedelta, say: Say) -> None:
        left = KNOWN_WITHIN_SECONDS - since.total_seconds()
        if left > 0:
            say("waiting until every process knows")
            await asyncio.sleep(left)


class _Progress:
    """The latest sentence about an erasure, which is stored every second."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._latest = ""

    def say(self, sentence: str) -> None:
        """Show *sentence* now, and store it soon."""
        self._latest = sentence
        self._say(sentence)

    @asynccontextmanager
    async def stored(
        self, database: Database, erasure: UUID, found: Counter[str]
    ) -> AsyncIterator[None]:
        """Store the latest sentence, and what was *found*, while the block runs and at its end."""

        async def _store() -> None:
            with suppress(DatabaseUnavailable):  # the work itself will meet the same trouble
                await note_progress(database, erasure, self._latest, found)

        async def _keep_storing() -> None:
            while True:
                await asyncio.sleep(_PROGRESS_SECONDS)
                await _store()

        storing = asyncio.create_task(_keep_storing())
        try:
            yield
        finally:
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)
            await _store()


async def _found(database: Database, erasure: UUID) -> AskedErasure:
    found = await find_erasure(database, erasure)
    if found is None:
        raise NotFound(f"There is no erasure {str(erasure)!r}.")
    return found


async def _sample_anew(database: Database, erasure: UUID, changed: Collection[str] | None) -> None:
    """
    Have PostgreSQL sample *changed* again, so that no statistics keep what was erased.

    An erasure that was interrupted, this one (None) or an earlier one, may have changed any table:
    then all are sampled.
    """
    if changed is None or not await is_sampled(database, erasure):
        changed = await tables_with_rows(database)
    await sample_anew(database, changed)
    await note_sampled(database)
