CREATE VIEW bi_v1.quarantine_daily AS
SELECT
    (q.received_at AT TIME ZONE 'UTC')::date AS day,
    q.reason,
    q.campaign_id::text AS campaign_id,
    c.tracking_id AS campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.name
        ELSE bi_v1.masked_text(c.name)
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN c.label
        ELSE bi_v1.masked_text(c.label)
    END AS campaign_label,
    q.bodies,
    q.repetitions
FROM (
    SELECT
        date_bin('1 day'::interval, received_at, '1970-01-01T00:00:00Z'::timestamptz) AS received_at,
        reason, campaign_id, count(*) AS bodies, sum(times - 1)::bigint AS repetitions
    FROM quarantine
    GROUP BY 1, 2, 3
) AS q
LEFT JOIN bi_campaigns AS c ON c.id = q.campaign_id;

COMMENT ON VIEW bi_v1.quarantine_daily IS 'Bodies that could not be stored as callbacks, by the day of their first receipt and the reason. They are in no other view. Retention removes them.';
COMMENT ON COLUMN bi_v1.quarantine_daily.day IS 'The day of the first receipt, by our clock, in UTC.';
COMMENT ON COLUMN bi_v1.quarantine_daily.reason IS 'Why, in one word; docs/durability.md explains each.';
COMMENT ON COLUMN bi_v1.quarantine_daily.campaign_id IS 'bi_v1.campaigns.campaign_id of the campaign through whose callback URL they came; NULL for the shared ones.';
COMMENT ON COLUMN bi_v1.quarantine_daily.campaign_tracking_id IS 'Routee''s id of that campaign; NULL until it is known.';
COMMENT ON COLUMN bi_v1.quarantine_daily.campaign_name IS 'The name of that campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.quarantine_daily.campaign_label IS 'The label of that campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.quarantine_daily.bodies IS 'Number of different bodies.';
COMMENT ON COLUMN bi_v1.quarantine_daily.repetitions IS 'How often the same bytes came again, on that day or later.';
