"""The only file that knows which tables and columns there are."""

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
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

#: Status events and inbound messages draw their ids from one sequence: the feed is one order.
FEED_ID: Final = Sequence("feed_id", metadata=METADATA)

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
    #: Until when the process that is calling Routee may be believed to be alive.
    lease_until: Mapped[datetime | None]
    #: How often Routee was asked for it.
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    #: When to ask again; null if not at all.
    next_attempt_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        Index(
            "campaigns_open_idx",
            "id",
            postgresql_where=text("submission IN ('launching', 'unconfirmed')"),
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


class EventRow(Row):
    """One fact about one message. Partitioned by month of `occurred_at`."""

    __tablename__ = "events"

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


class PayloadDictionaryRow(Row):
    """
    The dictionaries that payloads are compressed with, for readers other than this service.

    A row's `payload` is a zstandard frame made with the dictionary `payload_dictionary`; 0: plain.
    """

    __tablename__ = "payload_dictionaries"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    dictionary: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class FeedStateRow(Row):
    """The current epoch of the feed, and the server and timeline that it belongs to. One row."""

    __tablename__ = "feed_state"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    #: The value of the sequence that is the default of the columns `feed_epoch`.
    epoch: Mapped[int] = mapped_column(SmallInteger)
    system_identifier: Mapped[int]
    timeline: Mapped[int]
    raised_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class FeedFloorRow(Row):
    """The greatest position of the feed from which an item was removed. One row."""

    __tablename__ = "feed_floor"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    feed_epoch: Mapped[int] = mapped_column(SmallInteger)
    xid: Mapped[int] = mapped_column(TransactionId)
    id: Mapped[int]


class CampaignCountRow(Row):
    """How many messages of a campaign are in a status, without the deltas that are left."""

    __tablename__ = "campaign_counts"

    campaign_tracking_id: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    status: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    messages: Mapped[int]


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


class BiRollupStateRow(Row):
    """The position in the feed up to which events are rolled up for BI tools. One row."""

    __tablename__ = "bi_rollup_state"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    feed_epoch: Mapped[int] = mapped_column(SmallInteger)
    xid: Mapped[int] = mapped_column(TransactionId)
    id: Mapped[int]
    newest_received_at: Mapped[datetime | None]
    newest_occurred_at: Mapped[datetime | None]


class BiRollupHourlyRow(Row):
    """How many events there were, as far as they are rolled up."""

    __tablename__ = "bi_rollup_hourly"

    #: Of `occurred_at`, in UTC; '-infinity' when the provider reported no time.
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    #: A hash of the columns that follow: together they can be too long for an index.
    identity: Mapped[UUID] = mapped_column(primary_key=True)
    #: The trackingId, or "ours:" and our id where that is not known.
    campaign_key: Mapped[str | None] = mapped_column(Bytewise)
    country: Mapped[str | None] = mapped_column(Bytewise)
    sender: Mapped[str | None] = mapped_column(Bytewise)
    label: Mapped[str | None] = mapped_column(Bytewise)
    status: Mapped[str] = mapped_column(Bytewise)
    events: Mapped[int]


class BiEventCorrectionRow(Row):
    """A stored event that was reported again counts differently: -1 as it was, 1 as it is."""

    __tablename__ = "bi_event_corrections"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    #: The position of the event, with `xid` and `event_id`.
    feed_epoch: Mapped[int] = mapped_column(SmallInteger)
    xid: Mapped[int] = mapped_column(TransactionId)
    event_id: Mapped[int]
    message_tracking_id: Mapped[str] = mapped_column(Bytewise)
    hour: Mapped[datetime]
    campaign_key: Mapped[str | None] = mapped_column(Bytewise)
    country: Mapped[str | None] = mapped_column(Bytewise)
    sender: Mapped[str | None] = mapped_column(Bytewise)
    label: Mapped[str | None] = mapped_column(Bytewise)
    status: Mapped[str] = mapped_column(Bytewise)
    events: Mapped[int]

    __table_args__ = (Index("bi_event_corrections_position_idx", "feed_epoch", "xid", "event_id"),)


class BiCountedMessageRow(Row):
    """What a message was counted as in durations, reasons and spends, so that it can be moved."""

    __tablename__ = "bi_counted_messages"

    message_tracking_id: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    campaign_key: Mapped[str | None] = mapped_column(Bytewise)
    deliver_bucket: Mapped[int | None] = mapped_column(SmallInteger)
    see_bucket: Mapped[int | None] = mapped_column(SmallInteger)
    #: Its status, if that is a failure.
    failure: Mapped[str | None] = mapped_column(Bytewise)
    detailed_status: Mapped[str | None] = mapped_column(Bytewise)
    description: Mapped[str | None] = mapped_column(Bytewise)
    price: Mapped[Decimal | None]

    __table_args__ = (
        Index(
            "bi_counted_messages_opted_out_idx",
            "message_tracking_id",
            postgresql_where=text("lower(detailed_status) = 'opted out'"),
        ),
    )


class BiDurationRow(Row):
    """How many messages of a campaign took about as long: a logarithmic histogram."""

    __tablename__ = "bi_durations"

    campaign_key: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    #: 1: until delivered; 2: from then until seen.
    measure: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    messages: Mapped[int]


class BiFailureReasonRow(Row):
    """How many messages of a campaign failed for a reason, as far as they are rolled up."""

    __tablename__ = "bi_failure_reasons"

    #: A hash of the columns that follow.
    identity: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_key: Mapped[str | None] = mapped_column(Bytewise)
    failure: Mapped[str] = mapped_column(Bytewise)
    detailed_status: Mapped[str | None] = mapped_column(Bytewise)
    description: Mapped[str | None] = mapped_column(Bytewise)
    messages: Mapped[int]


class BiSpendRow(Row):
    """What the messages of a campaign cost, and how many have a price, as far as rolled up."""

    __tablename__ = "bi_spends"

    campaign_key: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    price: Mapped[Decimal]
    messages: Mapped[int]


class BiRemovedReplyRow(Row):
    """How many replies of a campaign were removed: those that are there are counted as they are."""

    __tablename__ = "bi_removed_replies"

    campaign_key: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    replies: Mapped[int]


class QuarantineRow(Row):
    """A body that cannot be read or may not be believed."""

    __tablename__ = "quarantine"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: How often the same bytes were received.
    times: Mapped[int] = mapped_column(server_default=text("1"))
    campaign_id: Mapped[UUID | None]
    sha256: Mapped[bytes] = mapped_column(unique=True)
    reason: Mapped[str]
    #: Without the token.
    path: Mapped[str]
    body: Mapped[bytes]


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


class RetentionPositionRow(Row):
    """
    The position that a kind of purge has reached, and when.

    Rows named `removed …` have a horizon instead: what was received before may have been removed.
    """

    __tablename__ = "retention_positions"

    name: Mapped[str] = mapped_column(primary_key=True)
    feed_epoch: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    xid: Mapped[int] = mapped_column(TransactionId, server_default=text("'0'"))
    id: Mapped[int] = mapped_column(server_default=text("0"))
    reached_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ErasedRecipientRow(Row):
    """An erased recipient, by a keyed hash of the number."""

    __tablename__ = "erased_recipients"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    #: The key that the hash was made with: without it the recipient is not recognised.
    key_id: Mapped[bytes]
    erased_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ErasureStateRow(Row):
    """A version that erasures and purges raise, so that processes notice them. One row."""

    __tablename__ = "erasure_state"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    version: Mapped[int]


class ErasureRow(Row):
    """Who asked for an erasure, when, and how many rows it changed; not the recipient."""

    __tablename__ = "erasures"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    #: erase or lift.
    kind: Mapped[str]
    asked_by: Mapped[str]
    began_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: Null if it was interrupted, and has to be repeated.
    ended_at: Mapped[datetime | None]
    #: When PostgreSQL had sampled the changed tables again.
    sampled_at: Mapped[datetime | None]
    counts: Mapped[dict[str, int]] = mapped_column(JSONB, server_default=text("'{}'"))
