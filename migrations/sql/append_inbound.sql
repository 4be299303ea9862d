-- Makes a batch of replies durable: SELECT * FROM append_inbound($1, $2). The same reply again is deduplicated.
-- They were received at `received`, or now where that is null.
-- As in `append_events`, a reply that came through the token of one campaign and answers a message of
-- another one, or one that a shared callback secret made known, is not stored; its identity is in `foreign_replies`.
--
-- Replies are few: each batch is planned anew, for `messages` as it is then. A plan made while that table is
-- small would scan it, and stay until the next ANALYZE.
CREATE FUNCTION append_inbound(batch callback_reply[], received timestamptz, OUT fresh bigint, OUT foreign_replies bytea[])
LANGUAGE sql SET plan_cache_mode = force_custom_plan AS $$
WITH given AS (
    SELECT * FROM unnest(batch)
),
foreign_ids AS (
    SELECT g.identity
    FROM given AS g JOIN messages AS m ON m.message_tracking_id = g.reference_tracking_id
    WHERE g.campaign_id IS NOT NULL
        AND coalesce(m.campaign_tracking_id <> g.campaign_tracking_id, m.campaign_id IS DISTINCT FROM g.campaign_id)
),
stored AS (
    INSERT INTO inbound_messages (identity, sender, recipient, message, media, filename, sent_at,
        campaign_tracking_id, campaign_name, campaign_id, reference_tracking_id, label, payload,
        payload_dictionary, payload_reserialised, received_at)
    SELECT given.*, coalesce(received, now()) FROM given
    WHERE identity NOT IN (SELECT identity FROM foreign_ids)
    ORDER BY identity
    ON CONFLICT (identity) DO NOTHING
    RETURNING id
)
SELECT after_known((SELECT count(*) FROM stored)), (SELECT array_agg(identity) FROM foreign_ids)
$$;
