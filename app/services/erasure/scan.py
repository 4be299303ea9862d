"""The scan of everything that is stored for one number."""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from app.db.database import Database
from app.db.erasure import messages as stored
from app.db.erasure import other_tables
from app.db.erasure.messages import EventKey, Replacement, StoredEvent, opened_or_empty
from app.db.erasure.rollups import (
    CHUNK_ITEMS,
    ROLLUPS,
    Rollup,
    find_rollups,
    redact_rollups,
)
from app.db.retention.runs import patiently
from app.domain.erasure import NumberHash, pseudonymised_key, spelling_pattern
from app.domain.feed import BEGINNING
from app.services.erasure.redaction import is_in, is_in_body, redacted_json, without_number

T = TypeVar("T")

Say = Callable[[str], object]

#: Launching a campaign at Routee takes no longer than this.
_LAUNCH_SECONDS: Final = 60
_PROGRESS_ITEMS: Final = 100_000
_TABLES: Final = (
    "messages",
    "events",
    "inbound_messages",
    "quarantine",
    "campaigns",
    "campaign_progress",
    "idempotency_keys",
    "notices",
)


class ErasureTarget(NamedTuple):
    """The number to search for."""

    digits: str
    number_hash: NumberHash
    #: All that may have replaced the number in an earlier erasure, that of `number_hash` included.
    pseudonyms: frozenset[str]


