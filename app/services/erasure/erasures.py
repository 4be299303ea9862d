"""Erasing one recipient: all that is stored is pseudonymised, and so is what still comes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
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
from app.domain.erasure import ErasureKeys, NotANumber, valid_digits
from app.errors import ErasureInProgress, ErasureNotConfigured, Fault, InvalidRequest
from app.services.erasure.erased_recipients import KNOWN_WITHIN_SECONDS
from app.services.erasure.scan import ErasureScan, ErasureTarget

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


class Eraser:
    """Erases recipients in the database of *url*; *keys* make the hashes that recognise them."""

    def __init__(self, url: str, keys: ErasureKeys, *, say: Say = lambda _: None) -> None:
        self._url = url
        self._keys = keys
        self._say = say

    async def erase(self, number: str, *, asked_by: str, dry_run: bool = False) -> Erasure:
        """
        Pseudonymise everything that is stored of *number*, and everything that will come.

        All tables are scanned. Repeating it is harmless, and finds what is left.

        Raises:
            ErasureNotConfigured: there is no key.
            InvalidRequest: it is not a number.
            ErasureInProgress: another erasure is running.
            DatabaseUnavailable: it was interrupted, and has to be repeated.
        """
        digits = self._digits(number)
        async with self._database() as database:
            is_repeated, target = await self._target(database, digits)
            scan = ErasureScan(database, target, dry_run=dry_run, say=self._say)
            if dry_run:
                await scan.run()
                return Erasure(None, is_repeated, dict(scan.found))
            erasure, _ = await begin_erasure(database, kind="erase", asked_by=asked_by)
            await self._wait_until_all_know(await add_erased(database, target.number_hash))
            await scan.run()
            ended_at = await end_erasure(database, erasure, scan.found)
            await _sample_anew(database, erasure, scan.changed)
        return Erasure(ended_at, is_repeated, dict(scan.found))

    async def lift(self, number: str, *, asked_by: str) -> bool:
        """
        Stop pseudonymising *number* from now on; False if it was not erased.

        Raises:
            ErasureNotConfigured: there is no key.
            InvalidRequest: it is not a number.
            ErasureInProgress: an erasure is running.
        """
        digits = self._digits(number)
        hashes = [each.hash for each in self._keys.hashes_of(digits)]
        async with self._database() as database:
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
            return valid_digits(number)
        except NotANumber:
            fault = Fault("number", "must be a telephone number of 6 to 15 digits")
            raise InvalidRequest(faults=(fault,)) from None

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        """The database, for one erasure or lift at a time."""
        async with (
            long_work(self._url, name="erasure") as database,
            exclusive(database, _ERASURE_LOCK) as is_ours,
        ):
            if not is_ours:
                raise ErasureInProgress(retry_after_seconds=10)
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

    async def _wait_until_all_know(self, since: timedelta) -> None:
        left = KNOWN_WITHIN_SECONDS - since.total_seconds()
        if left > 0:
            self._say("waiting until every process knows")
            await asyncio.sleep(left)


async def _sample_anew(database: Database, erasure: UUID, changed: Collection[str]) -> None:
    """
    Have PostgreSQL sample *changed* again, so that no statistics keep what was erased.

    An earlier erasure that was interrupted may have changed any table: then all are sampled.
    """
    if not await is_sampled(database, erasure):
        changed = await tables_with_rows(database)
    await sample_anew(database, changed)
    await note_sampled(database)
