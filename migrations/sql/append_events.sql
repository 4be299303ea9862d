-- Makes a batch of events durable: SELECT append_events($1, $2), one statement and one commit. Replies and quarantined
-- bodies have their own; a flush as a whole is not atomic. It returns how many events were not stored before.
-- They were received at `received`, or now where that is null.
-- Precondition (kept by services/callbacks/flush): all events of one message have the same campaign_id, or all none.
--
-- Concurrency rests on the order of the parts. First the message rows, in the bytewise order of their ids: the row
-- lock of even a losing upsert stays until the commit, so that all that follows for one message is serial. Then the
-- count deltas, which are only appended. Then the events. See merging.sql for the functions that compare rows, and for
-- `reported_messages`, which is inlined here.
--
-- Growing tables are read only through the keys of the upserts, so one generic plan suits every batch and table size.
CREATE FUNCTION append_events(batch callback_event[], received timestamptz) RETURNS bigint
LANGUAGE sql SET plan_cache_mode = force_generic_plan AS $$
WITH upserted AS (
    INSERT INTO messages AS m (message_tracking_id, status_rank, status_at, status_key, provider_status,
        detailed_status, description, status, campaign_tracking_id, campaign_id, recipient, sender, country,
        label, created_at, price, queued_at, sent_at, delivered_at, seen_at, failed_at, first_occurred_at,
        last_occurred_at, first_received_at)
    SELECT message_tracking_id, (greatest_status).*, campaign_tracking_id, campaign_id, recipient, sender, country,
        label, created_at, price, queued_at, sent_at, delivered_at, seen_at, failed_at, first_occurred_at,
        last_occurred_at, coalesce(received, now())
    FROM reported_messages(batch) ORDER BY message_tracking_id
    ON CONFLICT (message_tracking_id) DO UPDATE SET
        status_rank = CASE WHEN outranks(excluded, m) THEN excluded.status_rank ELSE m.status_rank END,
        status_at = CASE WHEN outranks(excluded, m) THEN excluded.status_at ELSE m.status_at END,
        status_key = CASE WHEN outranks(excluded, m) THEN excluded.status_key ELSE m.status_key END,
        provider_status = CASE WHEN outranks(excluded, m) THEN excluded.provider_status ELSE m.provider_status END,
        detailed_status = CASE WHEN outranks(excluded, m) THEN excluded.detailed_status ELSE m.detailed_status END,
        description = CASE WHEN outranks(excluded, m) THEN excluded.description ELSE m.description END,
        status = CASE WHEN outranks(excluded, m) THEN excluded.status ELSE m.status END,
        campaign_tracking_id = LEAST(m.campaign_tracking_id, excluded.campaign_tracking_id),
        campaign_id = LEAST(m.campaign_id, excluded.campaign_id), recipient = better_number(m.recipient, excluded.recipient),
        sender = LEAST(m.sender, excluded.sender), country = LEAST(m.country, excluded.country),
        label = LEAST(m.label, excluded.label), created_at = LEAST(m.created_at, excluded.created_at),
        queued_at = LEAST(m.queued_at, excluded.queued_at), sent_at = LEAST(m.sent_at, excluded.sent_at),
        delivered_at = LEAST(m.delivered_at, excluded.delivered_at), seen_at = LEAST(m.seen_at, excluded.seen_at),
        failed_at = LEAST(m.failed_at, excluded.failed_at),
        first_occurred_at = LEAST(m.first_occurred_at, excluded.first_occurred_at),
        price = GREATEST(m.price, excluded.price),
        last_occurred_at = GREATEST(m.last_occurred_at, excluded.last_occurred_at),
        first_received_at = LEAST(m.first_received_at, excluded.first_received_at),
        updated_at = now()
    WHERE CASE WHEN is_foreign(excluded, m) THEN refuse_foreign(m.message_tracking_id)
        ELSE outranks(excluded, m) OR adds_to(excluded, m) OR received < m.first_received_at END
    RETURNING old.campaign_tracking_id AS old_campaign, old.status AS old_status,
        new.campaign_tracking_id AS new_campaign, new.status AS new_status
),
deltas AS (
    INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
    SELECT campaign, status, sum(messages) FROM (
        SELECT old_campaign, old_status, -1 FROM upserted WHERE old_campaign IS NOT NULL
        UNION ALL
        SELECT new_campaign, new_status, 1 FROM upserted WHERE new_campaign IS NOT NULL
    ) AS transitions (campaign, status, messages)
    GROUP BY campaign, status HAVING sum(messages) <> 0
),
stored AS (
    INSERT INTO events AS e (message_tracking_id, status_key, occurred_at, digest, provider_status, detailed_status,
        description, campaign_tracking_id, campaign_id, recipient, sender, country, label, price, created_at,
        source, payload, payload_dictionary, payload_reserialised, received_at)
    SELECT message_tracking_id, status_key, occurred_at, digest, provider_status, detailed_status,
        description, campaign_tracking_id, campaign_id, recipient, sender, country, label, price, created_at,
        source, payload, payload_dictionary, payload_reserialised, coalesce(received, now())
    FROM unnest(batch)
    WHERE (SELECT count(*) FROM upserted) >= 0 -- so that all message rows are locked by now
    -- The same event again: it may report further fields. Source and payload stay as they came first.
    ON CONFLICT (message_tracking_id, status_key, occurred_at, digest) DO UPDATE SET
        provider_status = CASE WHEN has_greater_wording(excluded, e) THEN excluded.provider_status ELSE e.provider_status END,
        detailed_status = CASE WHEN has_greater_wording(excluded, e) THEN excluded.detailed_status ELSE e.detailed_status END,
        description = CASE WHEN has_greater_wording(excluded, e) THEN excluded.description ELSE e.description END,
        campaign_tracking_id = LEAST(e.campaign_tracking_id, excluded.campaign_tracking_id),
        campaign_id = LEAST(e.campaign_id, excluded.campaign_id), recipient = better_number(e.recipient, excluded.recipient),
        sender = LEAST(e.sender, excluded.sender), country = LEAST(e.country, excluded.country),
        label = LEAST(e.label, excluded.label), created_at = LEAST(e.created_at, excluded.created_at),
        price = GREATEST(e.price, excluded.price)
    WHERE has_greater_wording(excluded, e) OR adds_to(excluded, e)
    RETURNING old.id IS NULL AS is_fresh
)
SELECT count(*) FROM stored WHERE is_fresh
$$;
