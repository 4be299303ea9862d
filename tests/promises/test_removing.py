"""Retention and erasure while callbacks come: none is refused, and nothing else is lost."""

import asyncio
from collections.abc import Awaitable

import pytest

from app.db.payloads import opened
from app.domain.erasure import ErasureKeys
from app.domain.retention import retention_of_days
from app.services.erasure import Erasing
from app.services.retention import Retaining
from tests.promises.conftest import Look, StartService
from tests.promises.load import Sender, endless, stories
from tests.promises.stage import SIGNING_KEY, Postgres, Service, eventually

DIGITS = "306912345678"
#: What is posted at once is stored together.
CONNECTIONS = 32
OLD_MESSAGES = 500
MANY_OLD_MESSAGES = 20_000
_PUT_BACK = """
UPDATE events SET received_at = now() - interval '200 days';
UPDATE messages SET updated_at = now() - interval '200 days'
"""


async def _under_load(service: Service, work: Awaitable[object]) -> Sender:
    """Post without end until *work* is done; no callback is refused."""
    sender, enough = service.sender(connections=16), asyncio.Event()
    posting = asyncio.create_task(sender.send(endless("new"), until=enough.is_set))
    await asyncio.sleep(0.3)
    try:
        await work
        await asyncio.sleep(0.3)
    finally:
        enough.set()
        await posting
    assert sender.statuses == {200}
    return sender


async def _folded(look: Look) -> None:
    async def _all() -> bool:
        return not await look.number("SELECT count(*) FROM bi_unfolded_events()")

    await eventually(_all)


async def _assert_retention_loses_nothing_else(
    service: Service, postgres: Postgres, look: Look, messages: int
) -> None:
    old = service.sender(connections=CONNECTIONS)
    await old.send_all(stories("old", messages))
    await _folded(look)
    await look.execute(_PUT_BACK)
    before = await look.counts()
    retention = retention_of_days(raw=50, events=50, messages=50, inbound=50)
    retaining = Retaining(postgres.url, retention)
    sender = await _under_load(service, retaining.run())
    assert sender.acknowledged <= await look.stored()
    for table in ("events", "messages"):
        left = f"SELECT count(*) FROM {table} WHERE starts_with(message_tracking_id, 'old')"  # noqa: S608
        # Of the last transaction that is old enough one item is known to be; the rest goes later.
        assert await look.number(left) <= CONNECTIONS
    after = await look.counts()
    assert {key: after[key] for key in before} == before


async def _assert_erasure_is_complete(service: Service, postgres: Postgres, look: Look) -> None:
    erasing = Erasing(postgres.url, ErasureKeys([SIGNING_KEY]))
    sender = await _under_load(service, erasing.erase(f"+{DIGITS}", asked_by="the tests"))
    assert len(sender.acknowledged) > 100
    assert sender.acknowledged == await look.stored()
    assert await look.counts() == await look.recount() == await look.recount_of_events()
    connection = await look.connection()
    rows = await connection.fetch("SELECT recipient, payload, payload_dictionary FROM events")
    assert {row[0] for row in rows if DIGITS in row[0]} == set()
    left = [opened(row[1], row[2]) for row in rows if row[1] is not None]
    assert [payload for payload in left if DIGITS.encode() in payload] == []
    known = f"SELECT count(*) FROM messages WHERE recipient ~ '{DIGITS}'"  # noqa: S608
    assert await look.number(known) == 0
    assert await look.number("SELECT count(DISTINCT recipient) FROM messages") == 1


async def test_retention_refuses_no_callback_and_loses_nothing_else(
    service: Service, postgres: Postgres, look: Look
) -> None:
    await _assert_retention_loses_nothing_else(service, postgres, look, OLD_MESSAGES)


@pytest.mark.slow
async def test_retention_of_much_refuses_no_callback_and_loses_nothing_else(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    service = await start_service(workers=2)
    await _assert_retention_loses_nothing_else(service, postgres, look, MANY_OLD_MESSAGES)


async def test_an_erasure_under_load_is_complete_and_refuses_no_callback(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    await _assert_erasure_is_complete(await start_service(workers=2), postgres, look)
