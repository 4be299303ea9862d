import asyncio
import random
from collections.abc import AsyncIterator
from itertools import product
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.db.ingest import APPEND_EVENTS, Appended, IngestSession, append_events, append_inbound
from app.db.launching.binding import Claim, bind, claim, observe
from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.routee.translate import translate
from tests.db.feed.feed_stage import event
from tests.promises.load import callback, reply

ROUNDS = 25
MANY_ROUNDS = 400


async def _launch(
    connection: asyncpg.Connection, tracking_id: str | None = None, submission: str = "launched"
) -> UUID:
    campaign_id: UUID = await connection.fetchval(
        "INSERT INTO campaigns (name, tracking_id, submission) VALUES ($1, $2, $3) RETURNING id",
        uuid4().hex,
        tracking_id,
        submission,
    )
    return campaign_id


def _event(
    message: str, *, token: UUID | None, campaign: str | None = None, status: str = "SENT"
) -> DeliveryEvent:
    body = callback(message, status, campaign=campaign).body
    (record,) = translate(body, campaign_id=token).records
    assert isinstance(record, DeliveryEvent)
    return record


def _reply(message: str, *, token: UUID | None, text: str = "hello") -> InboundMessage:
    (record,) = translate(reply(message, text).body, campaign_id=token).records
    assert isinstance(record, InboundMessage)
    return record


async def _campaigns_of(connection: asyncpg.Connection, table: str) -> list[str | None]:
    rows = await connection.fetch(f"SELECT campaign_tracking_id FROM {table}")  # noqa: S608
    return sorted((row[0] for row in rows), key=str)


async def _counts(connection: asyncpg.Connection) -> dict[tuple[str, str], int]:
    rows = await connection.fetch(
        "SELECT campaign_tracking_id, status, sum(messages)::int FROM campaign_count_deltas"
        " GROUP BY 1, 2 HAVING sum(messages) <> 0"
    )
    return {(row[0], row[1]): row[2] for row in rows}


async def _recount(connection: asyncpg.Connection) -> dict[tuple[str, str], int]:
    rows = await connection.fetch(
        "SELECT campaign_tracking_id, status, count(*)::int FROM messages"
        " WHERE campaign_tracking_id IS NOT NULL GROUP BY 1, 2"
    )
    return {(row[0], row[1]): row[2] for row in rows}


@pytest.fixture
async def others(url: str) -> AsyncIterator[list[asyncpg.Connection]]:
    """Connections as the callback path of other processes has them."""
    sessions = [IngestSession(url, statement_timeout_seconds=20) for _ in range(4)]
    connections = []
    for session in sessions:
        async with session.connected() as lent:
            connections.append(lent)
    yield connections
    for session in sessions:
        await session.close()


async def test_the_first_tracking_id_through_a_token_is_the_campaigns_own(
    connection: asyncpg.Connection,
) -> None:
    campaign = await _launch(connection, submission="unconfirmed")
    assert await claim(connection, campaign, "c1") is Claim.OWN
    assert await claim(connection, campaign, "c1") is Claim.OWN
    row = await connection.fetchrow("SELECT tracking_id, submission FROM campaigns")
    assert row is not None
    assert tuple(row) == ("c1", "launched")


@pytest.mark.parametrize("submission", ["cancelled", "launched"])
async def test_a_settled_campaign_keeps_what_it_was_settled_as(
    connection: asyncpg.Connection, submission: str
) -> None:
    campaign = await _launch(connection, submission=submission)
    assert await claim(connection, campaign, "c1") is Claim.OWN
    assert await connection.fetchval("SELECT submission FROM campaigns") == submission


async def test_a_callback_proves_that_a_rejected_campaign_was_accepted(
    connection: asyncpg.Connection,
) -> None:
    campaign = await _launch(connection, submission="rejected")
    assert await claim(connection, campaign, "c1") is Claim.OWN
    assert await connection.fetchval("SELECT submission FROM campaigns") == "launched"


