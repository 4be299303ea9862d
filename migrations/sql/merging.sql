-- How two rows of `messages`, or of `events`, become incoming. Each function is one expression, which
-- the planner inlines. A missing text counts as ''.

-- Whether the status of *incoming* is further on than that of *kept*.
CREATE FUNCTION outranks(incoming messages, kept messages) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (incoming.status_rank, incoming.status_at, incoming.status_key, incoming.provider_status,
        coalesce(incoming.detailed_status, ''), coalesce(incoming.description, ''))
    > (kept.status_rank, kept.status_at, kept.status_key, kept.provider_status,
        coalesce(kept.detailed_status, ''), coalesce(kept.description, ''));

-- Whether *incoming* changes any other column of *kept*.
CREATE FUNCTION adds_to(incoming messages, kept messages) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (
        kept.campaign_tracking_id, kept.campaign_id, kept.recipient, kept.sender,
        kept.country, kept.label, kept.created_at, kept.queued_at, kept.sent_at,
        kept.delivered_at, kept.seen_at, kept.failed_at, kept.first_occurred_at, kept.price,
        kept.last_occurred_at
    ) IS DISTINCT FROM (
        LEAST(kept.campaign_tracking_id, incoming.campaign_tracking_id),
        LEAST(kept.campaign_id, incoming.campaign_id), better_number(kept.recipient, incoming.recipient),
        LEAST(kept.sender, incoming.sender), LEAST(kept.country, incoming.country),
        LEAST(kept.label, incoming.label), LEAST(kept.created_at, incoming.created_at),
        LEAST(kept.queued_at, incoming.queued_at), LEAST(kept.sent_at, incoming.sent_at),
        LEAST(kept.delivered_at, incoming.delivered_at), LEAST(kept.seen_at, incoming.seen_at),
        LEAST(kept.failed_at, incoming.failed_at),
        LEAST(kept.first_occurred_at, incoming.first_occurred_at), GREATEST(kept.price, incoming.price),
        GREATEST(kept.last_occurred_at, incoming.last_occurred_at)
    );

-- Whether *incoming* came through the token of a campaign and *kept* is not known to be of this campaign: by the
-- trackingIds, or by the tokens as long as one of them is not known. What a shared callback secret made known is of
-- no token, so no token may report it but by the same trackingId.
CREATE FUNCTION is_foreign(incoming messages, kept messages) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN incoming.campaign_id IS NOT NULL AND coalesce(
    incoming.campaign_tracking_id <> kept.campaign_tracking_id,
    incoming.campaign_id IS DISTINCT FROM kept.campaign_id);

-- Fails the statement: a token must not change another campaign's message, also when another transaction
-- has just bound it. app/db/ingest.py sends the batch again without it.
CREATE FUNCTION refuse_foreign(message_tracking_id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'A message belongs to another campaign than that of the token'
        USING ERRCODE = 'RR001', DETAIL = message_tracking_id;
END $$;

-- Whether the texts of the status and its reason in *incoming* are greater than those in *kept*.
CREATE FUNCTION has_greater_wording(incoming events, kept events) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (incoming.provider_status, coalesce(incoming.detailed_status, ''), coalesce(incoming.description, ''))
    > (kept.provider_status, coalesce(kept.detailed_status, ''), coalesce(kept.description, ''));

-- Whether *incoming* changes any other column of *kept*.
CREATE FUNCTION adds_to(incoming events, kept events) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (
        kept.campaign_tracking_id, kept.campaign_id, kept.recipient, kept.sender,
        kept.country, kept.label, kept.created_at, kept.price
    ) IS DISTINCT FROM (
        LEAST(kept.campaign_tracking_id, incoming.campaign_tracking_id),
        LEAST(kept.campaign_id, incoming.campaign_id), better_number(kept.recipient, incoming.recipient),
        LEAST(kept.sender, incoming.sender), LEAST(kept.country, incoming.country),
        LEAST(kept.label, incoming.label), LEAST(kept.created_at, incoming.created_at),
        GREATEST(kept.price, incoming.price)
    );

-- Each message as the events of *batch* report it; the greatest event is its status. This is the one definition of
-- how events merge into a message: `append_events` stores it, a rebuild compares it with what is stored. The planner
-- inlines it.
CREATE FUNCTION reported_messages(batch callback_event[]) RETURNS TABLE (
    message_tracking_id text, greatest_status message_status, campaign_tracking_id text, campaign_id uuid,
    recipient text, sender text, country text, label text, created_at timestamptz, price numeric,
    queued_at timestamptz, sent_at timestamptz, delivered_at timestamptz, seen_at timestamptz,
    failed_at timestamptz, first_occurred_at timestamptz, last_occurred_at timestamptz
) LANGUAGE sql STABLE AS $$
SELECT e.message_tracking_id,
    (array_agg(ROW(coalesce(s.rank, 0), e.occurred_at, e.status_key, e.provider_status, e.detailed_status,
        e.description, coalesce(s.status, 'UNKNOWN'))::message_status ORDER BY coalesce(s.rank, 0) DESC,
        e.occurred_at DESC, e.status_key DESC, e.provider_status DESC, coalesce(e.detailed_status, '') DESC,
        coalesce(e.description, '') DESC
    ))[1],
    min(e.campaign_tracking_id), (min(ARRAY[e.campaign_id]))[1], best_number(e.recipient), min(e.sender),
    min(e.country), min(e.label), min(e.created_at), max(e.price),
    min(t.known_at) FILTER (WHERE e.status_key = 'QUEUED'),
    min(t.known_at) FILTER (WHERE e.status_key = 'SENT'),
    min(t.known_at) FILTER (WHERE e.status_key = 'DELIVERED'),
    min(t.known_at) FILTER (WHERE e.status_key = 'SEEN'),
    min(t.known_at) FILTER (WHERE s.rank = 3),
    min(t.known_at), max(t.known_at)
FROM unnest(batch) AS e LEFT JOIN statuses AS s ON s.status = e.status_key
CROSS JOIN LATERAL (SELECT nullif(e.occurred_at, 'epoch')) AS t (known_at) -- 'epoch': a time that is not known
GROUP BY e.message_tracking_id
$$;
