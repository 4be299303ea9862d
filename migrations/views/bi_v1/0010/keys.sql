-- By what events and messages are counted.

CREATE VIEW bi_event_keys AS
SELECT
    feed_epoch, xid, id, message_key, occurred_at, received_at,
    bi_hour(occurred_at) AS hour,
    coalesce(campaign_tracking_id, 'ours:' || campaign_id) AS campaign_key,
    country, sender, label,
    CASE WHEN status_rank = 0 THEN 'UNKNOWN' ELSE status_key END AS status
FROM events;

-- What a message adds to the durations, the reasons and the spend of its campaign. OFFSET 0 keeps
-- what is computed once from being computed wherever it is named.
CREATE VIEW bi_message_facts AS
SELECT
    m.message_key,
    CASE
        WHEN b.deliver_bucket IS NOT NULL OR b.see_bucket IS NOT NULL
            OR m.status_rank = 3 OR m.price IS NOT NULL
        THEN coalesce(m.campaign_tracking_id, 'ours:' || m.campaign_id)
    END AS campaign_key,
    b.deliver_bucket,
    b.see_bucket,
    CASE WHEN m.status_rank = 3 THEN m.status END AS failure,
    CASE WHEN m.status_rank = 3 THEN m.detailed_status END AS detailed_status,
    CASE WHEN m.status_rank = 3 THEN m.description END AS description,
    m.price
FROM messages AS m
CROSS JOIN LATERAL (
    SELECT
        date_part('epoch', m.delivered_at - coalesce(m.queued_at, m.sent_at, m.created_at))
            AS to_deliver,
        date_part('epoch', m.seen_at - m.delivered_at) AS to_see
    OFFSET 0
) AS s
CROSS JOIN LATERAL (
    SELECT bi_bucket(s.to_deliver) AS deliver_bucket, bi_bucket(s.to_see) AS see_bucket
    OFFSET 0
) AS b;
