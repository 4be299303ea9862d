CREATE VIEW bi_v1.campaigns AS
WITH counted AS (
    SELECT
        k.id,
        sum(c.messages) AS messages,
        sum(c.messages) FILTER (WHERE c.status = 'QUEUED') AS queued,
        sum(c.messages) FILTER (WHERE c.status = 'SENT') AS sent,
        sum(c.messages) FILTER (WHERE c.status = 'UNDELIVERED') AS undelivered,
        sum(c.messages) FILTER (WHERE c.status = 'EXPIRED') AS expired,
        sum(c.messages) FILTER (WHERE c.status = 'FAILED') AS failed,
        sum(c.messages) FILTER (WHERE c.status = 'UNSENT') AS unsent,
        sum(c.messages) FILTER (WHERE c.status = 'DELIVERED') AS delivered,
        sum(c.messages) FILTER (WHERE c.status = 'SEEN') AS seen,
        sum(c.messages) FILTER (WHERE c.status = 'UNKNOWN') AS unknown
    FROM (
        SELECT campaign_tracking_id AS campaign_key, status, messages FROM campaign_counts
        UNION ALL
        SELECT campaign_tracking_id, status, messages FROM campaign_count_deltas
        UNION ALL
        SELECT 'ours:' || campaign_id, status, 1
        FROM messages
        WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL
    ) AS c
    JOIN bi_campaign_keys AS k ON k.campaign_key = c.campaign_key
    GROUP BY k.id
),
durations AS (
    SELECT k.id, d.measure, d.bucket, sum(d.messages) AS messages
    FROM (
        SELECT campaign_key, measure, bucket, messages FROM bi_durations
        UNION ALL
        SELECT u.campaign_key, v.measure, v.bucket, u.messages
        FROM bi_pending_messages AS u,
            LATERAL (VALUES (1, u.deliver_bucket), (2, u.see_bucket)) AS v (measure, bucket)
        WHERE v.bucket IS NOT NULL
    ) AS d
    JOIN bi_campaign_keys AS k ON k.campaign_key = d.campaign_key
    GROUP BY k.id, d.measure, d.bucket
    HAVING sum(d.messages) > 0
),
ranked AS (
    SELECT
        id, measure, bucket,
        sum(messages) OVER (PARTITION BY id, measure ORDER BY bucket) AS up_to,
        sum(messages) OVER (PARTITION BY id, measure) AS total
    FROM durations
),
percentiles AS (
    SELECT
        id,
        bi_seconds(min(bucket) FILTER (WHERE measure = 1 AND up_to >= 0.5 * total)) AS deliver_p50,
        bi_seconds(min(bucket) FILTER (WHERE measure = 1 AND up_to >= 0.95 * total)) AS deliver_p95,
        bi_seconds(min(bucket) FILTER (WHERE measure = 2 AND up_to >= 0.5 * total)) AS see_p50,
        bi_seconds(min(bucket) FILTER (WHERE measure = 2 AND up_to >= 0.95 * total)) AS see_p95
    FROM ranked
    GROUP BY id
),
spent AS (
    SELECT k.id, CASE WHEN sum(p.messages) > 0 THEN sum(p.price) END AS price
    FROM (
        SELECT campaign_key, price, messages FROM bi_spends
        UNION ALL
        SELECT campaign_key, price * messages, messages
        FROM bi_pending_messages
        WHERE price IS NOT NULL
    ) AS p
    JOIN bi_campaign_keys AS k ON k.campaign_key = p.campaign_key
    GROUP BY k.id
),
replied AS (
    SELECT k.id, sum(r.replies)::bigint AS replies
    FROM (
        SELECT coalesce(campaign_tracking_id, 'ours:' || campaign_id) AS campaign_key, 1 AS replies
        FROM inbound_messages
        WHERE campaign_tracking_id IS NOT NULL OR reference_tracking_id IS NULL
        UNION ALL
        SELECT
            coalesce(
                m.campaign_tracking_id, 'ours:' || coalesce(m.campaign_id, i.campaign_id)
            ),
            1
        FROM inbound_messages AS i
        LEFT JOIN LATERAL (
            SELECT campaign_tracking_id, campaign_id FROM messages
            WHERE message_tracking_id = i.reference_tracking_id
            OFFSET 0 -- one lookup for each reply: there are few beside the messages
        ) AS m ON true
        WHERE i.campaign_tracking_id IS NULL AND i.reference_tracking_id IS NOT NULL
        UNION ALL
        SELECT campaign_key, replies FROM bi_removed_replies
    ) AS r
    JOIN bi_campaign_keys AS k ON k.campaign_key = r.campaign_key
    GROUP BY k.id
),
spans AS (
    SELECT k.id, min(e.first_event_at) AS first_event_at, max(e.last_event_at) AS last_event_at
    FROM (
        SELECT campaign_key, first_event_at, last_event_at FROM bi_campaign_facts
        UNION ALL
        SELECT p.campaign_key, p.at, p.at
        FROM (
            SELECT campaign_key, nullif(occurred_at, '1970-01-01T00:00:00Z'::timestamptz) AS at
            FROM bi_pending_events()
            UNION ALL
            SELECT campaign_key, nullif(occurred_at, '1970-01-01T00:00:00Z'::timestamptz)
            FROM bi_event_corrections
            WHERE events > 0
        ) AS p
    ) AS e
    JOIN bi_campaign_keys AS k ON k.campaign_key = e.campaign_key
    GROUP BY k.id
)
SELECT
    c.id::text AS campaign_id,
    c.tracking_id AS campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN coalesce(c.name, f.name)
        ELSE bi_v1.masked_text(coalesce(c.name, f.name))
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN coalesce(c.label, f.label)
        ELSE bi_v1.masked_text(coalesce(c.label, f.label))
    END AS campaign_label,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN s.sender
        ELSE bi_v1.masked_text(s.sender)
    END AS sender,
    c.submission,
    c.billing,
    c.cost,
    o.price,
    (SELECT currency FROM bi_viewer) AS currency,
    c.created_at,
    coalesce(
        bi_time_of(c.answer, 'scheduledDate'), bi_time_of(c.request, 'scheduledDate')
    ) AS scheduled_at,
    c.expected_messages,
    coalesce(n.messages, 0)::bigint AS messages,
    coalesce(n.queued, 0)::bigint AS queued,
    coalesce(n.sent, 0)::bigint AS sent,
    coalesce(n.undelivered, 0)::bigint AS undelivered,
    coalesce(n.expired, 0)::bigint AS expired,
    coalesce(n.failed, 0)::bigint AS failed,
    coalesce(n.unsent, 0)::bigint AS unsent,
    coalesce(n.delivered, 0)::bigint AS delivered,
    coalesce(n.seen, 0)::bigint AS seen,
    coalesce(n.unknown, 0)::bigint AS unknown,
    (coalesce(n.delivered, 0) + coalesce(n.seen, 0))::bigint AS delivered_or_seen,
    round((coalesce(n.delivered, 0) + coalesce(n.seen, 0)) / nullif(n.messages, 0), 6)
        ::double precision AS delivery_rate,
    round(
        coalesce(n.seen, 0) / nullif(coalesce(n.delivered, 0) + coalesce(n.seen, 0), 0), 6
    )::double precision AS seen_rate,
    round(
        (coalesce(n.undelivered, 0) + coalesce(n.expired, 0) + coalesce(n.failed, 0)
            + coalesce(n.unsent, 0)) / nullif(n.messages, 0),
        6
    )::double precision AS failure_rate,
    p.deliver_p50 AS seconds_to_deliver_p50,
    p.deliver_p95 AS seconds_to_deliver_p95,
    p.see_p50 AS seconds_to_see_p50,
    p.see_p95 AS seconds_to_see_p95,
    coalesce(r.replies, 0) AS replies,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN g.status
        ELSE bi_v1.masked_text(g.status)
    END AS campaign_status,
    t.first_event_at,
    t.last_event_at,
    c.finished_at IS NOT NULL AS finished,
    c.finished_at,
    CASE
        WHEN c.finished_at IS NULL OR c.submission NOT IN ('launched', 'observed') THEN 0
        ELSE greatest(coalesce(n.messages, 0), c.expected_messages) - (
            coalesce(n.undelivered, 0) + coalesce(n.expired, 0) + coalesce(n.failed, 0)
            + coalesce(n.unsent, 0) + coalesce(n.delivered, 0) + coalesce(n.seen, 0)
        )
    END::bigint AS overdue
