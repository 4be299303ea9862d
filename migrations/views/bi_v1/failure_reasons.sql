CREATE VIEW bi_v1.failure_reasons AS
SELECT
    f.campaign_id::text AS campaign_id,
    f.campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.name
        ELSE bi_v1.masked_text(c.name)
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.label
        ELSE bi_v1.masked_text(c.label)
    END AS campaign_label,
    f.status,
    f.detailed_status,
    f.description,
    f.messages,
    round(f.messages / sum(f.messages) OVER (PARTITION BY f.campaign_id, f.campaign_tracking_id), 6)
        ::double precision AS share
FROM (
    SELECT
        k.id AS campaign_id,
        CASE
            WHEN k.id IS NOT NULL THEN k.tracking_id
            WHEN NOT starts_with(r.campaign_key, 'ours:') THEN r.campaign_key
        END AS campaign_tracking_id,
        r.failure AS status,
        CASE
            WHEN (SELECT bi_v1.sees_numbers()) THEN r.detailed_status
            ELSE bi_v1.masked_text(r.detailed_status)
        END AS detailed_status,
        CASE
            WHEN (SELECT bi_v1.sees_numbers()) THEN r.description
            ELSE bi_v1.masked_text(r.description)
        END AS description,
        sum(r.messages)::bigint AS messages
    FROM (
        SELECT campaign_key, failure, detailed_status, description, messages
        FROM bi_failure_reasons
        UNION ALL
        SELECT campaign_key, failure, detailed_status, description, messages
        FROM bi_pending_messages
        WHERE failure IS NOT NULL
    ) AS r
    LEFT JOIN bi_campaign_keys AS k ON k.campaign_key = r.campaign_key
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(r.messages) <> 0
) AS f
LEFT JOIN bi_campaigns AS c ON c.id = f.campaign_id;

COMMENT ON VIEW bi_v1.failure_reasons IS 'Why messages failed: those whose current status is UNDELIVERED, EXPIRED, FAILED or UNSENT, by campaign and reason. A message that was delivered after all is not in it. What retention removes stays counted.';
COMMENT ON COLUMN bi_v1.failure_reasons.campaign_id IS 'bi_v1.campaigns.campaign_id of the messages'' campaign; NULL when it is not known.';
COMMENT ON COLUMN bi_v1.failure_reasons.campaign_tracking_id IS 'Routee''s id of that campaign.';
COMMENT ON COLUMN bi_v1.failure_reasons.campaign_name IS 'The name of that campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.failure_reasons.campaign_label IS 'The label of that campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.failure_reasons.status IS 'UNDELIVERED, EXPIRED, FAILED or UNSENT.';
COMMENT ON COLUMN bi_v1.failure_reasons.detailed_status IS 'Routee''s reason in short; NULL when it gave none.';
COMMENT ON COLUMN bi_v1.failure_reasons.description IS 'Routee''s reason in a sentence, telephone numbers in it masked unless the role is a member of bi_reader_pii; NULL when it gave none.';
COMMENT ON COLUMN bi_v1.failure_reasons.messages IS 'Number of messages that failed for this reason.';
COMMENT ON COLUMN bi_v1.failure_reasons.share IS 'messages / all failed messages of the campaign, 0 to 1. Not additive over campaigns.';

CREATE VIEW bi_v1.failure_reasons_daily AS
SELECT
    f.day,
    f.campaign_id::text AS campaign_id,
    f.campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.name
        ELSE bi_v1.masked_text(c.name)
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.label
        ELSE bi_v1.masked_text(c.label)
    END AS campaign_label,
    f.status,
    f.detailed_status,
    f.description,
    f.messages
FROM (
    SELECT
        nullif(r.failure_day, '-infinity') AS day,
        k.id AS campaign_id,
        CASE
            WHEN k.id IS NOT NULL THEN k.tracking_id
            WHEN NOT starts_with(r.campaign_key, 'ours:') THEN r.campaign_key
        END AS campaign_tracking_id,
        r.failure AS status,
        CASE
            WHEN (SELECT bi_v1.sees_numbers()) THEN r.detailed_status
            ELSE bi_v1.masked_text(r.detailed_status)
        END AS detailed_status,
        CASE
            WHEN (SELECT bi_v1.sees_numbers()) THEN r.description
            ELSE bi_v1.masked_text(r.description)
        END AS description,
        sum(r.messages)::bigint AS messages
    FROM (
        SELECT campaign_key, failure_day, failure, detailed_status, description, messages
        FROM bi_failure_reasons
        UNION ALL
        SELECT campaign_key, failure_day, failure, detailed_status, description, messages
        FROM bi_pending_messages
        WHERE failure IS NOT NULL
    ) AS r
    LEFT JOIN bi_campaign_keys AS k ON k.campaign_key = r.campaign_key
    GROUP BY 1, 2, 3, 4, 5, 6
    HAVING sum(r.messages) <> 0
) AS f
LEFT JOIN bi_campaigns AS c ON c.id = f.campaign_id;

COMMENT ON VIEW bi_v1.failure_reasons_daily IS 'Why messages failed: those whose current status is UNDELIVERED, EXPIRED, FAILED or UNSENT, by the day on which they failed, campaign and reason. Additive: sums over any rows are right. A message that was delivered after all is not in it. What retention removes stays counted.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.day IS 'The day on which the messages failed, by Routee''s clock, in UTC; NULL when no time was reported.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.campaign_id IS 'bi_v1.campaigns.campaign_id of the messages'' campaign; NULL when it is not known.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.campaign_tracking_id IS 'Routee''s id of that campaign.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.campaign_name IS 'The name of that campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.campaign_label IS 'The label of that campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.status IS 'UNDELIVERED, EXPIRED, FAILED or UNSENT.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.detailed_status IS 'Routee''s reason in short; NULL when it gave none.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.description IS 'Routee''s reason in a sentence, telephone numbers in it masked unless the role is a member of bi_reader_pii; NULL when it gave none.';
COMMENT ON COLUMN bi_v1.failure_reasons_daily.messages IS 'Number of messages that failed for this reason.';
