"""Who tells of a trackingId first: no other token may tell of it, however two processes meet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.db.ingest import Appended, IngestSession, append_events, append_inbound
from app.db.launching.binding import Claim, bind, claim, observe
from app.routee.translate import translate
from app.services.callbacks.flush import PendingRecord
from tests.db.feed.feed_stage import event, reply
from tests.promises.flushing import PATH, Flushing
from tests.promises.load import callback
from tests.promises.load import reply as reply_callback
from tests.promises.stage import eventually

T = TypeVar("T")

_WAITS_FOR_A_LOCK: Final = """
SELECT count(*) > 0 FROM pg_locks WHERE pid = $1 AND NOT granted
"""
STORED: Final = Appended(1, frozenset())
FOREIGN: Final = Appended(0, frozenset({0}))

#: The trackingIds that the campaigns of the two tokens have already: each known or not.
KNOWN: Final = [(None, None), ("a", None), (None, "b"), ("a", "b")]
known = pytest.mark.parametrize(("first_id", "second_id"), KNOWN)
ends = pytest.mark.parametrize("is_committed", [True, False])


async def _launch(connection: asyncpg.Connection, tracking_id: str | None = None) -> UUID:
    campaign_id: UUID = await connection.fetchval(
        "INSERT INTO campaigns (name, tracking_id, submission) VALUES ($1, $2, 'launched')"
        " RETURNING id",
        uuid4().hex,
        tracking_id,
    )
    return campaign_id


@pytest.fixture
async def pair(url: str) -> AsyncIterator[tuple[asyncpg.Connection, asyncpg.Connection]]:
    """The connections of two processes, as their callback paths have them."""
    sessions = [IngestSession(url, statement_timeout_seconds=50) for _ in range(2)]
    async with sessions[0].connected() as one, sessions[1].connected() as two:
        yield one, two
    for session in sessions:
        await session.close()


async def _second_outcome(
    pair: tuple[asyncpg.Connection, asyncpg.Connection],
    look: asyncpg.Connection,
    first: Callable[[asyncpg.Connection], Awaitable[object]],
    second: Callable[[asyncpg.Connection], Coroutine[Any, Any, T]],
    *,
    is_committed: bool,
) -> T:
    """
    What *second* comes to, which begins while the transaction of *first* is open.

    That one ends once the other waits for it.
    """
    one, two = pair
    transaction = one.transaction()
    await transaction.start()
    await first(one)
    waiting = asyncio.create_task(second(two))

    async def _waits() -> bool:
        return bool(await look.fetchval(_WAITS_FOR_A_LOCK, two.get_server_pid()))

    await eventually(_waits)
    assert not waiting.done()
    await (transaction.commit() if is_committed else transaction.rollback())
    return await waiting


@ends
@known
async def test_of_two_tokens_that_tell_of_one_message_at_once_the_first_to_commit_has_it(
    connection: asyncpg.Connection,
    pair: tuple[asyncpg.Connection, asyncpg.Connection],
    first_id: str | None,
    second_id: str | None,
    *,
    is_committed: bool,
) -> None:
    first, second = await _launch(connection, first_id), await _launch(connection, second_id)
    outcome = await _second_outcome(
        pair,
        connection,
        lambda one: append_events(one, [event("m", campaign=None, campaign_id=first)]),
        lambda two: append_events(two, [event("m", "SEEN", campaign=None, campaign_id=second)]),
        is_committed=is_committed,
    )
    assert outcome == (FOREIGN if is_committed else STORED)
    row = await connection.fetchrow("SELECT campaign_id, status FROM messages")
    assert row is not None
    assert tuple(row) == ((first, "SENT") if is_committed else (second, "SEEN"))


@ends
@pytest.mark.parametrize("named", [None, "x"])
@pytest.mark.parametrize("own_id", [None, "a"])
async def test_a_token_does_not_touch_what_a_shared_secret_tells_of_at_once_before_it(
    connection: asyncpg.Connection,
    pair: tuple[asyncpg.Connection, asyncpg.Connection],
    named: str | None,
    own_id: str | None,
    *,
    is_committed: bool,
) -> None:
    campaign = await _launch(connection, own_id)
    outcome = await _second_outcome(
        pair,
        connection,
        lambda one: append_events(one, [event("m", campaign=named)]),
        lambda two: append_events(two, [event("m", "SEEN", campaign=None, campaign_id=campaign)]),
        is_committed=is_committed,
    )
    assert outcome == (FOREIGN if is_committed else STORED)
    status = await connection.fetchval("SELECT status FROM messages")
    assert status == ("SENT" if is_committed else "SEEN")


@ends
async def test_a_shared_secret_tells_of_what_a_token_made_known_at_once_before_it(
    connection: asyncpg.Connection,
    pair: tuple[asyncpg.Connection, asyncpg.Connection],
    *,
    is_committed: bool,
) -> None:
    campaign = await _launch(connection)
    outcome = await _second_outcome(
        pair,
        connection,
        lambda one: append_events(one, [event("m", campaign=None, campaign_id=campaign)]),
        lambda two: append_events(two, [event("m", "SEEN", campaign=None)]),
        is_committed=is_committed,
    )
    assert outcome == STORED
    assert await connection.fetchval("SELECT status FROM messages") == "SEEN"


async def test_a_message_of_its_own_campaign_is_no_other_token_s_whoever_made_it_known(
    connection: asyncpg.Connection,
) -> None:
    own, other = await _launch(connection, "a"), await _launch(connection, "b")
    await append_events(connection, [event("m", campaign="a")])
    seen = event("m", "SEEN", campaign=None, campaign_id=own)
    assert await append_events(connection, [seen._replace(campaign_id=other)]) == FOREIGN
    assert await append_events(connection, [seen]) == STORED


@ends
@known
async def test_of_two_tokens_that_name_one_campaign_at_once_the_first_to_commit_has_it(
    connection: asyncpg.Connection,
    pair: tuple[asyncpg.Connection, asyncpg.Connection],
    first_id: str | None,
    second_id: str | None,
    *,
    is_committed: bool,
) -> None:
    first, second = await _launch(connection, first_id), await _launch(connection, second_id)
    outcome = await _second_outcome(
        pair,
        connection,
        lambda one: claim(one, first, "x"),
        lambda two: claim(two, second, "x"),
        is_committed=is_committed,
    )
    expected = Claim.OWN if second_id is None else Claim.COPY
    assert outcome is (Claim.FOREIGN if is_committed else expected)
    assert await claim(connection, second, "x") is outcome
    learnt = await connection.fetchval("SELECT tracking_id FROM campaigns WHERE id = $1", second)
    assert learnt == ("x" if outcome is Claim.OWN else second_id)


@ends
@pytest.mark.parametrize("own_id", [None, "a"])
async def test_a_token_does_not_take_a_campaign_that_a_shared_secret_names_at_once_before_it(
    connection: asyncpg.Connection,
    pair: tuple[asyncpg.Connection, asyncpg.Connection],
    own_id: str | None,
    *,
    is_committed: bool,
) -> None:
    campaign = await _launch(connection, own_id)
    outcome = await _second_outcome(
        pair,
        connection,
        lambda one: observe(one, ["x"]),
        lambda two: claim(two, campaign, "x"),
        is_committed=is_committed,
    )
    expected = Claim.OWN if own_id is None else Claim.COPY
    assert outcome is (Claim.FOREIGN if is_committed else expected)


@ends
async def test_a_shared_secret_changes_nothing_of_a_campaign_that_a_token_names_at_once_before_it(
    connection: asyncpg.Connection,
    pair: tuple[asyncpg.Connection, asyncpg.Connection],
    *,
    is_committed: bool,
) -> None:
    campaign = await _launch(connection)
    await _second_outcome(
        pair,
        connection,
        lambda one: claim(one, campaign, "x"),
        lambda two: observe(two, ["x"]),
        is_committed=is_committed,
    )
    found = await claim(connection, campaign, "x")
    assert found is (Claim.OWN if is_committed else Claim.FOREIGN)


async def test_routee_s_answer_gives_a_campaign_its_trackingid_whoever_has_named_it(
    connection: asyncpg.Connection,
) -> None:
    for at, through in enumerate([None, await _launch(connection, "a")]):
        campaign = await _launch(connection)
        await observe(connection, [f"x{at}"], through=through)
        assert await claim(connection, campaign, f"x{at}") is Claim.FOREIGN
        assert await bind(connection, campaign, f"x{at}")
        assert await claim(connection, campaign, f"x{at}") is Claim.OWN


async def test_a_copy_is_known_through_the_token_that_named_it_alone(
    connection: asyncpg.Connection,
) -> None:
    original, other = await _launch(connection, "a"), await _launch(connection, "b")
    assert await claim(connection, original, "x") is Claim.COPY
    assert await claim(connection, other, "x") is Claim.FOREIGN
    assert await claim(connection, await _launch(connection), "x") is Claim.FOREIGN
    assert await claim(connection, original, "x") is Claim.COPY


@pytest.mark.parametrize("made_known_by", ["shared secret", "other token", "own token", "nobody"])
@pytest.mark.parametrize("own_id", [None, "a"])
async def test_a_reply_through_a_token_answers_messages_of_this_token_and_unknown_ones(
    connection: asyncpg.Connection, made_known_by: str, own_id: str | None
) -> None:
    own, other = await _launch(connection, own_id), await _launch(connection)
    campaign_id = {"other token": other, "own token": own}.get(made_known_by)
    if made_known_by != "nobody":
        await append_events(connection, [event("m", campaign=None, campaign_id=campaign_id)])
    answer = reply("m")._replace(campaign_id=own)
    is_foreign = made_known_by in {"shared secret", "other token"}
    assert await append_inbound(connection, [answer]) == (FOREIGN if is_foreign else STORED)
    assert await append_inbound(connection, [reply("m")]) == STORED


def _through(token: UUID | None, body: bytes) -> PendingRecord:
    (record,) = translate(body, campaign_id=token).records
    return PendingRecord(record, PATH)


@pytest.fixture
async def flushing(url: str) -> AsyncIterator[Flushing]:
    flushing = Flushing(url)
    yield flushing
    await flushing.session.close()


@pytest.mark.parametrize("named", [None, "x"])
async def test_in_one_batch_the_first_to_tell_has_the_message_and_the_campaign(
    flushing: Flushing, connection: asyncpg.Connection, named: str | None
) -> None:
    for at, (first, second) in enumerate(
        [
            (await _launch(connection), await _launch(connection)),
            (None, await _launch(connection)),
            (None, await _launch(connection, "own")),
            (await _launch(connection, "a"), await _launch(connection, "b")),
        ]
    ):
        message, campaign = f"m{at}", None if named is None else f"{named}{at}"
        outcomes = await flushing.flush_records(
            [
                _through(first, callback(message, "SENT", campaign=campaign).body),
                _through(second, callback(message, "SEEN", campaign=campaign).body),
                _through(second, reply_callback(message, "hello").body),
                _through(first, callback(message, "DELIVERED", campaign=campaign).body),
            ]
        )
        assert outcomes == ["stored", "quarantined", "quarantined", "stored"]
        row = await connection.fetchrow(
            "SELECT status, campaign_id FROM messages WHERE message_tracking_id = $1", message
        )
        assert row is not None
        assert tuple(row) == ("DELIVERED", first)


async def test_in_one_batch_a_token_keeps_its_campaign_from_a_shared_secret_that_comes_later(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    campaign = await _launch(connection)
    outcomes = await flushing.flush_records(
        [
            _through(campaign, callback("m1", campaign="x").body),
            _through(None, callback("m2", campaign="x").body),
            _through(campaign, callback("m3", campaign="x").body),
        ]
    )
    assert outcomes == ["stored"] * 3
    assert await claim(connection, campaign, "x") is Claim.OWN


async def test_two_processes_whose_batches_have_both_tokens_never_mix_a_message(
    url: str, connection: asyncpg.Connection
) -> None:
    one, two = await _launch(connection, "a"), await _launch(connection)
    processes = [Flushing(url), Flushing(url)]

    def _batch(first: UUID, second: UUID) -> list[PendingRecord]:
        return [
            _through(token, callback(f"m{at}", status, campaign=None).body)
            for at in range(40)
            for token, status in ((first, "SENT"), (second, "SEEN"))
        ]

    outcomes = await asyncio.gather(
        processes[0].flush_records(_batch(one, two)), processes[1].flush_records(_batch(two, one))
    )
    assert {outcome for batch in outcomes for outcome in batch} == {"stored", "quarantined"}
    mixed = await connection.fetchval(
        "SELECT count(*) FROM (SELECT FROM events GROUP BY message_tracking_id"
        " HAVING count(DISTINCT campaign_id) > 1) AS mixed"
    )
    assert mixed == 0
    assert await connection.fetchval("SELECT count(*) FROM messages") == 40
    for process in processes:
        await process.session.close()
