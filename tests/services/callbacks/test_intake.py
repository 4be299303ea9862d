import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial

import asyncpg
import pytest

from app.db.ingest import IngestSession
from app.domain.erasure import ErasureKeys
from app.domain.event import DeliveryEvent
from app.domain.quarantine import Quarantined
from app.domain.retention import retention_of_days
from app.errors import Overloaded
from app.kit.batcher import BatcherError, Full
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.routee.translate import Record, Translation
from app.services.callbacks.flush import PendingRecord
from app.services.callbacks.intake import (
    MAX_PENDING_BYTES,
    MAX_PENDING_ITEMS,
    MAX_REFUSED_PER_TICK,
    RETRY_AFTER_SECONDS,
    Body,
    Intake,
    Receipt,
)
from app.services.callbacks.reading import Reader
from app.services.callbacks.screening import Screen
from app.services.callbacks.storing import Store
from app.services.erasure.erased_recipients import ErasedRecipients, Pseudonymised
from tests.database import connect
from tests.promises.load import callback, reply
from tests.promises.stage import eventually
from tests.services.callbacks.intakes import intake_on

BUDGET_SECONDS = 1.5
#: Longer than thousands of callbacks take on a busy machine.
_PATIENT_SECONDS = 30
_PATH = "/callbacks/***/status"
_SESSIONS = """
SELECT {what} FROM pg_stat_activity
WHERE application_name = 'routee-receiver ingest' AND datname = current_database()
"""
_COUNT = _SESSIONS.format(what="count(*)")
_TERMINATE = _SESSIONS.format(what="pg_terminate_backend(pid)")


def _intake(url: str) -> tuple[Intake, IngestSession]:
    session = IngestSession(url, statement_timeout_seconds=BUDGET_SECONDS)
    return intake_on(session, Metrics(), ack_budget_seconds=BUDGET_SECONDS), session


@pytest.fixture
async def intake(url: str) -> AsyncIterator[Intake]:
    intake, _ = _intake(url)
    yield intake
    await intake.close()


async def _receive(intake: Intake, *messages: str) -> list[Receipt | BaseException]:
    return await asyncio.gather(
        *(intake.receive(callback(message).body, path=_PATH) for message in messages),
        return_exceptions=True,
    )


