"""Any order, any repetition, same result: also through campaign tokens, learnt at any moment."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.launching.binding import Claim, claim
from app.domain.event import DeliveryEvent
from app.domain.message import Message, project
from app.services.callbacks.flush import PendingRecord
from tests.conftest import fresh_database
from tests.database import connect
from tests.domain.strategies import deliveries
from tests.promises.flushing import PATH, Flushing

PROCESSES = 3
CAMPAIGNS = 2


class Processes:
    """Some processes, and a look at what they have stored, on one loop."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.flushings = [Flushing(url) for _ in range(PROCESSES)]
        self.look: asyncpg.Connection = self.runner.run(connect(url))

    def close(self) -> None:
        for flushing in self.flushings:
            self.runner.run(flushing.session.close())
        self.runner.run(self.look.close())
        self.runner.close()


@pytest.fixture
def processes(server_url: str) -> Iterator[Processes]:
    with fresh_database(server_url) as url:
        processes = Processes(url)
        yield processes
        processes.close()


async def _launch(connection: asyncpg.Connection, campaigns: dict[UUID, str]) -> None:
    await connection.executemany(
        "INSERT INTO campaigns (id, name, submission) VALUES ($1, $2, 'unconfirmed')",
        [(campaign_id, f"name of {name}") for campaign_id, name in campaigns.items()],
    )


def _addressed(
    event: DeliveryEvent,
    prefix: str,
    campaigns: dict[UUID, str],
    rng: random.Random,
    *,
    is_known: bool,
) -> DeliveryEvent:
    """
    *event* as its campaign's: through its token or not, naming it or not.

    A token may not tell of what a shared callback secret made known, unless both say that it is of
    one campaign: so only a campaign whose trackingId *is_known* comes through both, and is named.
    """
    at = event.message_tracking_id.encode()[0] % CAMPAIGNS
    campaign_id, name = list(campaigns.items())[at]
    through_token = not is_known or rng.random() < 0.6
    return event._replace(
        message_tracking_id=f"{prefix}{event.message_tracking_id}",
        campaign_id=campaign_id if through_token else None,
        campaign_tracking_id=name if not through_token or rng.random() < 0.4 else None,
    )


async def _hammer(processes: Processes, events: list[DeliveryEvent], rng: random.Random) -> None:
    async def _flush_all(flushing: Flushing, order: random.Random) -> None:
        shuffled = order.sample(events, len(events))
        while shuffled:
            size = order.randint(1, 5)
            batch, shuffled = shuffled[:size], shuffled[size:]
            receipts = await flushing.flush_records([PendingRecord(event, PATH) for event in batch])
            assert set(receipts) == {"stored"}

    await asyncio.gather(
        *(
            _flush_all(flushing, random.Random(rng.random()))  # noqa: S311
            for flushing in processes.flushings
        )
    )


def _expected(events: list[DeliveryEvent], campaigns: dict[UUID, str]) -> dict[str, Message]:
    """What is known in the end: an event through a token is of the token's campaign."""
    by_message: dict[str, list[DeliveryEvent]] = {}
    for event in events:
        name = campaigns[event.campaign_id] if event.campaign_id else event.campaign_tracking_id
        resolved = event._replace(campaign_tracking_id=name)
        by_message.setdefault(event.message_tracking_id, []).append(resolved)
    return {message: project(its) for message, its in by_message.items()}


async def _assert_everything_agrees(
    look: asyncpg.Connection, expected: dict[str, Message], prefix: str, campaigns: dict[UUID, str]
) -> None:
    rows = await look.fetch(
        f"SELECT {', '.join(Message._fields)} FROM messages"  # noqa: S608
        " WHERE starts_with(message_tracking_id, $1)",
        prefix,
    )
    assert {row["message_tracking_id"]: Message._make(row.values()) for row in rows} == expected
    unbound = await look.fetchval(
        "SELECT count(*) FROM events WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL"
    )
    assert unbound == 0
    counts = await look.fetch(
        "SELECT campaign_tracking_id, status, sum(messages)::int FROM campaign_count_deltas"
        " WHERE campaign_tracking_id = ANY($1) GROUP BY 1, 2 HAVING sum(messages) <> 0",
        list(campaigns.values()),
    )
    assert {(row[0], row[1]): row[2] for row in counts} == Counter(
        (message.campaign_tracking_id, message.status.value)
        for message in expected.values()
        if message.campaign_tracking_id is not None
    )
    observed = "SELECT count(*) FROM campaigns WHERE submission = 'observed'"
    assert await look.fetchval(observed) == 0


async def _try(
    processes: Processes, delivered: list[DeliveryEvent], prefix: str, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311
    campaigns = {uuid4(): f"{prefix}c{at}" for at in range(CAMPAIGNS)}
    await _launch(processes.look, campaigns)
    if is_known := rng.random() < 0.5:
        for campaign_id, name in campaigns.items():
            assert await claim(processes.look, campaign_id, name) is Claim.OWN
    events = [_addressed(event, prefix, campaigns, rng, is_known=is_known) for event in delivered]
    await _hammer(processes, events, rng)
    for campaign_id, name in campaigns.items():
        assert await claim(processes.look, campaign_id, name) is Claim.OWN
    await _assert_everything_agrees(processes.look, _expected(events, campaigns), prefix, campaigns)


@pytest.mark.parametrize(
    "examples",
    [60, pytest.param(1500, marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
)
def test_any_order_any_repetition_same_result_through_campaign_tokens(
    processes: Processes, examples: int
) -> None:
    prefixes = iter(f"{number}:" for number in range(100_000))

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(deliveries(), st.integers(min_value=0, max_value=2**32))
    def _holds(delivered: list[DeliveryEvent], seed: int) -> None:
        processes.runner.run(_try(processes, delivered, next(prefixes), seed))

    _holds()
