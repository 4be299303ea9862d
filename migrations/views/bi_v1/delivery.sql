-- The roll-up, and the events that are pending.

CREATE VIEW bi_v1.delivery_daily AS
SELECT
    d.day,
    d.campaign_id::text AS campaign_id,
    d.campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.name
        ELSE bi_v1.masked_text(c.name)
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.label
        ELSE bi_v1.masked_text(c.label)
    END AS campaign_label,
    d.country,
    d.sender,
    d.label,
    d.events,
    d.queued,
    d.sent,
    d.undelivered,
    d.expired,
    d.failed,
    d.unsent,
    d.delivered,
    d.seen,
    d.unknown,
    d.messages,
    d.messages_delivered_or_seen,
    d.messages_seen,
    d.messages_failed
FROM (
    SELECT
        nullif(h.day, '-infinity') AS day,
        k.id AS campaign_id,
        CASE
            WHEN k.id IS NOT NULL THEN k.tracking_id
            WHEN NOT starts_with(h.campaign_key, 'ours:') THEN h.campaign_key
        END AS campaign_tracking_id,
        CASE
            WHEN (SELECT bi_v1.sees_numbers()) THEN h.country
            ELSE bi_v1.masked_text(h.country)
        END AS country,
        CASE
            WHEN (SELECT sees_labels FROM bi_viewer) THEN h.sender
            ELSE bi_v1.masked_text(h.sender)
        END AS sender,
        CASE
            WHEN (SELECT sees_labels FROM bi_viewer) THEN h.label
            ELSE bi_v1.masked_text(h.label)
        END AS label,
        sum(h.events)::bigint AS events,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'QUEUED'), 0)::bigint AS queued,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'SENT'), 0)::bigint AS sent,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'UNDELIVERED'), 0)::bigint AS undelivered,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'EXPIRED'), 0)::bigint AS expired,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'FAILED'), 0)::bigint AS failed,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'UNSENT'), 0)::bigint AS unsent,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'DELIVERED'), 0)::bigint AS delivered,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'SEEN'), 0)::bigint AS seen,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'UNKNOWN'), 0)::bigint AS unknown,
        sum(h.messages)::bigint AS messages,
        coalesce(sum(h.messages) FILTER (WHERE h.status IN ('DELIVERED', 'SEEN')), 0)::bigint
            AS messages_delivered_or_seen,
        coalesce(sum(h.messages) FILTER (WHERE h.status = 'SEEN'), 0)::bigint AS messages_seen,
        coalesce(
            sum(h.messages) FILTER (
                WHERE h.status IN ('UNDELIVERED', 'EXPIRED', 'FAILED', 'UNSENT')
            ),
            0
        )::bigint AS messages_failed
    FROM (
        SELECT
            (hour AT TIME ZONE 'UTC')::date AS day, campaign_key, country, sender, label, status,
            events, 0 AS messages
        FROM bi_rollup_hourly
        UNION ALL
        SELECT
            (hour AT TIME ZONE 'UTC')::date, campaign_key, country, sender, label, status, events, 0
        FROM bi_pending_hours
        UNION ALL
        SELECT day, campaign_key, country, sender, label, status, 0, messages FROM bi_daily_messages
        UNION ALL
        SELECT day, campaign_key, country, sender, label, status, 0, messages FROM bi_pending_messages
    ) AS h
    LEFT JOIN bi_campaign_keys AS k ON k.campaign_key = h.campaign_key
    GROUP BY 1, 2, 3, 4, 5, 6
    HAVING sum(h.events) <> 0 OR sum(h.messages) <> 0
) AS d
LEFT JOIN bi_campaigns AS c ON c.id = d.campaign_id;