async def _stored(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch("SELECT message_tracking_id FROM events")
    return {row[0] for row in rows}


async def test_what_is_received_together_shares_a_commit(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    messages = [f"m{at}" for at in range(300)]
    assert await _receive(intake, *messages) == [Receipt.STORED] * 300
    assert await _stored(connection) == set(messages)
    commits = "SELECT count(DISTINCT xid) FROM events"
    assert await connection.fetchval(commits) <= 2


class _BrokenSession(IngestSession):
    async def _connect(self) -> asyncpg.Connection:
        raise ZeroDivisionError


async def test_a_flush_that_fails_unexpectedly_is_counted(url: str) -> None:
    metrics = Metrics()
    session = _BrokenSession(url, statement_timeout_seconds=BUDGET_SECONDS)
    intake = intake_on(session, metrics, ack_budget_seconds=BUDGET_SECONDS)
    (outcome,) = await _receive(intake, "m1")
    assert isinstance(outcome, ZeroDivisionError)
    failures = "receiver_flush_failures_total"
    assert metrics.registry.get_sample_value(failures, {"error": "unexpected"}) == 1
    await intake.close()


class _Stumbling(Reader):
    """Meets an error that nobody foresaw in each body that has the word for it."""

    def _pending(self, translation: Translation, body: Body) -> Sequence[PendingRecord]:
        for error in (RecursionError, MemoryError, KeyError):
            if error.__name__.encode() in body.octets:
                raise error
        return super()._pending(translation, body)


def _stumbling(session: IngestSession, metrics: Metrics) -> Intake:
    reader, store = _Stumbling(metrics), Store(session, metrics)
    return Intake(reader, store, metrics, ack_budget_seconds=_PATIENT_SECONDS)


async def test_an_unforeseen_error_in_reading_one_body_touches_no_neighbour(
    url: str, connection: asyncpg.Connection
) -> None:
    session, metrics = IngestSession(url, statement_timeout_seconds=_PATIENT_SECONDS), Metrics()
    intake = _stumbling(session, metrics)
    names = ["a", "RecursionError", "b", "MemoryError", "KeyError", "c"]
    outcomes: dict[str, Receipt | BaseException] = {}
    for name in names:
        intake.put(Body(callback(name).body, _PATH, None), partial(outcomes.__setitem__, name))

    async def _all_are_answered() -> bool:
        return outcomes.keys() == set(names)

    await eventually(_all_are_answered, within_seconds=_PATIENT_SECONDS)
    assert await _stored(connection) == {"a", "b", "c"}
    assert [outcomes[name] for name in ("a", "b", "c")] == [Receipt.STORED] * 3
    assert isinstance(outcomes["MemoryError"], MemoryError)
    failing, storing = await _receive(intake, "KeyError", "d")
    assert (type(failing), storing) == (KeyError, Receipt.STORED)
    failed = metrics.registry.get_sample_value("receiver_records_failed_total", {"step": "read"})
    assert failed == 4
    await intake.close()


async def test_bodies_that_cannot_be_read_leave_no_weight_behind(url: str) -> None:
    session = IngestSession(url, statement_timeout_seconds=_PATIENT_SECONDS)
    intake = _stumbling(session, Metrics())
    outcomes: list[Receipt | BaseException] = []
    heavy = callback("KeyError").body + b" " * (MAX_PENDING_BYTES // 4)
    for _ in range(5):
        for _ in range(3):
            intake.put(Body(heavy, _PATH, None), outcomes.append)
        for _ in range(10):  # one body a tick
            await asyncio.sleep(0)
    assert [type(outcome) for outcome in outcomes] == [KeyError] * 15
    assert await _receive(intake, "m1") == [Receipt.STORED]
    await intake.close()


async def test_an_answer_that_cannot_be_given_keeps_no_neighbour_from_its_own(url: str) -> None:
    session = IngestSession(url, statement_timeout_seconds=_PATIENT_SECONDS)
    intake = _stumbling(session, Metrics())
    outcomes: list[Receipt | BaseException] = []

    def _fail(_: object) -> None:
        raise OSError("the connection is gone")

    intake.put(Body(callback("KeyError").body, _PATH, None), _fail)
    intake.put(Body(callback("KeyError").body, _PATH, None), outcomes.append)
    await asyncio.sleep(0)
    assert [type(outcome) for outcome in outcomes] == [KeyError]
    await intake.close()
    intake.put(Body(callback("m1").body, _PATH, None), _fail)
    intake.put(Body(callback("m2").body, _PATH, None), outcomes.append)
    await asyncio.sleep(0)
    assert [type(outcome) for outcome in outcomes] == [KeyError, Full]


async def test_of_an_array_that_meets_an_unforeseen_error_no_part_is_acknowledged(
    url: str, connection: asyncpg.Connection
) -> None:
    erased = _StumblingErased(ErasureKeys([]))
    session, metrics = IngestSession(url, statement_timeout_seconds=_PATIENT_SECONDS), Metrics()
    screen = Screen(erased, retention_of_days(raw=None, events=None, messages=None, inbound=None))
    intake = intake_on(session, metrics, ack_budget_seconds=_PATIENT_SECONDS, screen=screen)
    array = b"[" + callback("good").body + b"," + callback("bad").body + b"]"
    before, failing, after = await asyncio.gather(
        *(
            intake.receive(body, path=_PATH)
            for body in (callback("m1").body, array, callback("m2").body)
        ),
        return_exceptions=True,
    )
    assert isinstance(failing, RecursionError)
    assert [before, after] == [Receipt.STORED] * 2
    assert await _stored(connection) == {"m1", "m2", "good"}
    failed = metrics.registry.get_sample_value("receiver_records_failed_total", {"step": "screen"})
    assert failed == 1
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 0
    await intake.close()


class _StumblingErased(ErasedRecipients):
    def __bool__(self) -> bool:
        return True

    def pseudonymised(self, record: Record | Quarantined) -> Pseudonymised | None:
        if isinstance(record, DeliveryEvent) and record.message_tracking_id == "bad":
            raise RecursionError
        return None


async def test_ingest_commits_to_disk_whatever_the_database_prefers(
    url: str, connection: asyncpg.Connection
) -> None:
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await connection.execute(
        f"ALTER ROLE CURRENT_USER IN DATABASE {name} SET synchronous_commit = off"
    )
    fresh = await connect(url)
    assert await fresh.fetchval("SHOW synchronous_commit") == "off"
    await fresh.close()
    intake, session = _intake(url)
    assert await _receive(intake, "m1") == [Receipt.STORED]
    async with session.connected() as lent:
        shown = await lent.fetchrow(
            "SELECT setting, source FROM pg_settings WHERE name = 'synchronous_commit'"
        )
    assert shown is not None
    assert tuple(shown) == ("on", "client")
    await intake.close()


async def test_a_locked_table_is_overload_in_time_and_well_after_its_release(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    await _receive(intake, "m0")
    async with connection.transaction():
        await connection.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        (end,) = await _receive(intake, "m1")
        assert time.monotonic() - started < BUDGET_SECONDS * 1.5
    assert isinstance(end, Overloaded)
    assert end.retry_after_seconds == RETRY_AFTER_SECONDS
    assert await _receive(intake, "m1", "m2") == [Receipt.STORED] * 2
    assert await _stored(connection) == {"m0", "m1", "m2"}


async def test_a_flush_that_is_abandoned_does_not_hold_its_locks_for_long(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    await _receive(intake, "m0")
    async with connection.transaction():
        await connection.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        await _receive(intake, "m1")
        await asyncio.sleep(BUDGET_SECONDS)
        assert await connection.fetchval(f"{_COUNT} AND state = 'active'") == 0


async def test_a_transaction_that_is_abandoned_ends_by_itself(
    url: str, connection: asyncpg.Connection
) -> None:
    session = IngestSession(url, statement_timeout_seconds=0.3)
    async with session.connected() as lent:
        idle = lent.transaction()
        await idle.start()
        await lent.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(2):
            await connection.fetchval("SELECT count(*) FROM messages")
    await session.close()


async def test_a_session_that_was_terminated_costs_at_most_one_flush(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    await _receive(intake, "m0")
    for at in range(5):
        await connection.fetch(_TERMINATE)
        ends = [(await _receive(intake, f"m{at}"))[0] for _ in range(2)]
        assert ends[1] == Receipt.STORED


async def test_the_connection_of_a_flush_that_is_abandoned_is_not_given_to_the_next(
    url: str,
) -> None:
    session = IngestSession(url, statement_timeout_seconds=5)
    async with session.connected() as first, session.connected() as second:
        assert first is not second
    async with session.connected() as third:
        assert third is first
    assert second.is_closed()
    await session.close()


async def test_the_connection_of_a_failed_flush_is_closed(
    url: str, connection: asyncpg.Connection
) -> None:
    session = IngestSession(url, statement_timeout_seconds=5)
    for error in (RuntimeError, asyncio.CancelledError):
        with pytest.raises(error):
            async with session.connected() as lent:
                raise error
        assert lent.is_closed()
    await asyncio.sleep(0.1)
    assert await connection.fetchval(_COUNT) == 0
    await session.close()


async def test_an_array_with_invalid_elements_is_quarantined_once_as_a_whole(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    elements = [json.loads(callback(f"m{at}").body) for at in range(3)]
    body = json.dumps([*elements, {"invalid": "element"}]).encode()
    assert await intake.receive(body, path=_PATH) == Receipt.QUARANTINED
    assert await intake.receive(body, path=_PATH) == Receipt.QUARANTINED
    assert await _stored(connection) == {"m0", "m1", "m2"}
    rows = await connection.fetch("SELECT body, times FROM quarantine")
    assert [tuple(row) for row in rows] == [(body, 2)]


async def test_a_reply_and_an_event_in_one_array_are_both_stored(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    body = b"[" + callback("m1").body + b"," + reply("m1", "hello").body + b"]"
    assert await intake.receive(body, path=_PATH) == Receipt.STORED
    assert await _stored(connection) == {"m1"}
    assert await connection.fetchval("SELECT count(*) FROM inbound_messages") == 1


async def test_when_part_of_a_flush_fails_nothing_of_it_is_acknowledged(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE inbound_messages RENAME TO gone")
    ends = await asyncio.gather(
        intake.receive(callback("m1").body, path=_PATH),
        intake.receive(reply("m1", "hello").body, path=_PATH),
        return_exceptions=True,
    )
    assert [type(end) for end in ends] == [Overloaded, Overloaded]
    await connection.execute("ALTER TABLE gone RENAME TO inbound_messages")
    assert await _receive(intake, "m1") == [Receipt.STORED]
    assert await intake.receive(reply("m1", "hello").body, path=_PATH) == Receipt.STORED
    assert await connection.fetchval("SELECT count(*) FROM events") == 1
    assert await connection.fetchval("SELECT count(*) FROM inbound_messages") == 1


async def test_bodies_beyond_the_limit_are_refused_unread_and_a_few_per_tick(
    url: str, connection: asyncpg.Connection
) -> None:
    session = IngestSession(url, statement_timeout_seconds=_PATIENT_SECONDS)
    metrics = Metrics()
    intake = intake_on(session, metrics, ack_budget_seconds=_PATIENT_SECONDS)
    outcomes: list[Receipt | BaseException] = []
    extra = 2 * MAX_REFUSED_PER_TICK + 1
    for number in range(MAX_PENDING_ITEMS):
        intake.put(Body(callback(f"m{number}").body, _PATH, None), outcomes.append)
    for _ in range(extra):
        intake.put(Body(b"not to be read", _PATH, None), outcomes.append)
    refused_after_ticks = []
    for _ in range(3):
        await asyncio.sleep(0)
        refused_after_ticks.append(len(outcomes))
    assert refused_after_ticks == [MAX_REFUSED_PER_TICK, 2 * MAX_REFUSED_PER_TICK, extra]
    assert all(isinstance(refusal, Full) for refusal in outcomes)

    async def _all_are_answered() -> bool:
        return len(outcomes) == extra + MAX_PENDING_ITEMS

    await eventually(_all_are_answered, within_seconds=_PATIENT_SECONDS)
    await intake.close()
    assert outcomes[extra:] == [Receipt.STORED] * MAX_PENDING_ITEMS
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 0


async def test_after_closing_nothing_is_accepted(url: str) -> None:
    intake, _ = _intake(url)
    receiving = asyncio.create_task(intake.receive(callback("m1").body, path=_PATH))
    await asyncio.sleep(0)
    await intake.close()
    assert await receiving == Receipt.STORED
    assert isinstance((await _receive(intake, "m2"))[0], Overloaded)


def _array(prefix: str, size: int) -> bytes:
    elements = [callback(f"{prefix}-{at}").body for at in range(size)]
    return b"[" + b",".join(elements) + b"]"


def _patient_intake(url: str) -> Intake:
    session = IngestSession(url, statement_timeout_seconds=_PATIENT_SECONDS)
    return intake_on(session, Metrics(), ack_budget_seconds=_PATIENT_SECONDS)


async def test_a_large_array_is_stored_in_batches_and_answered_once(
    url: str, connection: asyncpg.Connection
) -> None:
    intake = _patient_intake(url)
    size = 3000
    body = _array("m", size)
    assert await intake.receive(body, path=_PATH) == Receipt.STORED
    batches = await connection.fetch("SELECT count(*) FROM events GROUP BY xid")
    assert sum(row[0] for row in batches) == size
    assert max(row[0] for row in batches) <= 1500
    assert await intake.receive(body, path=_PATH) == Receipt.STORED
    assert await connection.fetchval("SELECT count(*) FROM events") == size
    await intake.close()


async def test_the_event_loop_goes_on_while_a_large_array_is_read(
    url: str, connection: asyncpg.Connection
) -> None:
    intake = _patient_intake(url)
    answers: list[str] = []

    async def _receive_named(name: str, body: bytes) -> None:
        assert await intake.receive(body, path=_PATH) == Receipt.STORED
        answers.append(name)

    large = asyncio.ensure_future(_receive_named("large", _array("m", 4000)))
    ticks = 0
    small: asyncio.Future[None] | None = None
    while not large.done():
        await asyncio.sleep(0)
        ticks += 1
        if ticks == 5:
            small = asyncio.ensure_future(_receive_named("small", callback("small").body))
    assert small is not None
    await small
    assert ticks > 4000 / 64
    assert answers == ["small", "large"]
    assert await connection.fetchval("SELECT count(*) FROM events") == 4001
    await intake.close()


async def test_a_large_array_with_an_invalid_element_is_quarantined_once(
    url: str, connection: asyncpg.Connection
) -> None:
    intake = _patient_intake(url)
    body = _array("m", 200)[:-1] + b",1,{},null]"
    for _ in range(2):
        assert await intake.receive(body, path=_PATH) == Receipt.QUARANTINED
    assert await connection.fetchval("SELECT count(*) FROM events") == 200
    rows = await connection.fetch("SELECT reason, times, body FROM quarantine")
    assert [tuple(row) for row in rows] == [("partly-unreadable", 2, body)]
    nothing = b"[" + b",".join([b'"nothing"'] * 4000) + b"]"
    assert await intake.receive(nothing, path=_PATH) == Receipt.QUARANTINED
    await intake.close()


async def test_a_large_array_that_is_not_stored_in_time_is_refused_once_and_well_when_repeated(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    body = _array("m", 300)
    ends: list[Receipt | BaseException] = []

    async def _is_stored() -> bool:
        (end,) = await asyncio.gather(intake.receive(body, path=_PATH), return_exceptions=True)
        return end is Receipt.STORED

    async def _is_refused() -> bool:
        return bool(ends)

    async with connection.transaction():
        await connection.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        intake.put(Body(body, _PATH, None), ends.append)
        assert not await _is_stored()
        await eventually(_is_refused)
    assert isinstance(ends[0], BatcherError)
    await eventually(_is_stored)
    assert await connection.fetchval("SELECT count(*) FROM events") == 300
    assert len(ends) == 1


async def test_the_declared_charset_is_honoured(
    intake: Intake, connection: asyncpg.Connection
) -> None:
    document = json.loads(reply("m1", "Όχι, ευχαριστώ").body)
    body = json.dumps(document, ensure_ascii=False).encode("windows-1253")
    content = Content(type="application/json; charset=Windows-1253")
    assert await intake.receive(body, path=_PATH, content=content) == Receipt.STORED
    assert await connection.fetchval("SELECT message FROM inbound_messages") == document["message"]


async def test_a_large_array_may_be_compressed(url: str, connection: asyncpg.Connection) -> None:
    intake = _patient_intake(url)
    content = Content(encoding="gzip")
    octets = gzip.compress(_array("m", 500))
    assert await intake.receive(octets, path=_PATH, content=content) == Receipt.STORED
    assert await connection.fetchval("SELECT count(*) FROM events") == 500
    await intake.close()
