"""The tables of `plain_tables.sql`, as far as `idiomatic_app` has to know them."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import MetaData, SmallInteger
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.db.tables import Row


class PlainRow(DeclarativeBase):
    """The columns that both tables have."""

    metadata = MetaData(schema="plain")
    type_annotation_map = Row.type_annotation_map

    message_tracking_id: Mapped[str] = mapped_column(primary_key=True)
    status_key: Mapped[str]
    status_rank: Mapped[int] = mapped_column(SmallInteger)
    provider_status: Mapped[str]
    detailed_status: Mapped[str | None]
    description: Mapped[str | None]
    campaign_tracking_id: Mapped[str | None]
    recipient: Mapped[str | None]
    sender: Mapped[str | None]
    country: Mapped[str | None]
    label: Mapped[str | None]
    price: Mapped[Decimal | None]
    created_at: Mapped[datetime | None]


class EventRow(PlainRow):
    """One fact about one message."""

    __tablename__ = "events"

    status_key: Mapped[str] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    source: Mapped[int] = mapped_column(SmallInteger)
    payload: Mapped[bytes | None]


class MessageRow(PlainRow):
    """The current state of one message."""

    __tablename__ = "messages"

    status: Mapped[str]
    status_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    first_occurred_at: Mapped[datetime | None]
    last_occurred_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
