"""
The tables that SQLAlchemy reads or writes.

`migrations/sql/tables.sql` has all tables; the others are reached by SQL alone.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

NAMING: Final = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "pk": "%(table_name)s_pkey",
}


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's `xid8`: the id of the transaction that wrote the row."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in DDL."""
        return "xid8"


#: Compares byte by byte, as Python does: every writer locks rows in the same order, and "the least"
#: is the same in both, whatever the locale.
Bytewise: Final = Text(collation="C")

METADATA: Final = MetaData(naming_convention=NAMING)

#: A sequence that is never drawn from: its value can be raised while others read and write.
FEED_EPOCH: Final = text("pg_sequence_last_value('feed_epoch'::regclass)")


class Row(DeclarativeBase):
    """The base of all tables."""

    metadata = METADATA
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it off the class)
        str: Text,
        int: BigInteger,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        Decimal: Numeric,
        UUID: Uuid,
    }


class CampaignRow(Row):
    """A campaign that was launched here, or that callbacks named."""

    __tablename__ = "campaigns"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    #: Routee's id; null until the campaign is bound to it.
    tracking_id: Mapped[str | None] = mapped_column(Bytewise, unique=True)
    name: Mapped[str | None]
    #: Whether the name was generated, because the caller gave none.
    name_generated: Mapped[bool] = mapped_column(server_default=text("false"))
    submission: Mapped[str]
    submission_reason: Mapped[str | None]
    label: Mapped[str | None]
    billing: Mapped[str | None]
    #: How many messages Routee said it would send.
    expected_messages: Mapped[int | None]
    cost: Mapped[Decimal | None]
    #: What the caller asked for, and what Routee answered, as JSON bytes.
    request: Mapped[bytes | None]
    answer: Mapped[bytes | None]
    warnings: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'"))
    #: Until when the process that is calling Routee counts as alive.
    lease_until: Mapped[datetime | None]
    #: How often Routee was asked for it.
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    #: When to ask again; null if not at all.
    next_attempt_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: The campaign whose token made an observed one known; null: a shared callback secret did.
    observed_through: Mapped[UUID | None]
    #: What the caller asked for.
    ttl_seconds: Mapped[int | None]
    scheduled_at: Mapped[datetime | None]
    #: When it was found to be finished.
    finished_at: Mapped[datetime | None]
    #: While it is being finished: the message up to which the overdue ones are in the feed.
    overdue_upto: Mapped[str | None] = mapped_column(Bytewise)

    __table_args__ = (
        Index(
            "campaigns_open_idx",
            "id",
            postgresql_where=text("submission IN ('launching', 'unconfirmed')"),
        ),
        Index(
            "campaigns_unfinished_idx",
            "id",
            postgresql_where=text("finished_at IS NULL AND submission IN ('launched', 'observed')"),
        ),
        Index("campaigns_name_idx", "name", "id"),
        Index("campaigns_label_idx", "label", "id"),
        Index("campaigns_submission_idx", "submission", "id"),
        Index(
            "campaigns_name_key",
            "name",
            unique=True,
            postgresql_where=text("submission IN ('launching', 'unconfirmed', 'launched')"),
        ),
    )


class StatusRow(Row):
    """A status of `domain.status` and its rank, for SQL."""

    __tablename__ = "statuses"

    status: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    rank: Mapped[int] = mapped_column(SmallInteger)


class SchemaProgramRow(Row):
    """A version of the schema of which the programs may store in this one."""

    __tablename__ = "schema_programs"

    version: Mapped[str] = mapped_column(Bytewise, primary_key=True)


