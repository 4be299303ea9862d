"""
The queries of exports, by table.

Their columns are in the order of `services.exports.columns`, without payloads. `$1` is the first
time and `$2` the time before which rows are wanted, `$3` and `$4` are Routee's id of a campaign and
ours.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple


class ExportTable(StrEnum):
    """What can be exported."""

    MESSAGES = "messages"
    EVENTS = "events"
    INBOUND_MESSAGES = "inbound-messages"
    CAMPAIGNS = "campaigns"


class ExportFilter(NamedTuple):
    """Which rows are wanted. The times are when a row was stored, or last changed."""

    #: Routee's id of a campaign, or ours.
    campaign: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Statement(NamedTuple):
    """The parts of a query."""

    rows: str
    of_campaign: str
    in_order_of_days: str
    #: How many rows to fetch at once.
    chunk_items: int = 1000


#: As in `db.messages`: scalar subqueries, run for messages alone that are not final.
_MESSAGES: Final = Statement(
    """
    SELECT m.message_tracking_id, m.campaign_tracking_id, m.recipient, m.sender, m.country, m.label,
        m.status, nullif(m.provider_status, ''), m.detailed_status, m.description,
        nullif(m.status_at, 'epoch'), m.status_rank,
        coalesce(CASE
            WHEN m.status_rank >= 3 THEN false
            WHEN m.campaign_tracking_id IS NOT NULL THEN (
                SELECT c.finished_at IS NOT NULL AND c.submission IN ('launched', 'observed')
                FROM campaigns AS c WHERE c.tracking_id = m.campaign_tracking_id
            )
            ELSE (
                SELECT c.finished_at IS NOT NULL AND c.submission IN ('launched', 'observed')
                FROM campaigns AS c WHERE c.id = m.campaign_id
            )
        END, false),
        m.queued_at, m.sent_at, m.delivered_at, m.seen_at, m.failed_at, m.price, m.created_at,
        m.updated_at
    FROM messages AS m
    WHERE ($1::timestamptz IS NULL OR m.updated_at >= $1)
        AND ($2::timestamptz IS NULL OR m.updated_at < $2)
    """,
    """
    AND (m.campaign_tracking_id = $3::text
        OR (m.campaign_tracking_id IS NULL AND m.campaign_id = $4::uuid))
    """,
    "ORDER BY m.updated_at, m.message_tracking_id",
)
#: The campaign of an event that names none is that of its message. It is looked up for such events
#: alone: a join with all messages would have to be done before the first row.
_EVENTS: Final = Statement(
    """
    SELECT e.id, e.message_tracking_id, coalesce(e.campaign_tracking_id, (
            SELECT m.campaign_tracking_id FROM messages AS m
            WHERE m.message_tracking_id = e.message_tracking_id
        )),
        e.status_key, nullif(e.provider_status, ''), e.detailed_status, e.description,
        nullif(e.occurred_at, 'epoch'), e.received_at, e.source, e.recipient, e.sender, e.country,
        e.label, e.price, e.created_at
    FROM events AS e
    WHERE ($1::timestamptz IS NULL OR e.received_at >= $1)
        AND ($2::timestamptz IS NULL OR e.received_at < $2)
    """,
    # With the span of times only the months that can have events of a message are read.
    """
    AND EXISTS (
        SELECT FROM messages AS m
        WHERE m.message_tracking_id = e.message_tracking_id
            AND (e.occurred_at = 'epoch'
                OR e.occurred_at BETWEEN m.first_occurred_at AND m.last_occurred_at)
            AND (m.campaign_tracking_id = $3::text
                OR (m.campaign_tracking_id IS NULL AND m.campaign_id = $4::uuid))
    )
    """,
    # By the day on which it happened, as in the views; unknown times, 'epoch', come first.
    "ORDER BY e.occurred_at, e.id",
)
_INBOUND_MESSAGES: Final = Statement(
    """
    SELECT * FROM (
        SELECT i.id, i.sender, i.recipient, i.message, i.media, i.filename, i.sent_at,
            i.received_at, coalesce(i.campaign_tracking_id, (
                SELECT m.campaign_tracking_id FROM messages AS m
                WHERE m.message_tracking_id = i.reference_tracking_id
            )) AS campaign_tracking_id,
            i.campaign_name, i.reference_tracking_id, i.label, i.campaign_id
        FROM inbound_messages AS i
        WHERE ($1::timestamptz IS NULL OR i.received_at >= $1)
            AND ($2::timestamptz IS NULL OR i.received_at < $2)
    ) AS r
    WHERE true
    """,
    """
    AND (r.campaign_tracking_id = $3::text
        OR (r.campaign_tracking_id IS NULL AND r.campaign_id = $4::uuid))
    """,
    "ORDER BY r.received_at, r.id",
    # Texts may be of thousands of characters.
    chunk_items=200,
)
#: Folded counts and the deltas that are left: in one snapshot each change is in one of them.
_CAMPAIGNS: Final = Statement(
    """
    SELECT c.id, c.tracking_id, c.submission, c.submission_reason, c.billing, c.name, c.cost,
        c.request, c.answer, c.warnings, c.expected_messages, c.created_at, c.updated_at,
        (
            SELECT jsonb_object_agg(p.status, p.messages)
            FROM (
                SELECT status, sum(messages)::bigint AS messages
                FROM (
                    SELECT status, messages FROM campaign_counts
                    WHERE campaign_tracking_id = c.tracking_id
                    UNION ALL
                    SELECT status, messages FROM campaign_count_deltas
                    WHERE campaign_tracking_id = c.tracking_id
                ) AS parts
                GROUP BY status
            ) AS p
        ),
        c.finished_at, t.first_event_at, t.last_event_at,
        g.status, g.message_statuses, g.total_recipients, g.name, g.reported_at, g.received_at
    FROM campaigns AS c
    LEFT JOIN LATERAL (
        SELECT * FROM campaign_progress
        WHERE campaign_tracking_id = c.tracking_id
        ORDER BY ordered_at DESC, id DESC LIMIT 1
    ) AS g ON true
    CROSS JOIN LATERAL (
        SELECT min(first_event_at) AS first_event_at, max(last_event_at) AS last_event_at
        FROM bi_campaign_facts WHERE campaign_key IN (c.tracking_id, 'ours:' || c.id)
    ) AS t
    WHERE ($1::timestamptz IS NULL OR c.created_at >= $1)
        AND ($2::timestamptz IS NULL OR c.created_at < $2)
    """,
    "AND (c.tracking_id = $3::text OR c.id = $4::uuid)",
    "ORDER BY c.created_at, c.id",
    # Requests and answers may be large.
    chunk_items=20,
)
STATEMENTS: Final[dict[ExportTable, Statement]] = {
    ExportTable.MESSAGES: _MESSAGES,
    ExportTable.EVENTS: _EVENTS,
    ExportTable.INBOUND_MESSAGES: _INBOUND_MESSAGES,
    ExportTable.CAMPAIGNS: _CAMPAIGNS,
}
#: For the rows of one campaign: from its messages to what belongs to them, by the keys. The planner
#: does not know how few months are looked into for each, and would rather read all of them.
BY_KEY: Final = """
    SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off;
    SET LOCAL enable_seqscan = off;
"""
#: Both ids of a campaign. Routee's id comes first, as elsewhere.
CAMPAIGN: Final = """
    SELECT tracking_id, id FROM campaigns
    WHERE tracking_id = $1 OR id = $2
    ORDER BY tracking_id IS DISTINCT FROM $1
    LIMIT 1
"""
