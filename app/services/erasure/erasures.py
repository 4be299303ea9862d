"""Erasing one recipient: what is known goes, what still comes is made unknown before it is kept."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from app.db.database import Database
from app.db.erasure.erasures import (
    begin_erasure,
    end_erasure,
    is_sampled,
    note_sampled,
    sample_anew,
    tables_with_rows,
)
from app.db.erasure.recipients import add_erased, find_erased, lacking_keys, remove_erased
from app.db.retention.runs import exclusive, long_work
from app.domain.erasure import ErasureKeys, NotANumber, wanted_digits
from app.errors import ErasureInProgress, ErasureNotConfigured, Fault, InvalidRequest
from app.services.erasure.erased_recipients import LEARNT_WITHIN_SECONDS
from app.services.erasure.scan import Sweep, Wanted

#: Any number, as long as no other program in the same database uses it.
_ERASURE_LOCK: Final = 7_021_010

Say = Callable[[str], object]


class Erasure(NamedTuple):
    """What became of an erasure."""

    erased_at: datetime | None
    #: Whether the recipient had been erased before.
    is_repeated: bool
    #: How many rows of each table had something of the recipient.
    rows: dict[str, int]


class Erasing:
    """Erases recipients of the database of *url*, known by hashes under *keys*."""

    def __init__(self, url: str, keys: ErasureKeys, *, say: Say = lambda _: None) -> None:
        self._url = url
        self._keys = keys
        self._say = say

    async def erase(self, number: str, *, asked_by: str, dry_run: bool = False) -> Erasure:
        """
        Make everything that is stored of *number* unknown, and whatever will come.

        It goes through all that is stored. Repeating it is harmless, and finds what is left.

        Raises:
            ErasureNotConfigured: there is no key.
            InvalidRequest: it is no number.
            ErasureInProgress: another one is under way.
            DatabaseUnavailable: it was broken off, and is to be repeated.
        """
        digits = self._digits(number)
        async with (
            long_work(self._url, name="erasure") as database,
            exclusive(database, _ERASURE_LOCK) as is_ours,
        ):
            if not is_ours:
                raise ErasureInProgress(retry_after_seconds=10)
            await self._warn_of_lacking_keys(database)
            known, wanted = await self._wanted(database, digits)
            sweep = Sweep(database, wanted, dry_run=dry_run, say=self._say)
            if dry_run:
                await sweep.run()
                return Erasure(None, known, dict(sweep.found))
            erasure, _ = await begin_erasure(database, kind="erase", asked_by=asked_by)
            await self._wait_until_all_know(await add_erased(database, wanted.mark))
            await sweep.run()
            ended_at = await end_erasure(database, erasure, sweep.found)
            await _sample_anew(database, erasure, sweep.changed)
        return Erasure(ended_at, known, dict(sweep.found))

    async def lift(self, number: str, *, asked_by: str) -> bool:
        """
        Let *number* be known again from now on; False when it was not erased.

        Raises:
            ErasureNotConfigured: there is no key.
            InvalidRequest: it is no number.
            ErasureInProgress: one is under way.
        """
        digits = self._digits(number)
        hashes = [mark.hash for mark in self._keys.marks_of(digits)]
        async with (
            long_work(self._url, name="erasure") as database,
            exclusive(database, _ERASURE_LOCK) as is_ours,
        ):
            if not is_ours:
                raise ErasureInProgress(retry_after_seconds=10)
            await self._warn_of_lacking_keys(database)
            if await find_erased(database, hashes) is None:
                return False
            erasure, _ = await begin_erasure(database, kind="lift", asked_by=asked_by)
            lifted = await remove_erased(database, hashes)
            await end_erasure(database, erasure, {"erased_recipients": lifted})
        return True

    def _digits(self, number: str) -> str:
        if not self._keys:
            raise ErasureNotConfigured(
                "Set RECEIVER_ERASURE_KEYS, or RECEIVER_SIGNING_KEYS, for all processes. Make a "
                'key with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        try:
            return wanted_digits(number)
        except NotANumber:
            fault = Fault("number", "must be a telephone number of 6 to 15 digits")
            raise InvalidRequest(faults=(fault,)) from None

    async def _warn_of_lacking_keys(self, database: Database) -> None:
        if lacking := await lacking_keys(database, self._keys.ids):
            self._say(
                f"Recipients were erased with {len(lacking)} key(s) that are missing from the "
                "settings. They are not recognised: put the keys back after the current one."
            )

    async def _wanted(self, database: Database, digits: str) -> tuple[bool, Wanted]:
        """Whether it is erased already, and by which mark it is, or is going to be, known."""
        marks = self._keys.marks_of(digits)
        known = await find_erased(database, [mark.hash for mark in marks])
        mark = next((mark for mark in marks if mark.hash == known), marks[0])
        pseudonyms = frozenset(one.pseudonym for one in marks)
        return known is not None, Wanted(digits, mark, pseudonyms)

    async def _wait_until_all_know(self, since: timedelta) -> None:
        left = LEARNT_WITHIN_SECONDS - since.total_seconds()
        if left > 0:
            self._say("waiting until every process knows")
            await asyncio.sleep(left)


async def _sample_anew(database: Database, erasure: UUID, changed: Collection[str]) -> None:
    """Let no sample keep what is gone; one that was broken off does not tell what it changed."""
    if not await is_sampled(database, erasure):
        changed = await tables_with_rows(database)
    await sample_anew(database, changed)
    await note_sampled(database)