class EventRow(Row):
    """One fact about one message. Partitioned by month of `occurred_at`."""

    __tablename__ = "events"

    #: From one sequence with those of inbound messages: the feed is one order.
    id: Mapped[int] = mapped_column(server_default=text("nextval('feed_id')"))
    #: With `feed_epoch` and `id`, the position in the feed.
    xid: Mapped[int] = mapped_column(TransactionId, server_default=text("pg_current_xact_id()"))
    #: 1970-01-01 if the provider gave no usable time.
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: Routee's own time of creation.
    created_at: Mapped[datetime | None]
    campaign_id: Mapped[UUID | None]
    feed_epoch: Mapped[int] = mapped_column(SmallInteger, server_default=FEED_EPOCH)
    source: Mapped[int] = mapped_column(SmallInteger)
    payload_dictionary: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    payload_reserialised: Mapped[bool] = mapped_column(server_default=text("false"))
    message_tracking_id: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    status_key: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    #: Of the payload, where word or time do not distinguish the event; else empty.
    digest: Mapped[bytes] = mapped_column(primary_key=True, server_default=text("''"))
    provider_status: Mapped[str] = mapped_column(Bytewise)
    detailed_status: Mapped[str | None] = mapped_column(Bytewise)
    description: Mapped[str | None] = mapped_column(Bytewise)
    campaign_tracking_id: Mapped[str | None] = mapped_column(Bytewise)
    recipient: Mapped[str | None] = mapped_column(Bytewise)
    sender: Mapped[str | None] = mapped_column(Bytewise)
    country: Mapped[str | None] = mapped_column(Bytewise)
    label: Mapped[str | None] = mapped_column(Bytewise)
    price: Mapped[Decimal | None]
    #: Null once its retention has passed.
    payload: Mapped[bytes | None]

    __table_args__ = (
        Index(
            "events_unbound_idx",
            "campaign_id",
            postgresql_where=text("campaign_id IS NOT NULL AND campaign_tracking_id IS NULL"),
        ),
        Index("events_feed_idx", "feed_epoch", "xid", "id"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )


class MessageRow(Row):
    """The current state of one message: a projection of its events."""

    __tablename__ = "messages"

    #: 1970-01-01 if the provider gave no usable time.
    status_at: Mapped[datetime]
    created_at: Mapped[datetime | None]
    queued_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    first_occurred_at: Mapped[datetime | None]
    last_occurred_at: Mapped[datetime | None]
    #: No event of it was received earlier, those that retention has removed included.
    first_received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    campaign_id: Mapped[UUID | None]
    status_rank: Mapped[int] = mapped_column(SmallInteger)
    message_tracking_id: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    campaign_tracking_id: Mapped[str | None] = mapped_column(Bytewise)
    #: In our vocabulary; `status_key` is the provider's word upper-cased.
    status: Mapped[str] = mapped_column(Bytewise)
    status_key: Mapped[str] = mapped_column(Bytewise)
    provider_status: Mapped[str] = mapped_column(Bytewise)
    detailed_status: Mapped[str | None] = mapped_column(Bytewise)
    description: Mapped[str | None] = mapped_column(Bytewise)
    recipient: Mapped[str | None] = mapped_column(Bytewise)
    sender: Mapped[str | None] = mapped_column(Bytewise)
    country: Mapped[str | None] = mapped_column(Bytewise)
    label: Mapped[str | None] = mapped_column(Bytewise)
    price: Mapped[Decimal | None]

    __table_args__ = (
        Index("messages_campaign_idx", "campaign_tracking_id", "message_tracking_id"),
        Index(
            "messages_unbound_idx",
            "campaign_id",
            "message_tracking_id",
            postgresql_where=text("campaign_id IS NOT NULL AND campaign_tracking_id IS NULL"),
        ),
        Index("messages_recipient_idx", "recipient", "message_tracking_id"),
        Index(
            "messages_label_idx",
            "label",
            "message_tracking_id",
            postgresql_where=text("label IS NOT NULL"),
        ),
        # No B-tree may have a column that callbacks change, as the status or this time: each update
        # would have to write to all indexes (docs/decisions/0012-indexes-of-messages.md).
        Index(
            "messages_updated_idx",
            "updated_at",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 8, "autosummarize": "on"},
        ),
    )


class InboundMessageRow(Row):
    """A recipient's reply."""

    __tablename__ = "inbound_messages"

    id: Mapped[int] = mapped_column(primary_key=True, server_default=text("nextval('feed_id')"))
    xid: Mapped[int] = mapped_column(TransactionId, server_default=text("pg_current_xact_id()"))
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    sent_at: Mapped[datetime | None]
    campaign_id: Mapped[UUID | None]
    feed_epoch: Mapped[int] = mapped_column(SmallInteger, server_default=FEED_EPOCH)
    payload_dictionary: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    payload_reserialised: Mapped[bool] = mapped_column(server_default=text("false"))
    #: A versioned hash of the content: Routee gives a reply no id.
    identity: Mapped[bytes] = mapped_column(unique=True)
    sender: Mapped[str | None] = mapped_column(Bytewise)
    recipient: Mapped[str | None] = mapped_column(Bytewise)
    message: Mapped[str | None]
    media: Mapped[str | None]
    filename: Mapped[str | None]
    campaign_tracking_id: Mapped[str | None] = mapped_column(Bytewise)
    campaign_name: Mapped[str | None]
    reference_tracking_id: Mapped[str | None] = mapped_column(Bytewise)
    label: Mapped[str | None]
    #: Null once its retention has passed.
    payload: Mapped[bytes | None]

    __table_args__ = (
        Index("inbound_messages_campaign_idx", "campaign_tracking_id", "id"),
        Index("inbound_messages_reference_idx", "reference_tracking_id", "id"),
        Index("inbound_messages_sender_idx", "sender", "id"),
        Index("inbound_messages_received_idx", "received_at", "id"),
        Index(
            "inbound_messages_unnamed_idx",
            "id",
            postgresql_where=text(
                "campaign_tracking_id IS NULL AND reference_tracking_id IS NOT NULL"
            ),
        ),
        Index("inbound_messages_feed_idx", "feed_epoch", "xid", "id"),
    )


