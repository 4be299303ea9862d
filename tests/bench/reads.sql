-- What the API tells of messages and of events, as PostgREST serves it: views, and no Python.

CREATE SCHEMA bench_reads;

CREATE VIEW bench_reads.messages AS
SELECT message_tracking_id AS "trackingId", campaign_tracking_id AS "campaignTrackingId",
    recipient AS "to", sender AS "from", country, label, status,
    provider_status AS "providerStatus", detailed_status AS "detailedStatus", description,
    status_at AS "statusAt", status_rank >= 3 AS final, queued_at AS "queuedAt",
    sent_at AS "sentAt", delivered_at AS "deliveredAt", seen_at AS "seenAt",
    failed_at AS "failedAt", price::text AS price, created_at AS "createdAt",
    updated_at AS "updatedAt"
FROM messages;

-- With what each event did to its message, from those months alone that can have its others.
CREATE VIEW bench_reads.events AS
SELECT e.feed_epoch, e.xid, e.id, 'message.status' AS type,
    e.message_tracking_id AS "trackingId",
    coalesce(e.campaign_tracking_id, m.campaign_tracking_id) AS "campaignTrackingId",
    e.occurred_at AS "occurredAt", e.received_at AS "receivedAt", e.source,
    e.status_key AS status, e.provider_status AS "providerStatus",
    e.detailed_status AS "detailedStatus", e.description, e.recipient AS "to",
    e.price::text AS price, m.status AS "messageStatus",
    NOT EXISTS (
        SELECT FROM events AS b
        WHERE b.message_tracking_id = e.message_tracking_id
            AND (
                b.occurred_at = '1970-01-01Z'
                OR b.occurred_at BETWEEN m.first_occurred_at AND m.last_occurred_at
            )
            AND (b.feed_epoch, b.xid, b.id) < (e.feed_epoch, e.xid, e.id)
            AND (b.status_rank, b.occurred_at, b.provider_status)
                > (e.status_rank, e.occurred_at, e.provider_status)
    ) AS changed
FROM events e LEFT JOIN messages m USING (message_tracking_id);