class ErasureScan:
    """Finds a number in all tables and, unless *dry_run*, pseudonymises it."""

    def __init__(
        self, database: Database, target: ErasureTarget, *, dry_run: bool, say: Say
    ) -> None:
        self._database = database
        self._number_hash = target.number_hash
        self._pseudonyms = target.pseudonyms
        self._wanted = Replacement(
            spelling_pattern(target.digits),
            target.number_hash.pseudonym,
            sorted(target.pseudonyms),
            target.number_hash.digest_key,
        )
        self._pattern = re.compile(self._wanted.pattern)
        self._dry_run = dry_run
        self._say = say
        #: How many rows of each table had the number.
        self.found: Counter[str] = Counter(dict.fromkeys(_TABLES, 0))
        #: The tables and partitions that were changed.
        self.changed: set[str] = set()

    async def run(self) -> None:
        """
        Scan all tables.

        Raises:
            DatabaseUnavailable: it was interrupted. The next run does the rest.
        """
        self._say("searching messages and events")
        to_them = await stored.messages_to(self._database, self._wanted)
        owned = set(to_them)
        quoting = await self._events(owned)
        await self._pseudonymise(sorted(owned, key=str.encode))
        await self._redact(quoting)
        await self._messages()
        self._say("searching replies")
        await self._replies(owned)
        await self._progress()
        self._say("searching the quarantine")
        await self._bodies()
        self._say("searching campaigns")
        await self._campaigns()
        await self._keys()
        # Last: they are copied from messages and campaigns.
        await self._notices()
        if not self._dry_run:
            self._say("searching roll-ups")
            for analysis in ROLLUPS:
                await self._analysis(analysis)

    def _note(self, rows: Counter[str]) -> None:
        self.changed |= rows.keys()
        for table, count in rows.items():
            self.found["events" if table.startswith("events_") else table] += count

    def _note_one(self, table: str) -> None:
        self.found[table] += 1
        self.changed.add(table)

    def _has(self, texts: str, *bodies: bytes | None) -> bool:
        """Whether the number is in them. A large body takes milliseconds: call it in a thread."""
        # Texts as PostgreSQL finds the number in them, which is to take it out.
        return is_in(texts, self._pattern) or any(
            is_in_body(body, self._pattern) for body in bodies if body
        )

    async def _events(self, owned: set[str]) -> list[EventKey]:
        """Add the recipient's messages to *owned*; return other events that quote the number."""
        quoting: list[EventKey] = []
        after, end = BEGINNING, await stored.end_of_scan(self._database)
        seen = 0
        while events := await stored.next_events(self._database, after, end):
            theirs, naming = await asyncio.to_thread(self._searched, events)
            owned |= theirs
            quoting += naming
            after = events[-1].position
            seen += len(events)
            if seen % _PROGRESS_ITEMS < len(events):
                self._say(f"{seen:,} events searched")
        return [key for key in quoting if key[0] not in owned]

    def _searched(self, events: Iterable[StoredEvent]) -> tuple[set[str], list[EventKey]]:
        """The recipient's messages, and the other events that quote the number."""
        theirs: set[str] = set()
        naming: list[EventKey] = []
        for event in events:
            recipient = event.recipient or ""
            if recipient in self._pseudonyms or self._has(recipient):
                theirs.add(event.key[0])
            elif self._has(event.texts, opened_or_empty(event.payload, event.payload_dictionary)):
                naming.append(event.key)
        return theirs, naming

    async def _pseudonymise(self, ids: Sequence[str]) -> None:
        for chunk in _chunks(ids, stored.CHUNK_ITEMS):
            make = stored.count_known if self._dry_run else stored.pseudonymise_messages
            self._note(await patiently(partial(make, self._database, chunk, self._wanted)))

    async def _redact(self, keys: Sequence[EventKey]) -> None:
        for chunk in _chunks(keys, stored.CHUNK_ITEMS):
            if self._dry_run:
                self.found["events"] += len(chunk)
                continue
            redact = partial(stored.redact_events, self._database, chunk, self._wanted)
            self._note(await patiently(redact))

    async def _messages(self) -> None:
        if self._dry_run:
            return
        ids = await stored.messages_quoting(self._database, self._wanted)
        for chunk in _chunks(ids, stored.CHUNK_ITEMS):
            redact = partial(stored.redact_messages, self._database, chunk, self._wanted)
            self._note(await patiently(redact))

    async def _replies(self, owned: set[str]) -> None:
        after = 0
        while replies := await other_tables.next_replies(self._database, after):
            after = replies[-1].id
            theirs, naming = await asyncio.to_thread(self._searched_replies, replies, owned)
            for reply in theirs:
                self._note_one("inbound_messages")
                await self._reply(reply)
            for reply in naming:
                self._note_one("inbound_messages")
                if not self._dry_run:
                    redact = partial(other_tables.redact_reply, self._database, reply, self._wanted)
                    await patiently(redact)

    def _searched_replies(
        self, replies: Iterable[other_tables.StoredReply], owned: set[str]
    ) -> tuple[list[other_tables.StoredReply], list[other_tables.StoredReply]]:
        """The recipient's replies, and the replies of others that quote the number."""
        theirs: list[other_tables.StoredReply] = []
        naming: list[other_tables.StoredReply] = []
        for reply in replies:
            is_unsigned = reply.sender is None and reply.reference in owned
            if self._has(reply.sender or "") or (is_unsigned and reply.has_content):
                theirs.append(reply)
            elif self._has(reply.texts, opened_or_empty(reply.payload, reply.payload_dictionary)):
                naming.append(reply)
        return theirs, naming

    async def _reply(self, reply: other_tables.StoredReply) -> None:
        if self._dry_run:
            return
        change = partial(other_tables.pseudonymise_reply, self._database, reply, self._wanted)
        if reply.sender is None:
            # With the same identity a repetition is still deduplicated.
            await patiently(partial(change, identity=reply.identity))
            return
        await self._under_new_identity(change, reply)

    async def _progress(self) -> None:
        after = 0
        while reports := await other_tables.next_progress(self._database, after):
            after = reports[-1].id
            for report in await asyncio.to_thread(self._searched_progress, reports):
                self._note_one("campaign_progress")
                if not self._dry_run:
                    change = partial(
                        other_tables.redact_progress, self._database, report, self._wanted
                    )
                    await self._under_new_identity(change, report)

    def _searched_progress(
        self, reports: Iterable[other_tables.StoredProgress]
    ) -> list[other_tables.StoredProgress]:
        return [
            report
            for report in reports
            if self._has(report.texts, opened_or_empty(report.payload, report.payload_dictionary))
        ]

    async def _under_new_identity(
        self,
        change: Callable[..., Awaitable[None]],
        row: other_tables.StoredReply | other_tables.StoredProgress,
    ) -> None:
        """Call *change* with the identity that later copies of *row* will get."""
        try:
            identity = self._number_hash.pseudonymised(row.identity)
            await patiently(partial(change, identity=identity))
        except other_tables.IdentityTaken:  # it was stored again meanwhile, or after a lift
            await patiently(partial(change, identity=self._own_identity(row)))

    def _own_identity(self, row: other_tables.StoredReply | other_tables.StoredProgress) -> bytes:
        """An identity that no other copy of *row* has."""
        return self._number_hash.pseudonymised(
            hashlib.sha256(row.identity + row.id.to_bytes(8)).digest()
        )

    async def _bodies(self) -> None:
        after = 0
        while bodies := await other_tables.next_bodies(self._database, after):
            after = bodies[-1].id
            for body in bodies:
                left = await asyncio.to_thread(self._left_of, body)
                if left != body.body or is_in(body.texts, self._pattern):
                    self._note_one("quarantine")
                    await self._replace_body(body, left)

    def _left_of(self, body: other_tables.StoredBody) -> bytes:
        pseudonym = self._number_hash.pseudonym
        return without_number(body.body, self._pattern, pseudonym, reason=body.reason)

    async def _replace_body(self, body: other_tables.StoredBody, left: bytes) -> None:
        if self._dry_run:
            return
        sha256 = self._number_hash.pseudonymised(body.sha256)
        put = partial(other_tables.replace_body, left=left, sha256=sha256)
        await patiently(partial(put, self._database, body, self._wanted))

    async def _campaigns(self) -> None:
        """
        Redact campaigns. Routee's answer to a launch under way is awaited: it may quote the number.

        The name of an open launch stays, and is left to another erasure.
        """
        found: set[UUID] = set()
        for seconds in range(_LAUNCH_SECONDS):
            again, named = await self._campaigns_once(found)
            if not again:
                break
            if seconds == 0:
                self._say("waiting for Routee's answer to a launch")
            await asyncio.sleep(1)
        if named:
            self._say(
                "the name of a campaign has the number, and its launch is open: erase again "
                "once it is settled"
            )
        self.found["campaigns"] += len(found)

    async def _campaigns_once(self, found: set[UUID]) -> tuple[bool, bool]:
        """Whether a campaign must be scanned again, and whether one has to keep its name."""
        again = named = False
        with_number: list[other_tables.StoredCampaign] = []
        campaigns = await other_tables.next_campaigns(self._database)
        while campaigns:
            with_number = await asyncio.to_thread(self._searched_campaigns, campaigns)
            for campaign in with_number:
                found.add(campaign.id)
                did = await self._redact_campaign(campaign)
                again |= did is other_tables.Redacted.CHANGED_MEANWHILE
                named |= did is other_tables.Redacted.BUT_THE_NAME
            campaigns = await other_tables.next_campaigns(self._database, campaigns[-1].id)
        if self._dry_run or not found:
            return False, named
        self.changed.add("campaigns")
        return again or await other_tables.are_being_launched(self._database, list(found)), named

    def _searched_campaigns(
        self, campaigns: Iterable[other_tables.StoredCampaign]
    ) -> list[other_tables.StoredCampaign]:
        return [one for one in campaigns if self._has(one.texts, one.request, one.answer)]

    async def _redact_campaign(
        self, campaign: other_tables.StoredCampaign
    ) -> other_tables.Redacted:
        if self._dry_run:
            return other_tables.Redacted.ALL
        change = partial(
            redacted_json, pattern=self._pattern, pseudonym=self._number_hash.pseudonym
        )
        request = await asyncio.to_thread(change, campaign.request, leave_out=campaign.is_open)
        answer = await asyncio.to_thread(change, campaign.answer)
        put = partial(other_tables.redact_campaign, request=request, answer=answer)
        return await patiently(partial(put, self._database, campaign, self._wanted))

    async def _keys(self) -> None:
        for key in await other_tables.find_keys(self._database, self._wanted):
            self._note_one("idempotency_keys")
            if not self._dry_run:
                new = pseudonymised_key(self._number_hash, key.key)
                await patiently(partial(other_tables.rename_key, self._database, key, new))

    async def _notices(self) -> None:
        after = 0
        while notices := await other_tables.next_notices(self._database, after):
            after = notices[-1].id
            for notice in await asyncio.to_thread(self._searched_notices, notices):
                self._note_one("notices")
                if not self._dry_run:
                    redact = partial(
                        other_tables.redact_notice, self._database, notice, self._wanted
                    )
                    await patiently(redact)

    def _searched_notices(
        self, notices: Iterable[other_tables.StoredNotice]
    ) -> list[other_tables.StoredNotice]:
        return [notice for notice in notices if self._has(notice.texts)]

    async def _analysis(self, analysis: Rollup) -> None:
        while keys := await find_rollups(self._database, analysis, self._wanted):
            self.changed.add(analysis.table)
            for chunk in _chunks(keys, CHUNK_ITEMS):
                redact = partial(redact_rollups, self._database, analysis, chunk, self._wanted)
                await patiently(redact)


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
