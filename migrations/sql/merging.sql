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