async def test_a_second_tracking_id_never_rebinds(connection: asyncpg.Connection) -> None:
    campaign = await _launch(connection, "c1")
    assert await claim(connection, campaign, "c2") is Claim.COPY
    assert await claim(connection, campaign, "c2") is Claim.COPY
    assert not await bind(connection, campaign, "c2")
    rows = await connection.fetch("SELECT tracking_id, submission FROM campaigns ORDER BY 1")
    assert [tuple(row) for row in rows] == [("c1", "launched"), ("c2", "observed")]


async def test_another_campaign_of_ours_is_foreign(connection: asyncpg.Connection) -> None:
    with_id, without_id = await _launch(connection, "c1"), await _launch(connection)
    await _launch(connection, "c2")
    assert await claim(connection, with_id, "c2") is Claim.FOREIGN
    assert await claim(connection, without_id, "c2") is Claim.FOREIGN
    assert (
        await connection.fetchval("SELECT tracking_id FROM campaigns WHERE id = $1", without_id)
        is None
    )


async def test_a_campaign_that_does_not_exist_is_not_bound(
    connection: asyncpg.Connection,
) -> None:
    assert not await bind(connection, uuid4(), "c1")
    assert await claim(connection, uuid4(), "c1") is Claim.COPY


async def test_an_observed_row_is_absorbed_by_the_campaign_that_is_bound_to_its_id(
    connection: asyncpg.Connection,
) -> None:
    await observe(connection, ["c1", "c2"])
    campaign = await _launch(connection)
    assert await bind(connection, campaign, "c1")
    rows = await connection.fetch("SELECT id, tracking_id FROM campaigns ORDER BY tracking_id")
    assert [row["tracking_id"] for row in rows] == ["c1", "c2"]
    assert rows[0]["id"] == campaign


async def test_a_tracking_id_of_another_campaign_of_ours_is_not_taken_from_it(
    connection: asyncpg.Connection,
) -> None:
    owner, thief = await _launch(connection, "c1"), await _launch(connection)
    with pytest.raises(asyncpg.UniqueViolationError):
        await bind(connection, thief, "c1")
    assert await connection.fetchval("SELECT id FROM campaigns WHERE tracking_id = 'c1'") == owner


async def test_binding_includes_everything_that_came_before(connection: asyncpg.Connection) -> None:
    campaign = await _launch(connection)
    await append_events(
        connection,
        [
            _event("m1", token=campaign, status="QUEUED"),
            _event("m1", token=campaign, status="SENT"),
            _event("m2", token=campaign, status="SEEN"),
        ],
    )
    await append_inbound(connection, [_reply("m1", token=campaign)])
    assert await _counts(connection) == {}
    assert await bind(connection, campaign, "c1")
    assert await _campaigns_of(connection, "messages") == ["c1"] * 2
    assert await _campaigns_of(connection, "events") == ["c1"] * 3
    assert await _campaigns_of(connection, "inbound_messages") == ["c1"]
    assert await _counts(connection) == {("c1", "SENT"): 1, ("c1", "SEEN"): 1}


async def test_callbacks_after_binding_are_bound_at_once(connection: asyncpg.Connection) -> None:
    campaign = await _launch(connection, "c1")
    await append_events(connection, [_event("m1", token=campaign)])
    await append_inbound(connection, [_reply("m1", token=campaign)])
    for table in ("messages", "events", "inbound_messages"):
        assert await _campaigns_of(connection, table) == ["c1"]
    assert await _counts(connection) == {("c1", "SENT"): 1}


async def test_binding_leaves_messages_of_other_campaigns_alone(
    connection: asyncpg.Connection,
) -> None:
    ours, theirs = await _launch(connection), await _launch(connection)
    await append_events(
        connection,
        [_event("m1", token=ours), _event("m2", token=theirs), _event("m3", token=None)],
    )
    await bind(connection, ours, "c1")
    bound = await connection.fetch(
        "SELECT message_tracking_id FROM messages WHERE campaign_tracking_id IS NOT NULL"
    )
    assert [row[0] for row in bound] == ["m1"]


