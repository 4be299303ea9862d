"""Retention and erasure while callbacks come: none is refused, and nothing else is lost."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import pytest

from app.db.erasure import messages as stored_messages
from app.db.feed.pages import StatusItem
from app.db.feed.positions import newest_position
from app.db.payloads import opened
from app.domain.erasure import ErasureKeys
from app.domain.retention import retention_of_days
from app.sandbox.payloads import iso
from app.services.erasure.erasures import Eraser
from app.services.retention import PurgeJob
from tests.db.feed.feed_stage import Reader, feed_database, names
from tests.promises.conftest import Look, StartService
from tests.promises.load import Callback, Sender, callback, changed, endless, reply, stories
from tests.promises.stage import (
    FLOWING_ITEMS,
    SIGNING_KEY,
    Postgres,
    Service,
    answers,
    eventually,
    posting,
)
from tests.services.erasure.erased_stage import digits_in, everything, everything_in_a_dump
from tests.services.kept_stage import ADD_MARCH_2026

DIGITS = "306912345678"
NUMBER = f"+{DIGITS}"
RECIPIENTS = [NUMBER, *(f"+3069555{at:05}" for at in range(20))]
#: What is posted at once is stored together.
CONNECTIONS = 32
OLD_MESSAGES = 500
MANY_OLD_MESSAGES = 20_000
_PUT_BACK = """
UPDATE events SET received_at = now() - interval '200 days';
UPDATE messages SET updated_at = now() - interval '200 days'
"""
RETENTION = retention_of_days(raw=50, events=50, messages=50, inbound=50)
_THEIRS = "SELECT count(*) FROM messages WHERE recipient LIKE 'erased:%'"


def _to_many(prefix: str) -> Iterator[Callback]:
    """One message after the other, to one recipient after the other."""
    for one, recipient in zip(endless(prefix), cycle(RECIPIENTS), strict=False):
        yield changed(one, to=recipient)


def _of_now(prefix: str) -> Iterator[Callback]:
    """What happened a moment ago, in this month and not in that of the old messages."""
    for one in endless(prefix):
        status = {"name": "DELIVERED", "updatedDate": iso(datetime.now(UTC))}
        yield changed(one, status=status)


def _erasing(postgres: Postgres) -> Eraser:
    return Eraser(postgres.url, ErasureKeys([SIGNING_KEY]))


async def _erased(postgres: Postgres) -> None:
    await _erasing(postgres).erase(NUMBER, asked_by="the tests")


async def _under_load(
    service: Service, work: Awaitable[object], load: Iterator[Callback]
) -> Sender:
    """Post *load* until *work* is done; no callback is refused."""
    sender = service.sender(connections=16)
    async with posting(sender, load):
        await work
        await answers(sender, 200, items=FLOWING_ITEMS)
    assert sender.statuses == {200}
    return sender


@asynccontextmanager
async def _followed(postgres: Postgres, *, erasures: int = 0) -> AsyncIterator[list[str]]:
    """
    The statuses of the feed until the block ends, as a reader gets them who never stops.

    Besides them, the feed tells of so many *erasures*, and of nothing else.
    """
    followed: list[str] = []
    async with feed_database(postgres.url) as database:
        reader = Reader(database, after=await newest_position(database), limit=100)
        enough = asyncio.Event()

        async def _follow() -> None:
            while not enough.is_set():
                came = await reader.read()
                followed.extend(names(item for item in came if isinstance(item, StatusItem)))
                await asyncio.sleep(0.02)

        following = asyncio.create_task(_follow())
        try:
            yield followed
        finally:
            enough.set()
            await following
    told = names(item for item in reader.items if not isinstance(item, StatusItem))
    assert told == ["recipient.erased"] * erasures


async def _assert_each_came_once(followed: list[str], sender: Sender) -> None:
    wanted = {" ".join(one.identity) for one in sender.acknowledged}

    async def _all_came() -> bool:
        return wanted <= set(followed)

    # Another transaction that writes may hold the last ones back for a moment.
    with suppress(TimeoutError):
        await eventually(_all_came)
    assert wanted - set(followed) == set()
    assert len(followed) == len(set(followed)) == len(wanted)


async def _folded(look: Look) -> None:
    async def _all() -> bool:
        return not await look.number("SELECT count(*) FROM bi_pending_events()")

    await eventually(_all)


async def _assert_retention_loses_nothing_else(
    service: Service, postgres: Postgres, look: Look, messages: int
) -> None:
    old = service.sender(connections=CONNECTIONS)
    await old.send_all(stories("old", messages, recipients=messages))
    await _folded(look)
    await look.execute(_PUT_BACK)
    before = await look.counts()
    # So that the month is not emptied as a whole.
    await old.send_all([callback("kept")])
    async with _followed(postgres) as followed:
        retaining = PurgeJob(postgres.url, RETENTION)
        sender = await _under_load(service, retaining.run(), _of_now("new"))
        await _assert_each_came_once(followed, sender)
    assert sender.acknowledged <= await look.stored()
    for table in ("events", "messages"):
        left = f"SELECT count(*) FROM {table} WHERE starts_with(message_tracking_id, 'old')"  # noqa: S608
        # Of the last transaction that is old enough one item is known to be; the rest goes later.
        assert await look.number(left) <= CONNECTIONS
    after = await look.counts()
    assert {key: after[key] for key in before} == before


async def _assert_erasure_is_complete(service: Service, postgres: Postgres, look: Look) -> None:
    async with _followed(postgres, erasures=1) as followed:
        sender = await _under_load(service, _erased(postgres), _to_many("new"))
        await _assert_each_came_once(followed, sender)
    stored = {one.identity for one in await look.stored()}
    assert stored == {one.identity for one in sender.acknowledged}
    assert await look.counts() == await look.recount() == await look.recount_of_events()
    assert digits_in(await everything(await look.connection())) == []
    recipients = "SELECT count(DISTINCT recipient) FROM messages"
    assert await look.number(recipients) == len(RECIPIENTS)
    await _assert_nothing_of_others_is_lost(look, sender)


async def _assert_nothing_of_others_is_lost(look: Look, sender: Sender) -> None:
    sent = {one.callback.identity[0]: one.callback.body for one in sender.answers}
    rows = await (await look.connection()).fetch(
        "SELECT message_tracking_id, recipient, payload, payload_dictionary FROM events"
    )
    for message, recipient, payload, dictionary in rows:
        to = json.loads(sent[message])["to"]
        if to == NUMBER:
            assert payload is None
            assert recipient.startswith("erased:")
        else:
            assert opened(payload, dictionary) == sent[message]
            assert recipient == to


@pytest.mark.slow
async def test_retention_refuses_no_callback_and_loses_nothing_else(
    service: Service, postgres: Postgres, look: Look
) -> None:
    await _assert_retention_loses_nothing_else(service, postgres, look, OLD_MESSAGES)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_retention_of_many_rows_refuses_no_callback_and_loses_nothing_else(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    service = await start_service(workers=2)
    await _assert_retention_loses_nothing_else(service, postgres, look, MANY_OLD_MESSAGES)


@pytest.mark.slow
async def test_an_erasure_under_load_is_complete_and_takes_nothing_of_others(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    await _assert_erasure_is_complete(await start_service(workers=2), postgres, look)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_month_is_emptied_under_load_and_a_reader_of_the_feed_misses_nothing(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    service = await start_service(workers=2)
    await look.execute(ADD_MARCH_2026)
    await service.sender(connections=CONNECTIONS).send_all(
        stories("old", OLD_MESSAGES, recipients=OLD_MESSAGES)
    )
    # Something between, so that the last old event lies below the position that is searched for.
    await service.sender(connections=1).send_all([next(_of_now("between"))])
    await _folded(look)
    await look.execute(_PUT_BACK)
    emptied: list[str] = []

    async def _retain() -> None:
        removed = await PurgeJob(postgres.url, RETENTION).run()
        assert removed is not None
        emptied.extend(month.name for month in removed.months)

    async with _followed(postgres) as followed:
        sender = await _under_load(service, _retain(), _of_now("new"))
        await _assert_each_came_once(followed, sender)
    assert emptied == ["events_2026_03"]
    assert await look.number("SELECT pg_relation_size('events_2026_03')") == 0
    assert sender.acknowledged <= await look.stored()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_what_is_delivered_again_during_an_erasure_is_neither_doubled_nor_known(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    service = await start_service(workers=2)
    sent = [
        *stories("m", 120, recipients=3),
        *(reply(f"m-{at}", f"answer {at}") for at in range(40)),
    ]
    others = [changed(one, to=RECIPIENTS[1]) for one in stories("other", 40)]
    await service.sender(connections=CONNECTIONS).send_all([*sent, *others])
    rows = "SELECT count(*) FROM (SELECT id FROM events UNION SELECT id FROM inbound_messages)"
    before = await look.number(rows)
    await _under_load(service, _erased(postgres), cycle([*sent, *others]))
    assert await look.number(rows) == before == 4 * 160 + 40
    assert digits_in(await everything(await look.connection())) == []
    assert await look.number("SELECT count(DISTINCT recipient) FROM messages") == 4
    assert await look.counts() == await look.recount() == await look.recount_of_events()
    repeated = await _erasing(postgres).erase(NUMBER, asked_by="the tests")
    assert not any(repeated.rows.values())


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_interrupted_erasure_is_completed_by_the_next_one(
    start_service: StartService,
    postgres: Postgres,
    look: Look,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored_messages, "CHUNK_ITEMS", 20)
    service = await start_service()
    sent = [*stories("m", 300), *(reply(f"m-{at}", f"answer {at}") for at in range(50))]
    others = [changed(one, to=RECIPIENTS[1]) for one in stories("other", 50)]
    unsigned = [changed(reply(f"m-{at}", f"unsigned {at}"), **{"from": None}) for at in range(50)]
    await service.sender(connections=CONNECTIONS).send_all([*sent, *others, *unsigned])
    await look.execute("ANALYZE")
    erasing = asyncio.create_task(_erased(postgres))
    await eventually(_is_begun(look))
    erasing.cancel()
    await asyncio.gather(erasing, return_exceptions=True)
    assert 0 < await look.number(_THEIRS) < 300
    again = service.sender(connections=CONNECTIONS)
    await again.send_all(sent)
    assert again.statuses == {200}
    await _erased(postgres)
    found = await everything(await look.connection())
    assert digits_in(found) == []
    assert "unsigned" not in found
    assert digits_in(await everything_in_a_dump(postgres.url, folder / "dump")) == []
    assert await look.number(_THEIRS) == 300
    assert await look.number("SELECT count(*) FROM events") == 4 * 350
    assert await look.number("SELECT count(*) FROM inbound_messages") == 100
    theirs = f"SELECT count(*) FROM messages WHERE recipient = '{RECIPIENTS[1]}'"  # noqa: S608
    assert await look.number(theirs) == 50


def _is_begun(look: Look) -> Callable[[], Awaitable[bool]]:
    async def _some() -> bool:
        return await look.number(_THEIRS) > 0

    return _some
