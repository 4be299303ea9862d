"""One way through everything that is stored, in search of one number."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from app.db.database import Database
from app.db.erasure import messages as stored
from app.db.erasure import rest
from app.db.erasure.analysis import redact_analysis
from app.db.erasure.messages import EventKey, Replacement, StoredEvent
from app.domain.erasure import Mark, spellings
from app.domain.feed import BEGINNING
from app.errors import DatabaseUnavailable
from app.services.redaction import redacted_json

T = TypeVar("T")

Say = Callable[[str], object]

#: Rows that callbacks hold at the moment are waited for again and again, never for long.
_TRIES: Final = 50
_PAUSE_SECONDS: Final = 0.1
#: For so long Routee may be asked for a campaign.
_LAUNCH_SECONDS: Final = 60
_PROGRESS_ITEMS: Final = 100_000
_ESCAPED_DIGIT: Final = re.compile(r"\\u003([0-9])")


class Sweep:
    """Finds a number wherever it stands and, unless *dry_run*, makes it unknown."""

    def __init__(
        self, database: Database, digits: str, mark: Mark, *, dry_run: bool, say: Say
    ) -> None:
        self._database = database
        self._mark = mark
        self._wanted = Replacement(spellings(digits), mark.pseudonym)
        self._pattern = re.compile(self._wanted.pattern)
        self._dry_run = dry_run
        self._say = say
        #: How many rows of each table had the number.
        self.found: Counter[str] = Counter()

    async def run(self) -> None:
        """
        Go through all tables.

        Raises:
            DatabaseUnavailable: it cannot go on. What is done is done; the next time does the rest.
        """
        owned = set(await stored.messages_to(self._database, self._wanted))
        quoting = await self._events(owned)
        await self._make_unknown(sorted(owned, key=str.encode))
        await self._redact(quoting)
        await self._messages()
        await self._replies(owned)
        await self._bodies()
        await self._settled(await self._campaigns())
        if not self._dry_run:
            await _patiently(partial(redact_analysis, self._database, self._wanted))
            self.found["idempotency_keys"] += await rest.rename_keys(self._database, self._wanted)
            await rest.sample_anew(self._database, self._wanted)

    def _has(self, text: str, body: bytes = b"") -> bool:
        if self._pattern.search(text):
            return True
        decoded = body.decode(errors="replace")
        if "\\u003" in decoded:
            decoded = _ESCAPED_DIGIT.sub(r"\1", decoded)
        return self._pattern.search(decoded) is not None

    async def _events(self, owned: set[str]) -> list[EventKey]:
        """Adds to *owned* messages of which an event names the recipient; events of others."""
        quoting: list[EventKey] = []
        after, end = BEGINNING, await stored.end_of_walk(self._database)
        seen = 0
        while events := await stored.walked_events(self._database, after, end):
            matching = await asyncio.to_thread(self._matching, events)
            owned |= {event.key[0] for event in matching if self._has(event.recipient or "")}
            quoting += [event.key for event in matching]
            after = events[-1].position
            seen += len(events)
            if seen % _PROGRESS_ITEMS < len(events):
                self._say(f"{seen:,} events searched")
        return [key for key in quoting if key[0] not in owned]

    def _matching(self, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        return [event for event in events if self._has(event.texts, event.payload)]

    async def _make_unknown(self, ids: Sequence[str]) -> None:
        for chunk in _chunks(ids, stored.CHUNK_ITEMS):
            if self._dry_run:
                self.found["messages"] += len(chunk)
                continue
            self.found += Counter(
                await _patiently(partial(stored.make_unknown, self._database, chunk, self._wanted))
            )

    async def _redact(self, keys: Sequence[EventKey]) -> None:
        for chunk in _chunks(keys, stored.CHUNK_ITEMS):
            self.found["events"] += len(chunk)
            if not self._dry_run:
                await _patiently(partial(stored.redact_events, self._database, chunk, self._wanted))

    async def _messages(self) -> None:
        if self._dry_run:
            return
        ids = await stored.messages_quoting(self._database, self._wanted)
        for chunk in _chunks(ids, stored.CHUNK_ITEMS):
            self.found["messages"] += await _patiently(
                partial(stored.redact_messages, self._database, chunk, self._wanted)
            )

    async def _replies(self, owned: set[str]) -> None:
        after = 0
        while replies := await rest.walked_replies(self._database, after):
            after = replies[-1].id
            for reply in replies:
                await self._reply(reply, owned)

    async def _reply(self, reply: rest.StoredReply, owned: set[str]) -> None:
        is_senders = self._has(reply.sender or "")
        has_text = reply.texts or reply.payload
        is_owned = is_senders or (reply.reference in owned and reply.sender is None and has_text)
        if not is_owned and not self._has(reply.texts, reply.payload):
            return
        self.found["inbound_messages"] += 1
        if self._dry_run:
            return
        if is_owned:
            # Without a sender a repetition cannot be recognised, and is absorbed as it was.
            identity = self._mark.blinded(reply.identity) if is_senders else reply.identity
            change = partial(rest.make_reply_unknown, identity=identity)
            await _patiently(partial(change, self._database, reply, self._wanted))
        else:
            await _patiently(partial(rest.redact_reply, self._database, reply, self._wanted))

    async def _bodies(self) -> None:
        after = 0
        while bodies := await rest.walked_bodies(self._database, after):
            after = bodies[-1].id
            for body in bodies:
                if self._has("", body.body):
                    self.found["quarantine"] += 1
                    await self._clear(body)

    async def _clear(self, body: rest.StoredBody) -> None:
        if not self._dry_run:
            sha256 = self._mark.blinded(body.sha256)
            await _patiently(partial(rest.clear_body, self._database, body, sha256=sha256))

    async def _campaigns(self) -> list[UUID]:
        """The ids of those that had the number."""
        found: list[UUID] = []
        campaigns = await rest.walked_campaigns(self._database)
        while campaigns:
            for campaign in campaigns:
                documents = (campaign.request or b"") + b" " + (campaign.answer or b"")
                if self._has(campaign.texts, documents):
                    found.append(campaign.id)
                    await self._redact_campaign(campaign)
            campaigns = await rest.walked_campaigns(self._database, campaigns[-1].id)
        self.found["campaigns"] += len(found)
        return found

    async def _redact_campaign(self, campaign: rest.StoredCampaign) -> None:
        if self._dry_run:
            return
        request = redacted_json(
            campaign.request, self._pattern, self._mark.pseudonym, leave_out=campaign.is_open
        )
        answer = redacted_json(campaign.answer, self._pattern, self._mark.pseudonym)
        change = partial(rest.redact_campaign, request=request, answer=answer)
        await _patiently(partial(change, self._database, campaign, self._wanted))

    async def _settled(self, campaigns: list[UUID]) -> None:
        """Wait for Routee's answers about *campaigns*, which quote the recipients, and go again."""
        if self._dry_run or not campaigns:
            return
        for _ in range(_LAUNCH_SECONDS):
            if not await rest.are_being_launched(self._database, campaigns):
                break
            self._say("waiting for Routee's answer to a launch")
            await asyncio.sleep(1)
        before = self.found["campaigns"]
        await self._campaigns()
        self.found["campaigns"] = before


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


async def _patiently(do: Callable[[], Awaitable[T]]) -> T:
    """Try again what could not have its locks at once."""
    for _ in range(_TRIES):
        try:
            return await do()
        except DatabaseUnavailable:
            await asyncio.sleep(_PAUSE_SECONDS)
    return await do()