FROM campaigns AS c
CROSS JOIN LATERAL (
    SELECT coalesce(
        bi_text_of(c.answer, 'senderInfoName'),
        (
            SELECT m.sender FROM messages AS m
            WHERE m.campaign_tracking_id = c.tracking_id
            ORDER BY m.message_tracking_id LIMIT 1
        )
    ) AS sender
) AS s
LEFT JOIN LATERAL (
    SELECT h.status FROM campaign_progress AS h
    WHERE h.campaign_tracking_id = c.tracking_id
    ORDER BY h.ordered_at DESC, h.id DESC LIMIT 1
) AS g ON true
LEFT JOIN bi_campaign_facts AS f ON f.campaign_key = c.tracking_id
LEFT JOIN counted AS n ON n.id = c.id
LEFT JOIN percentiles AS p ON p.id = c.id
LEFT JOIN spent AS o ON o.id = c.id
LEFT JOIN replied AS r ON r.id = c.id
LEFT JOIN spans AS t ON t.id = c.id;

COMMENT ON VIEW bi_v1.campaigns IS 'One row for each campaign, launched here or known from its callbacks only, with how it did. Each message counts once, in its current status. What retention removes stays counted, but for two things: messages of a campaign without a campaign_tracking_id, and replies that name no campaign and outlast the message they answer. A message for which a callback comes after its removal counts again.';
COMMENT ON COLUMN bi_v1.campaigns.campaign_id IS 'Our id of the campaign: the key. Every view that belongs to campaigns has it.';
COMMENT ON COLUMN bi_v1.campaigns.campaign_tracking_id IS 'Routee''s id of the campaign; NULL until Routee''s answer or a callback reports it.';
COMMENT ON COLUMN bi_v1.campaigns.campaign_name IS 'The name at Routee. Of a campaign that was not launched here: the name that its reports or replies give it, seconds after an event that follows them; NULL without one. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.campaigns.campaign_label IS 'The label that the launch asked for; without one, that of its events (the least by spelling), seconds after these. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.campaigns.sender IS 'The Viber sender: as Routee named it in its answer, else that of the campaign''s first message by id, of those that are still there. NULL while neither is known.';
COMMENT ON COLUMN bi_v1.campaigns.submission IS 'How far launching has come: launching, launched, rejected, unconfirmed, cancelled; observed: not launched here.';
COMMENT ON COLUMN bi_v1.campaigns.billing IS 'How Routee charges: transactional, promotional or session; NULL when the campaign was not launched here.';
COMMENT ON COLUMN bi_v1.campaigns.cost IS 'The cost that Routee''s answer to the launch named, in the currency of the Routee account. An estimate before delivery, not the invoice.';
COMMENT ON COLUMN bi_v1.campaigns.price IS 'What its messages cost so far: the sum of messages.price, in the currency of the Routee account. NULL while no price was reported for any.';
COMMENT ON COLUMN bi_v1.campaigns.currency IS 'The currency of the Routee account, of all prices and costs: RECEIVER_CURRENCY; NULL when that is not set.';
COMMENT ON COLUMN bi_v1.campaigns.created_at IS 'When the campaign was first known here.';
COMMENT ON COLUMN bi_v1.campaigns.scheduled_at IS 'For when it was scheduled; NULL when it was to be sent at once, or was not launched here.';
COMMENT ON COLUMN bi_v1.campaigns.expected_messages IS 'How many messages Routee said it would send; NULL when that is not known. More than messages as long as recipients are awaited.';
COMMENT ON COLUMN bi_v1.campaigns.messages IS 'Number of messages of which at least one callback came.';
COMMENT ON COLUMN bi_v1.campaigns.queued IS 'Number of messages that are accepted by Routee, or are being sent again, now.';
COMMENT ON COLUMN bi_v1.campaigns.sent IS 'Number of messages that were handed to Viber, and of which nothing further is known.';
COMMENT ON COLUMN bi_v1.campaigns.undelivered IS 'Number of messages that Viber could not deliver.';
COMMENT ON COLUMN bi_v1.campaigns.expired IS 'Number of messages whose time to live ran out.';
COMMENT ON COLUMN bi_v1.campaigns.failed IS 'Number of messages that failed at Routee or Viber.';
COMMENT ON COLUMN bi_v1.campaigns.unsent IS 'Number of messages that were never sent: the balance was too low.';
COMMENT ON COLUMN bi_v1.campaigns.delivered IS 'Number of messages that are delivered and not known to be seen. For all that arrived use delivered_or_seen.';
COMMENT ON COLUMN bi_v1.campaigns.seen IS 'Number of messages that the recipient has seen.';
COMMENT ON COLUMN bi_v1.campaigns.unknown IS 'Number of messages whose current status is not known here.';
COMMENT ON COLUMN bi_v1.campaigns.delivered_or_seen IS 'Number of messages that arrived: delivered + seen.';
COMMENT ON COLUMN bi_v1.campaigns.delivery_rate IS 'delivered_or_seen / messages, 0 to 1; NULL without messages. Recipients still awaited are not in it.';
COMMENT ON COLUMN bi_v1.campaigns.seen_rate IS 'seen / delivered_or_seen, 0 to 1: of what arrived, how much was seen; NULL when nothing arrived. Viber does not report for every message that it was seen.';
COMMENT ON COLUMN bi_v1.campaigns.failure_rate IS '(undelivered + expired + failed + unsent) / messages, 0 to 1; NULL without messages.';
COMMENT ON COLUMN bi_v1.campaigns.seconds_to_deliver_p50 IS 'Half of the messages with known times were delivered within so many seconds of being queued (sent, or created, where no such time is known). Off by 5 % or 1 ms at most: a logarithmic histogram. Messages whose times contradict each other are left out.';
COMMENT ON COLUMN bi_v1.campaigns.seconds_to_deliver_p95 IS 'As seconds_to_deliver_p50, for 95 % of the messages.';
COMMENT ON COLUMN bi_v1.campaigns.seconds_to_see_p50 IS 'Half of the messages that were seen were seen within so many seconds of their delivery. Off by 5 % or 1 ms at most. Messages not seen are not in it.';
COMMENT ON COLUMN bi_v1.campaigns.seconds_to_see_p95 IS 'As seconds_to_see_p50, for 95 % of the messages that were seen.';
COMMENT ON COLUMN bi_v1.campaigns.replies IS 'Number of replies: those that name the campaign, and those that answer a message of it. Removed ones stay counted; one that names no campaign is not counted while the message that it answers is not there.';
COMMENT ON COLUMN bi_v1.campaigns.campaign_status IS 'How far the campaign is, in Routee''s own word, by its newest report of the campaign as a whole; NULL without one. Routee sends such reports only if its console is set so.';
COMMENT ON COLUMN bi_v1.campaigns.first_event_at IS 'The earliest time that Routee reported for an event of any of its messages; NULL while none was reported.';
COMMENT ON COLUMN bi_v1.campaigns.last_event_at IS 'The latest time that Routee reported for an event of any of its messages. An event that was first reported for another campaign counts there as well.';
COMMENT ON COLUMN bi_v1.campaigns.finished IS 'Whether nothing more is to come: every expected message has a final status; or its ttl (14 days if unset) and the 40 hours for which Routee repeats a callback have passed since it was launched, since the time that it was scheduled for and since the last message of it was created; or it is rejected or cancelled. Late callbacks still change the counts.';
COMMENT ON COLUMN bi_v1.campaigns.finished_at IS 'When it was found to be finished, seconds after it was; NULL while it is not.';
COMMENT ON COLUMN bi_v1.campaigns.overdue IS 'Of a finished campaign: how many expected messages have no final status. 0 while it is not finished.';