_KNOWLEDGE = list(product([True, False], repeat=3))


async def test_a_message_of_one_campaign_is_not_touched_through_the_token_of_another(
    connection: asyncpg.Connection,
) -> None:
    for at, (owner_is_known, other_is_known, named) in enumerate(_KNOWLEDGE):
        message = f"m{at}"
        owner = await _launch(connection, f"{at}a" if owner_is_known else None)
        other = await _launch(connection, f"{at}b" if other_is_known else None)
        campaign = f"{at}b" if named and other_is_known else None
        await append_events(connection, [_event(message, token=owner)])
        its_row = f"SELECT * FROM messages WHERE message_tracking_id = '{message}'"  # noqa: S608
        before = await connection.fetch(its_row)
        foreign = _event(message, token=other, campaign=campaign, status="SEEN")
        own = _event(f"own{at}", token=other)
        assert await append_events(connection, [own, foreign]) == Appended(1, frozenset({1}))
        assert await append_inbound(connection, [_reply(message, token=other)]) == Appended(
            0, frozenset({0})
        )
        assert await connection.fetch(its_row) == before
    assert await connection.fetchval("SELECT count(*) FROM inbound_messages") == 0
    assert await connection.fetchval("SELECT count(*) FROM events") == 2 * len(_KNOWLEDGE)
    assert await _counts(connection) == await _recount(connection)


async def test_counts_follow_when_a_message_that_has_a_campaign_gets_a_lesser_one(
    connection: asyncpg.Connection,
) -> None:
    """A callback of another sender named another campaign before ours was known."""
    campaign = await _launch(connection)
    await append_events(connection, [_event("m1", token=campaign, status="SEEN")])
    await append_events(connection, [_event("m1", token=None, campaign="c9")])
    await bind(connection, campaign, "c1")
    assert await _campaigns_of(connection, "messages") == ["c1"]
    assert await _campaigns_of(connection, "events") == ["c1", "c9"]
    assert await _counts(connection) == {("c1", "SEEN"): 1}


async def _race(
    connection: asyncpg.Connection,
    others: list[asyncpg.Connection],
    prefix: str,
    rng: random.Random,
) -> None:
    """Callbacks without a campaign, through its token, while several bind its trackingId."""
    campaign = await _launch(connection)
    tracking_id = f"{prefix}c"

    async def _append(writer: asyncpg.Connection, seed: int) -> None:
        order = random.Random(seed)  # noqa: S311
        messages = order.sample(range(12), 12)
        for start in range(0, 12, 4):
            batch = [f"{prefix}m{at}" for at in messages[start : start + 4]]
            await append_events(writer, [_event(message, token=campaign) for message in batch])
            await append_inbound(
                writer, [_reply(message, token=campaign, text=message) for message in batch]
            )

    async def _claim(writer: asyncpg.Connection) -> None:
        await asyncio.sleep(rng.random() * 0.02)
        assert await claim(writer, campaign, tracking_id) is Claim.OWN

    async def _bind(writer: asyncpg.Connection) -> None:
        await asyncio.sleep(rng.random() * 0.02)
        assert await bind(writer, campaign, tracking_id)

    async def _observe(writer: asyncpg.Connection) -> None:
        await asyncio.sleep(rng.random() * 0.02)
        await observe(writer, [tracking_id])

    # A token may not name what a shared callback secret has named before; Routee's answer may.
    bind_it = [_claim, _claim] if rng.random() < 0.5 else [_bind, _observe]
    await asyncio.gather(
        *(_append(writer, rng.randrange(10**6)) for writer in others[:2]),
        *(do(writer) for do, writer in zip(bind_it, others[2:], strict=True)),
    )


