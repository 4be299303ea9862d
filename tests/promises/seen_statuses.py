"""
What each part of the service reports about the statuses of one message.

Run as a program, it does so with the code of its working directory, and rebuilds the message first
if it is asked to: `python -m tests.promises.seen_statuses URL [rebuild]`.
"""

import asyncio
import json
import sys
from typing import NamedTuple

import asyncpg

from app.api.feed_json import feed_json
from app.api.history import history_json
from app.db.campaigns import counts_of
from app.db.database import Database, migrate_database
from app.db.feed.pages import FeedFilter, page_of_feed
from app.db.ingest import IngestSession
from app.db.messages import find_message, history_of
from app.db.payloads import opened
from app.domain.feed import BEGINNING
from app.domain.history import effects_of
from app.kit.slices import Slices
from app.observability.metrics import Metrics
from app.services.feed.pages import FeedForm
from tests.database import connect
from tests.services.callbacks.intakes import intake_on

MESSAGE = "m1"
CAMPAIGN = "campaign"
_PATH = "/callbacks/***/status"
_BUDGET_SECONDS = 10


class Seen(NamedTuple):
    """The statuses of the message, of its events in the order of the feed, and the counts."""

    message: str
    rank: int
    #: (status, changed) of each event.
    history: list[tuple[str, bool]]
    feed: list[tuple[str, bool]]
    #: The current status of the message, as each item of the feed has it.
    message_in_feed: list[str]
    analysts: list[str]
    counts: dict[str, int]
    events: int


async def store(url: str, bodies: list[bytes]) -> None:
    """Send *bodies* through the intake."""
    session = IngestSession(url, statement_timeout_seconds=_BUDGET_SECONDS)
    intake = intake_on(session, Metrics(), ack_budget_seconds=_BUDGET_SECONDS)
    for body in bodies:
        await intake.receive(body, path=_PATH)
    await intake.close()


async def rebuild(url: str, connection: asyncpg.Connection) -> None:
    """Delete the message and its counts, and send the stored payloads through the intake again."""
    await connection.execute("DELETE FROM messages")
    await connection.execute("DELETE FROM campaign_counts")
    await connection.execute("DELETE FROM campaign_count_deltas")
    rows = await connection.fetch("SELECT payload, payload_dictionary FROM events ORDER BY id DESC")
    await store(url, [opened(row[0], row[1]) for row in rows])


async def seen(url: str, connection: asyncpg.Connection) -> Seen:
    """Ask each part of the service."""
    database = Database(url, name="tests", pool_items=1)
    message = await find_message(database, MESSAGE)
    assert message is not None
    events = await history_of(database, message)
    effects = effects_of(events)
    history = [json.loads(history_json(*item)) for item in zip(events, effects, strict=True)]
    page = await page_of_feed(database, FeedFilter(), after=BEGINNING, limit=100)
    items = [
        item["data"] for item in json.loads(await feed_json(page, FeedForm(), Slices()))["items"]
    ]
    analysts = await connection.fetch("SELECT status FROM bi_v1.message_events ORDER BY id")
    result = Seen(
        message=message.status,
        rank=message.status_rank,
        history=[(item["status"], item["changed"]) for item in history],
        feed=[(data["status"], data["changed"]) for data in items],
        message_in_feed=[data["messageStatus"] for data in items],
        analysts=[row[0] for row in analysts],
        counts={status: n for status, n in (await counts_of(database, CAMPAIGN)).items() if n},
        events=await connection.fetchval("SELECT count(*) FROM events"),
    )
    await database.close()
    return result


async def _main(url: str, *, rebuilt: bool) -> None:
    await migrate_database(url)
    connection = await connect(url)
    if rebuilt:
        await rebuild(url, connection)
    print(json.dumps(await seen(url, connection)))  # noqa: T201 (its answer)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], rebuilt=sys.argv[2:] == ["rebuild"]))
