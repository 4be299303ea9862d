import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import asyncpg
import pytest

from app.buffer.connection import Buffer
from app.buffer.message import BufferedBody, decoded
from app.db.ingest import IngestSession
from app.errors import Overloaded
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.services.callbacks.buffered_intake import MAX_BUFFERED_BYTES, BufferedIntake
from app.services.callbacks.flush import Receipt
from app.services.callbacks.reading import Body
from app.services.readiness import FlushRecord
from tests.nats import jetstream, stream, unsafe_buffer
from tests.promises.load import callback
from tests.services.callbacks.intakes import intake_on

_BUDGET_SECONDS = 0.6
_PATH = "/callbacks/***/status"
_AWAY = "postgresql://nobody@127.0.0.1:9/nowhere"


@pytest.fixture
def name() -> str:
    return f"i-{secrets.token_hex(4)}"


@pytest.fixture
def buffer(nats_url: str, name: str) -> Buffer:
    return unsafe_buffer(nats_url, name)


@pytest.fixture
def flushes() -> FlushRecord:
    return FlushRecord()


def _intake(buffer: Buffer, flushes: FlushRecord, database_url: str) -> BufferedIntake:
    session = IngestSession(database_url, statement_timeout_seconds=_BUDGET_SECONDS)
    metrics = Metrics()
    direct = intake_on(session, metrics, ack_budget_seconds=_BUDGET_SECONDS)
    return BufferedIntake(
        buffer, direct, metrics, flushes=flushes, ack_budget_seconds=_BUDGET_SECONDS
    )


@pytest.fixture
async def intake(buffer: Buffer, flushes: FlushRecord) -> AsyncIterator[BufferedIntake]:
    """An intake whose database is away."""
    intake = _intake(buffer, flushes, _AWAY)
    yield intake
    await intake.close()


async def _next_bodies(buffer: Buffer) -> list[BufferedBody]:
    deliveries = await buffer.deliveries(ack_wait_seconds=30)
    delivery = await deliveries.next(timeout_seconds=5)
    assert delivery is not None
    await delivery.remove()
    await deliveries.close()
    return list(decoded(delivery.octets).bodies)


async def _outcomes(
    intake: BufferedIntake, bodies: Sequence[bytes]
) -> list[Receipt | BaseException]:
    """What becomes of *bodies* that are put in one tick."""
    outcomes: list[Receipt | BaseException] = []
    ended = asyncio.Event()

    def _note(outcome: Receipt | BaseException) -> None:
        outcomes.append(outcome)
        if len(outcomes) == len(bodies):
            ended.set()

    for octets in bodies:
        intake.put(Body(octets, _PATH, None), _note)
    await ended.wait()
    return outcomes


async def test_a_body_is_buffered_unread_with_all_that_its_reading_needs(
    intake: BufferedIntake, buffer: Buffer
) -> None:
    await buffer.check()
    campaign_id, content = uuid4(), Content("text/plain; charset=utf-16", "gzip")
    receipt = await intake.receive(
        b"not JSON", path=_PATH, campaign_id=campaign_id, content=content
    )
    assert receipt is Receipt.BUFFERED
    assert await _next_bodies(buffer) == [BufferedBody(b"not JSON", _PATH, campaign_id, content)]


async def test_what_arrives_during_a_flush_is_one_message(
    intake: BufferedIntake, buffer: Buffer
) -> None:
    await buffer.check()
    bodies = [callback(f"m{at}").body for at in range(100)]
    assert await _outcomes(intake, bodies) == [Receipt.BUFFERED] * len(bodies)
    assert [body.octets for body in await _next_bodies(buffer)] == bodies


async def test_without_an_acknowledgement_a_body_is_to_be_repeated(
    intake: BufferedIntake, buffer: Buffer, flushes: FlushRecord, nats_url: str, name: str
) -> None:
    async with jetstream(nats_url) as context:
        await context.add_stream(stream(name, no_ack=True))
    await buffer.check()
    for _ in range(2):
        with pytest.raises(Overloaded):
            await intake.receive(callback("m1").body, path=_PATH)
    assert flushes.is_failing


async def test_with_a_full_stream_a_body_is_to_be_repeated(
    intake: BufferedIntake, buffer: Buffer, nats_url: str, name: str
) -> None:
    async with jetstream(nats_url) as context:
        await context.add_stream(stream(name, max_bytes=100))
    await buffer.check()
    with pytest.raises(Overloaded):
        await intake.receive(callback("m1").body, path=_PATH)


async def test_before_the_buffer_was_checked_a_body_is_to_be_repeated(
    intake: BufferedIntake,
) -> None:
    with pytest.raises(Overloaded):
        await intake.receive(callback("m1").body, path=_PATH)


async def test_the_largest_body_of_the_buffer_fits_behind_a_batch_that_is_almost_full(
    intake: BufferedIntake, buffer: Buffer
) -> None:
    await buffer.check()
    large = secrets.token_bytes(MAX_BUFFERED_BYTES - 100)
    bodies = [b"first", large[:60_000], large, large]
    assert await _outcomes(intake, bodies) == [Receipt.BUFFERED] * 4


async def test_a_body_too_large_for_a_message_is_stored_directly(
    buffer: Buffer, flushes: FlushRecord, url: str, connection: asyncpg.Connection
) -> None:
    await buffer.check()
    large = b" " * MAX_BUFFERED_BYTES + callback("m1").body
    intake = _intake(buffer, flushes, url)
    outcomes: list[Receipt | BaseException] = []
    intake.put(Body(large, _PATH, None), outcomes.append)
    assert await intake.receive(large, path=_PATH) is Receipt.STORED
    assert await connection.fetchval("SELECT count(*) FROM messages") == 1
    assert (await buffer.check()).messages == 0
    await intake.close()
    assert outcomes == [Receipt.STORED]


async def test_a_body_too_large_for_a_message_is_to_be_repeated_while_the_database_is_away(
    intake: BufferedIntake, buffer: Buffer, flushes: FlushRecord
) -> None:
    await buffer.check()
    for _ in range(3):
        with pytest.raises(Overloaded):
            await intake.receive(b" " * MAX_BUFFERED_BYTES, path=_PATH)
    assert not flushes.is_failing
