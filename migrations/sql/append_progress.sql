-- Makes a batch of reports of campaigns' progress durable: SELECT append_progress($1, $2). The same report again
-- is deduplicated. It returns how many were not stored before. They were received at `received`, or now where that is
-- null.
--
-- The ids are in the order of the batch, in which the reports came; the rows are locked in the order of their
-- identities, as by every other batch.
CREATE FUNCTION append_progress(batch callback_progress[], received timestamptz) RETURNS bigint
LANGUAGE sql AS $$
WITH given AS MATERIALIZED (
    SELECT nextval('campaign_progress_id') AS id, p.* FROM unnest(batch) AS p
),
stored AS (
    INSERT INTO campaign_progress (id, identity, campaign_tracking_id, campaign_id, status, reported_at, ordered_at,
        name, total_recipients, message_statuses, payload, payload_dictionary, payload_reserialised,
        received_at)
    SELECT id, identity, campaign_tracking_id, campaign_id, status, reported_at, coalesce(reported_at, received, now()),
        name, total_recipients, message_statuses, payload, payload_dictionary, payload_reserialised,
        coalesce(received, now())
    FROM given ORDER BY identity, id
    ON CONFLICT (identity) DO NOTHING
    RETURNING id
)
SELECT after_known(count(*)) FROM stored
$$;
