"""What is stored before it is read, and what is asked of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

import asyncpg

from app.db.ingest import append_events
from app.domain.event import DeliveryEvent
from app.domain.feed import Position, encode_position
from tests.bench.reads_wrk import Request
from tests.db.feed.feed_stage import START, event

MESSAGES: Final = 20_000
_BATCH_ITEMS: Final = 500
_STATUSES: Final = ("SENT", "DELIVERED", "SEEN")
_CAMPAIGNS: Final = 8
_LOOKED_UP: Final = 100
_PAGE_ITEMS: Final = 1000
#: From one to the next so far apart that neighbours in time are not neighbours in the table.
_STRIDE: Final = 7919
_PAGES: Final = 100

_POSITIONS: Final = """
SELECT feed_epoch, xid, max(id) AS id FROM events GROUP BY feed_epoch, xid
ORDER BY feed_epoch, xid LIMIT $1
"""


async def store(connection: asyncpg.Connection) -> None:
    """Three events for each message, batch by batch as the service stores them."""
    for first in range(0, MESSAGES, _BATCH_ITEMS):
        for step, status in enumerate(_STATUSES):
            numbers = range(first, first + _BATCH_ITEMS)
            events = [_event(number, step, status) for number in numbers]
            await append_events(connection, events)


async def positions(connection: asyncpg.Connection) -> list[Position]:
    """Where batches end, each with at least a page behind it."""
    return [Position(*row) for row in await connection.fetch(_POSITIONS, _PAGES)]


def of_ours(positions: Sequence[Position]) -> Mapping[str, Sequence[Request]]:
    """What our service is asked, by what is measured."""
    follow = f"/v1/events?after={{}}&limit={_PAGE_ITEMS}"
    return {
        "message": [Request(f"/v1/messages/{one}") for one in _spread()],
        "status": [Request(f"/v1/status/{one}") for one in _spread()],
        "lookup": [
            Request("/v1/messages/lookup", "POST", json.dumps({"trackingIds": ids}))
            for ids in _hundreds()
        ],
        "feed": [Request(follow.format(encode_position(position))) for position in positions],
        "feed_shared": [Request(follow.format(encode_position(positions[0])))],
    }


def of_postgrest(positions: Sequence[Position]) -> Mapping[str, Sequence[Request]]:
    """The same, as PostgREST is asked for it."""
    one = [Request(f"/messages?trackingId=eq.{one}") for one in _spread()]
    follow = f"/events?feed_epoch=eq.{{}}&xid=gt.{{}}&order=feed_epoch,xid,id&limit={_PAGE_ITEMS}"
    pages = [Request(follow.format(position.feed_epoch, position.xid)) for position in positions]
    return {
        "message": one,
        "status": one,
        "lookup": [Request(f"/messages?trackingId=in.({','.join(ids)})") for ids in _hundreds()],
        "feed": pages,
        "feed_shared": pages[:1],
    }


def _event(number: int, step: int, status: str) -> DeliveryEvent:
    at = START + timedelta(seconds=2 * step)
    made = event(_id(number), status, campaign=f"campaign-{number % _CAMPAIGNS}", at=at)
    return made._replace(
        recipient=f"+3069{number:08d}",
        detailed_status=status,
        description="The message was delivered to its recipient.",
        label="labelName",
        price=Decimal("0.035"),
    )


def _id(number: int) -> str:
    return f"{number:08d}-46a4-4dd4-8ca8-b817a6a134dd"


def _spread() -> Iterator[str]:
    return (_id(number * _STRIDE % MESSAGES) for number in range(MESSAGES // 4))


def _hundreds() -> Iterator[list[str]]:
    ids = list(_spread())
    return (ids[at : at + _LOOKED_UP] for at in range(0, len(ids), _LOOKED_UP))
