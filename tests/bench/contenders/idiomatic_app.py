"""
`python -m tests.bench.contenders.idiomatic_app PORT DATABASE_URL`: callbacks, the usual way.

What is stored means what it means to the service. Counts are deltas here as well, which spares it a
hot row for each campaign.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

import asyncpg
import uvicorn
from fastapi import Body, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.db.tables import CampaignCountDeltaRow
from tests.bench.contenders.idiomatic_tables import EventRow, MessageRow
from tests.database import connect

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RANKS: Final = {
    "QUEUED": 1,
    "SENT": 2,
    "UNDELIVERED": 3,
    "EXPIRED": 3,
    "FAILED": 3,
    "UNSENT": 3,
    "DELIVERED": 4,
    "SEEN": 5,
}
_FAILURE_RANK: Final = 3
_LEADING: Final = (
    "status_rank",
    "status_at",
    "status_key",
    "provider_status",
    "detailed_status",
    "description",
)
_EARLIEST: Final = (
    "campaign_tracking_id",
    "recipient",
    "sender",
    "country",
    "label",
    "created_at",
    "queued_at",
    "sent_at",
    "delivered_at",
    "seen_at",
    "failed_at",
    "first_occurred_at",
)
_LATEST: Final = ("price", "last_occurred_at")
_OF_MESSAGE: Final = ("message_tracking_id", "status", *_LEADING, *_EARLIEST, *_LATEST)
_EARLIEST_OF_EVENT: Final = _EARLIEST[:6]
_LATEST_OF_EVENT: Final = ("price", *_LEADING[3:])
_OF_EVENT: Final = (
    "message_tracking_id",
    "status_key",
    "status_rank",
    *_EARLIEST_OF_EVENT,
    *_LATEST_OF_EVENT,
)


def _event_upsert() -> Insert:
    statement = insert(EventRow)
    new, old = statement.excluded, EventRow.__table__.c
    merged = {name: func.least(old[name], new[name]) for name in _EARLIEST_OF_EVENT}
    merged |= {name: func.greatest(old[name], new[name]) for name in _LATEST_OF_EVENT}
    keys = ("message_tracking_id", "status_key", "occurred_at")
    return statement.on_conflict_do_update(index_elements=keys, set_=merged)


_INSERT_EVENT: Final = _event_upsert()
_INSERT_MESSAGE: Final = (
    insert(MessageRow).on_conflict_do_nothing().returning(MessageRow.message_tracking_id)
)


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class Reason(_Part):
    detailed_status: str | None = None
    description: str | None = None


class StatusPart(_Part):
    name: str
    updated_date: datetime = _EPOCH
    reason: Reason = Reason()


class Callback(_Part):
    tracking_id: str
    campaign_tracking_id: str | None = None
    to: str | None = None
    sender: str | None = Field(default=None, alias="from")
    country: str | None = None
    label: str | None = None
    price: Decimal | None = None
    created_at: datetime | None = None
    status: StatusPart


class Answer(BaseModel):
    result: Literal["stored"] = "stored"


_sessions: Final[async_sessionmaker[AsyncSession]] = async_sessionmaker(expire_on_commit=False)


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[None]:
    async def _connect() -> asyncpg.Connection:
        return await connect(database_url)

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=_connect, pool_size=20, max_overflow=0
    )
    _sessions.configure(bind=engine)
    yield
    await engine.dispose()


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with connected(sys.argv[2]):
        yield


app = FastAPI(lifespan=_lifespan)


@app.post("/callbacks/status")
async def receive(callback: Annotated[Callback, Body()], request: Request) -> Answer:
    await store(callback, await request.body())
    return Answer()


async def store(callback: Callback, payload: bytes) -> None:
    async with _sessions() as session, session.begin():
        await _store(session, callback, payload)


async def _store(session: AsyncSession, callback: Callback, payload: bytes) -> None:
    message = _message_of(callback)
    before = await session.get(MessageRow, callback.tracking_id, with_for_update=True)
    if before is None and not await _insert(session, message):
        before = await session.get(MessageRow, callback.tracking_id, with_for_update=True)
    counted = (before.campaign_tracking_id, before.status) if before else None
    after = _merge(before, message) if before else message
    if session.is_modified(after):
        after.updated_at = datetime.now(UTC)
    _count(session, counted, (after.campaign_tracking_id, after.status))
    await _insert_event(session, message, payload)


async def _insert(session: AsyncSession, message: MessageRow) -> bool:
    return await session.scalar(_INSERT_MESSAGE, _values(message, _OF_MESSAGE)) is not None


def _values(message: MessageRow, names: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(message, name) for name in names}


def _message_of(callback: Callback) -> MessageRow:
    given, key = callback.status, callback.status.name.upper()
    rank, at = _RANKS.get(key, 0), given.updated_date if given.updated_date != _EPOCH else None
    return MessageRow(
        message_tracking_id=callback.tracking_id,
        status=key if rank else "UNKNOWN",
        status_rank=rank,
        status_at=given.updated_date,
        status_key=key,
        provider_status=given.name,
        detailed_status=given.reason.detailed_status,
        description=given.reason.description,
        campaign_tracking_id=callback.campaign_tracking_id,
        recipient=callback.to,
        sender=callback.sender,
        country=callback.country,
        label=callback.label,
        price=callback.price,
        created_at=callback.created_at,
        queued_at=at if key == "QUEUED" else None,
        sent_at=at if key == "SENT" else None,
        delivered_at=at if key == "DELIVERED" else None,
        seen_at=at if key == "SEEN" else None,
        failed_at=at if rank == _FAILURE_RANK else None,
        first_occurred_at=at,
        last_occurred_at=at,
    )


def _merge(known: MessageRow, given: MessageRow) -> MessageRow:
    if _standing(given) > _standing(known):
        for name in ("status", *_LEADING):
            setattr(known, name, getattr(given, name))
    for names, choose in ((_EARLIEST, min), (_LATEST, max)):
        for name in names:
            values = [getattr(row, name) for row in (known, given)]
            setattr(known, name, choose((v for v in values if v is not None), default=None))
    return known


def _standing(message: MessageRow) -> tuple[object, ...]:
    words = (getattr(message, name) or "" for name in _LEADING[2:])
    return (message.status_rank, message.status_at, *words)


def _count(
    session: AsyncSession, before: tuple[str | None, str] | None, after: tuple[str | None, str]
) -> None:
    if before == after:
        return
    for side, messages in ((before, -1), (after, 1)):
        if side is not None and side[0] is not None:
            row = CampaignCountDeltaRow(
                campaign_tracking_id=side[0], status=side[1], messages=messages
            )
            session.add(row)


async def _insert_event(session: AsyncSession, message: MessageRow, payload: bytes) -> None:
    values = _values(message, _OF_EVENT)
    given = {"occurred_at": message.status_at, "source": 0, "payload": payload}
    await session.execute(_INSERT_EVENT, values | given)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