COMMENT ON VIEW bi_v1.delivery_daily IS 'By day, campaign, country, sender and label: events, and messages. Additive: sums over any rows are right. Each stored event counts once, in the day in which it occurred, so a message counts in every status it went through. Each message counts once in messages, in the day of its first event, and by where it stands now in messages_…: rates by day are made of these. What retention removes stays counted.';
COMMENT ON COLUMN bi_v1.delivery_daily.day IS 'The day, in UTC; NULL for events without a time.';
COMMENT ON COLUMN bi_v1.delivery_daily.campaign_id IS 'bi_v1.campaigns.campaign_id of the campaign that the events name, or through whose callback URL they came; NULL when there is none.';
COMMENT ON COLUMN bi_v1.delivery_daily.campaign_tracking_id IS 'Routee''s id of that campaign; NULL until it is known.';
COMMENT ON COLUMN bi_v1.delivery_daily.campaign_name IS 'The name of that campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.delivery_daily.campaign_label IS 'The label of that campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.delivery_daily.country IS 'The recipients'' country as Routee spells it; NULL when not reported.';
COMMENT ON COLUMN bi_v1.delivery_daily.sender IS 'The Viber sender; NULL when not reported.';
COMMENT ON COLUMN bi_v1.delivery_daily.label IS 'The label as the events repeat it; NULL without one. campaign_label is that of the campaign.';
COMMENT ON COLUMN bi_v1.delivery_daily.events IS 'Number of events of any status.';
COMMENT ON COLUMN bi_v1.delivery_daily.queued IS 'Number of events that a message was accepted by Routee, or is being sent again.';
COMMENT ON COLUMN bi_v1.delivery_daily.sent IS 'Number of events that a message was handed to Viber.';
COMMENT ON COLUMN bi_v1.delivery_daily.undelivered IS 'Number of events that Viber could not deliver a message.';
COMMENT ON COLUMN bi_v1.delivery_daily.expired IS 'Number of events that a message''s time to live ran out.';
COMMENT ON COLUMN bi_v1.delivery_daily.failed IS 'Number of events that a message failed at Routee or Viber.';
COMMENT ON COLUMN bi_v1.delivery_daily.unsent IS 'Number of events that a message was never sent.';
COMMENT ON COLUMN bi_v1.delivery_daily.delivered IS 'Number of events that a message was delivered. Two for one message only if Routee reported two times.';
COMMENT ON COLUMN bi_v1.delivery_daily.seen IS 'Number of events that a message was seen.';
COMMENT ON COLUMN bi_v1.delivery_daily.unknown IS 'Number of events whose status is not known here.';
COMMENT ON COLUMN bi_v1.delivery_daily.messages IS 'Number of messages of which the first event, by Routee''s clock, was on this day, with the country, sender and label that they have now. Each message is in one row. The delivery rate by day is sum(messages_delivered_or_seen) / sum(messages).';
COMMENT ON COLUMN bi_v1.delivery_daily.messages_delivered_or_seen IS 'How many of messages have arrived by now, on this day or later.';
COMMENT ON COLUMN bi_v1.delivery_daily.messages_seen IS 'How many of messages were seen by now.';
COMMENT ON COLUMN bi_v1.delivery_daily.messages_failed IS 'How many of messages stand at UNDELIVERED, EXPIRED, FAILED or UNSENT now.';

CREATE VIEW bi_v1.delivery_hourly AS
SELECT
    d.hour,
    d.campaign_id::text AS campaign_id,
    d.campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.name
        ELSE bi_v1.masked_text(c.name)
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.label
        ELSE bi_v1.masked_text(c.label)
    END AS campaign_label,
    d.country,
    d.sender,
    d.label,
    d.events,
    d.queued,
    d.sent,
    d.undelivered,
    d.expired,
    d.failed,
    d.unsent,
    d.delivered,
    d.seen,
    d.unknown