async def _assert_races_leave_nothing_unbound(
    connection: asyncpg.Connection, others: list[asyncpg.Connection], rounds: int
) -> None:
    rng = random.Random(7)  # noqa: S311
    for at in range(rounds):
        await _race(connection, others, f"{at:04}", rng)
    for table in ("messages", "events", "inbound_messages"):
        unbound = f"SELECT count(*) FROM {table} WHERE campaign_tracking_id IS NULL"  # noqa: S608
        assert await connection.fetchval(unbound) == 0, table
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == rounds * 12  # noqa: S608
    assert await _counts(connection) == await _recount(connection)
    assert await connection.fetchval("SELECT count(*) FROM campaigns") == rounds
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await connection.fetchval(deadlocks) == 0


async def test_binding_while_callbacks_come_leaves_nothing_unbound(
    connection: asyncpg.Connection, others: list[asyncpg.Connection]
) -> None:
    await _assert_races_leave_nothing_unbound(connection, others, ROUNDS)


@pytest.mark.slow
async def test_binding_while_callbacks_come_leaves_nothing_unbound_ever(
    connection: asyncpg.Connection, others: list[asyncpg.Connection]
) -> None:
    await _assert_races_leave_nothing_unbound(connection, others, MANY_ROUNDS)


async def test_a_campaign_that_is_observed_and_bound_at_once_is_one_campaign(
    connection: asyncpg.Connection, others: list[asyncpg.Connection]
) -> None:
    for at in range(60):
        campaign = await _launch(connection)
        is_bound, _ = await asyncio.gather(
            bind(others[0], campaign, f"c{at}"), observe(others[1], [f"c{at}", f"c{at}x"])
        )
        assert is_bound
    assert await connection.fetchval("SELECT count(*) FROM campaigns") == 120


async def test_one_of_two_campaigns_that_claim_one_tracking_id_at_once_gets_it(
    connection: asyncpg.Connection, others: list[asyncpg.Connection]
) -> None:
    for at in range(60):
        pair = [await _launch(connection) for _ in range(2)]
        claims = await asyncio.gather(
            *(
                claim(other, campaign, f"c{at}")
                for other, campaign in zip(others, pair, strict=False)
            )
        )
        assert sorted(claims, key=lambda it: it.name) == [Claim.FOREIGN, Claim.OWN]


async def test_concurrent_claims_of_one_tracking_id_for_its_campaign_are_all_its_own(
    connection: asyncpg.Connection, others: list[asyncpg.Connection]
) -> None:
    for at in range(150):
        campaign = await _launch(connection)

        async def _claim(other: asyncpg.Connection, delay: float) -> Claim:
            await asyncio.sleep(delay)
            return await claim(other, campaign, f"c{at}")  # noqa: B023 (awaited in this round)

        claims = await asyncio.gather(
            *(_claim(other, at % 7 * number / 4000) for number, other in enumerate(others))
        )
        assert claims == [Claim.OWN] * len(others)


async def test_many_messages_of_another_campaign_cost_one_repetition(
    connection: asyncpg.Connection,
) -> None:
    token = await connection.fetchval(
        "INSERT INTO campaigns (tracking_id, submission) VALUES ('own', 'launched') RETURNING id"
    )
    ids = [f"m{number}" for number in range(40)]
    await append_events(connection, [event(one, campaign="other") for one in ids])
    through_token = [event(one, "SEEN", campaign=None, campaign_id=token) for one in ids]
    asked: list[str] = []
    with connection.query_logger(lambda query: asked.append(query.query)):
        appended = await append_events(
            connection, [*through_token, event("mine", campaign=None, campaign_id=token)]
        )
    assert appended == (1, frozenset(range(40)))
    assert asked.count(APPEND_EVENTS) == 2
    assert await connection.fetchval("SELECT count(*) FROM messages WHERE status = 'SEEN'") == 0
