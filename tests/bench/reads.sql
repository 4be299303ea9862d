-- What the API shows of messages and of events, as PostgREST serves it: views, and no Python. The views
-- are of the contenders' own tables, with the facts that the service has stored.

INSERT INTO plain.events (
    id, xid, occurred_at, received_at, created_at, campaign_id, feed_epoch, source, status_rank,
    payload_dictionary, payload_reserialised, message_tracking_id, status_key, provider_status,
    detailed_status, description, campaign_tracking_id, recipient, sender, country, label, price,
    payload
)
SELECT
    id, xid, occurred_at, received_at, created_at, campaign_id, feed_epoch, source, coalesce(rank, 0),
    payload_dictionary, payload_reserialised, message_tracking_id, status_key, provider_status,
    detailed_status, description, campaign_tracking_id, recipient, sender, country, label, price,
    payload
FROM events LEFT JOIN statuses ON status = status_key ORDER BY id;

INSERT INTO plain.messages (
    status_at, created_at, queued_at, sent_at, delivered_at, seen_at, failed_at, first_occurred_at,
    last_occurred_at, updated_at, campaign_id, status_rank, message_tracking_id,
    campaign_tracking_id, status, status_key, provider_status, detailed_status, description,
    recipient, sender, country, label, price
)
SELECT
    status_at, created_at, queued_at, sent_at, delivered_at, seen_at, failed_at, first_occurred_at,
    last_occurred_at, updated_at, campaign_id, status_rank, message_tracking_id,
    campaign_tracking_id, status, status_key, provider_status, detailed_status, description,
    recipient, sender, country, label, price
FROM messages;

CREATE SCHEMA bench_reads;

CREATE VIEW bench_reads.messages AS
SELECT message_tracking_id AS "trackingId", campaign_tracking_id AS "campaignTrackingId",
    recipient AS "to", sender AS "from", country, label, status,
    provider_status AS "providerStatus", detailed_status AS "detailedStatus", description,
    status_at AS "statusAt", status_rank >= 3 AS final, queued_at AS "queuedAt",
    sent_at AS "sentAt", delivered_at AS "deliveredAt", seen_at AS "seenAt",
    failed_at AS "failedAt", price::text AS price, created_at AS "createdAt",
    updated_at AS "updatedAt"
FROM plain.messages;

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
        SELECT FROM plain.events AS b
        WHERE b.message_tracking_id = e.message_tracking_id
            AND (
                b.occurred_at = '1970-01-01Z'
                OR b.occurred_at BETWEEN m.first_occurred_at AND m.last_occurred_at
            )
            AND (b.feed_epoch, b.xid, b.id) < (e.feed_epoch, e.xid, e.id)
            AND (b.status_rank, b.occurred_at, b.provider_status)
                > (e.status_rank, e.occurred_at, e.provider_status)
    ) AS changed
FROM plain.events e LEFT JOIN plain.messages m USING (message_tracking_id);