FROM (
    SELECT
        nullif(h.hour, '-infinity') AS hour,
        k.id AS campaign_id,
        CASE
            WHEN k.id IS NOT NULL THEN k.tracking_id
            WHEN NOT starts_with(h.campaign_key, 'ours:') THEN h.campaign_key
        END AS campaign_tracking_id,
        CASE
            WHEN (SELECT bi_v1.sees_numbers()) THEN h.country
            ELSE bi_v1.masked_text(h.country)
        END AS country,
        CASE
            WHEN (SELECT sees_labels FROM bi_viewer) THEN h.sender
            ELSE bi_v1.masked_text(h.sender)
        END AS sender,
        CASE
            WHEN (SELECT sees_labels FROM bi_viewer) THEN h.label
            ELSE bi_v1.masked_text(h.label)
        END AS label,
        sum(h.events)::bigint AS events,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'QUEUED'), 0)::bigint AS queued,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'SENT'), 0)::bigint AS sent,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'UNDELIVERED'), 0)::bigint AS undelivered,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'EXPIRED'), 0)::bigint AS expired,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'FAILED'), 0)::bigint AS failed,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'UNSENT'), 0)::bigint AS unsent,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'DELIVERED'), 0)::bigint AS delivered,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'SEEN'), 0)::bigint AS seen,
        coalesce(sum(h.events) FILTER (WHERE h.status = 'UNKNOWN'), 0)::bigint AS unknown
    FROM (
        SELECT hour, campaign_key, country, sender, label, status, events FROM bi_rollup_hourly
        UNION ALL
        SELECT hour, campaign_key, country, sender, label, status, events FROM bi_pending_hours
    ) AS h
    LEFT JOIN bi_campaign_keys AS k ON k.campaign_key = h.campaign_key
    GROUP BY 1, 2, 3, 4, 5, 6
    HAVING sum(h.events) <> 0
) AS d
LEFT JOIN bi_campaigns AS c ON c.id = d.campaign_id;

COMMENT ON VIEW bi_v1.delivery_hourly IS 'Events by hour, campaign, country, sender and label. Additive: sums over any rows are right. Each stored event counts once, in the hour in which it occurred, so a message counts in every status it went through; for where messages stand now use campaigns. What retention removes stays counted.';
COMMENT ON COLUMN bi_v1.delivery_hourly.hour IS 'The beginning of the hour, in UTC; NULL for events without a time.';
COMMENT ON COLUMN bi_v1.delivery_hourly.campaign_id IS 'bi_v1.campaigns.campaign_id of the campaign that the events name, or through whose callback URL they came; NULL when there is none.';
COMMENT ON COLUMN bi_v1.delivery_hourly.campaign_tracking_id IS 'Routee''s id of that campaign; NULL until it is known.';
COMMENT ON COLUMN bi_v1.delivery_hourly.campaign_name IS 'The name of that campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.delivery_hourly.campaign_label IS 'The label of that campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.delivery_hourly.country IS 'The recipients'' country as Routee spells it; NULL when not reported.';
COMMENT ON COLUMN bi_v1.delivery_hourly.sender IS 'The Viber sender; NULL when not reported.';
COMMENT ON COLUMN bi_v1.delivery_hourly.label IS 'The label as the events repeat it; NULL without one. campaign_label is that of the campaign.';
COMMENT ON COLUMN bi_v1.delivery_hourly.events IS 'Number of events of any status.';
COMMENT ON COLUMN bi_v1.delivery_hourly.queued IS 'Number of events that a message was accepted by Routee, or is being sent again.';
COMMENT ON COLUMN bi_v1.delivery_hourly.sent IS 'Number of events that a message was handed to Viber.';
COMMENT ON COLUMN bi_v1.delivery_hourly.undelivered IS 'Number of events that Viber could not deliver a message.';
COMMENT ON COLUMN bi_v1.delivery_hourly.expired IS 'Number of events that a message''s time to live ran out.';
COMMENT ON COLUMN bi_v1.delivery_hourly.failed IS 'Number of events that a message failed at Routee or Viber.';
COMMENT ON COLUMN bi_v1.delivery_hourly.unsent IS 'Number of events that a message was never sent.';
COMMENT ON COLUMN bi_v1.delivery_hourly.delivered IS 'Number of events that a message was delivered. Two for one message only if Routee reported two times.';
COMMENT ON COLUMN bi_v1.delivery_hourly.seen IS 'Number of events that a message was seen.';
COMMENT ON COLUMN bi_v1.delivery_hourly.unknown IS 'Number of events whose status is not known here.';