class NoticeRow(Row):
    """What the feed announces besides events and replies."""

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(primary_key=True, server_default=text("nextval('feed_id')"))
    xid: Mapped[int] = mapped_column(TransactionId, server_default=text("pg_current_xact_id()"))
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    campaign_id: Mapped[UUID | None]
    feed_epoch: Mapped[int] = mapped_column(SmallInteger, server_default=FEED_EPOCH)
    #: A `FeedItemType`.
    type: Mapped[str] = mapped_column(Bytewise)
    message_tracking_id: Mapped[str | None] = mapped_column(Bytewise)
    #: As far as it was known; that of `campaign_id` may be learnt later.
    campaign_tracking_id: Mapped[str | None] = mapped_column(Bytewise)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))

    __table_args__ = (
        Index("notices_feed_idx", "feed_epoch", "xid", "id"),
        Index("notices_type_idx", "type", "feed_epoch", "xid", "id"),
    )


class CampaignProgressRow(Row):
    """What Routee reported of a campaign as a whole."""

    __tablename__ = "campaign_progress"

    #: In the order in which the reports came.
    id: Mapped[int] = mapped_column(
        primary_key=True, server_default=text("nextval('campaign_progress_id')")
    )
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    reported_at: Mapped[datetime | None]
    #: `reported_at`, else `received_at`; with `id` the order of a campaign's reports.
    ordered_at: Mapped[datetime]
    campaign_id: Mapped[UUID | None]
    total_recipients: Mapped[int | None]
    payload_dictionary: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    payload_reserialised: Mapped[bool] = mapped_column(server_default=text("false"))
    #: The SHA-256 of the report in one spelling.
    identity: Mapped[bytes] = mapped_column(unique=True)
    campaign_tracking_id: Mapped[str] = mapped_column(Bytewise)
    status: Mapped[str | None]
    name: Mapped[str | None]
    message_statuses: Mapped[dict[str, int]] = mapped_column(JSONB, server_default=text("'{}'"))
    #: Null once its retention has passed.
    payload: Mapped[bytes | None]

    __table_args__ = (
        Index("campaign_progress_campaign_idx", "campaign_tracking_id", "ordered_at", "id"),
    )


class CampaignCountRow(Row):
    """How many messages of a campaign are in a status, without the deltas that are left."""

    __tablename__ = "campaign_counts"

    campaign_tracking_id: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    status: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    messages: Mapped[int]


class CampaignFactsRow(Row):
    """What the events of a campaign that are rolled up say of it as a whole."""

    __tablename__ = "bi_campaign_facts"

    #: The trackingId, or `ours:` and our id.
    campaign_key: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    first_event_at: Mapped[datetime | None]
    last_event_at: Mapped[datetime | None]
    #: Of its messages, by Routee's clock.
    last_created_at: Mapped[datetime | None]
    label: Mapped[str | None] = mapped_column(Bytewise)
    name: Mapped[str | None] = mapped_column(Bytewise)


class CampaignCountDeltaRow(Row):
    """
    A change of a count that is not folded yet.

    Appended: a counter that every batch updates in place would be one hot row for all writers.
    """

    __tablename__ = "campaign_count_deltas"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    campaign_tracking_id: Mapped[str] = mapped_column(Bytewise, index=True)
    status: Mapped[str] = mapped_column(Bytewise)
    messages: Mapped[int]


class IdempotencyKeyRow(Row):
    """The launch that a caller's `Idempotency-Key` was used for."""

    __tablename__ = "idempotency_keys"

    api_key_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    #: SHA-256 of the request.
    fingerprint: Mapped[bytes]
    campaign_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)


class ApiKeyRow(Row):
    """An API key of a backend; of the key itself, only the digest."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    name: Mapped[str]
    sha256: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
