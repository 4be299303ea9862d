-- How two rows of `messages`, or of `events`, become one. Each function is one expression, which the
-- planner puts in the place of its call. A missing text counts as ''.

-- Whether the status of *one* is further on than that of *other*.
CREATE FUNCTION outranks(one messages, other messages) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (one.status_rank, one.status_at, one.status_key, one.provider_status,
        coalesce(one.detailed_status, ''), coalesce(one.description, ''))
    > (other.status_rank, other.status_at, other.status_key, other.provider_status,
        coalesce(other.detailed_status, ''), coalesce(other.description, ''));

-- Whether *one* changes any other column of *other*.
CREATE FUNCTION adds_to(one messages, other messages) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (
        other.campaign_tracking_id, other.campaign_id, other.recipient, other.sender,
        other.country, other.label, other.created_at, other.queued_at, other.sent_at,
        other.delivered_at, other.seen_at, other.failed_at, other.first_occurred_at, other.price,
        other.last_occurred_at
    ) IS DISTINCT FROM (
        LEAST(other.campaign_tracking_id, one.campaign_tracking_id),
        LEAST(other.campaign_id, one.campaign_id), LEAST(other.recipient, one.recipient),
        LEAST(other.sender, one.sender), LEAST(other.country, one.country),
        LEAST(other.label, one.label), LEAST(other.created_at, one.created_at),
        LEAST(other.queued_at, one.queued_at), LEAST(other.sent_at, one.sent_at),
        LEAST(other.delivered_at, one.delivered_at), LEAST(other.seen_at, one.seen_at),
        LEAST(other.failed_at, one.failed_at),
        LEAST(other.first_occurred_at, one.first_occurred_at), GREATEST(other.price, one.price),
        GREATEST(other.last_occurred_at, one.last_occurred_at)
    );

-- Whether *one* came through the token of a campaign and *other* is known to belong to another: by the
-- trackingIds, or by the tokens as long as one of them is not known.
CREATE FUNCTION is_foreign(one messages, other messages) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN one.campaign_id IS NOT NULL AND coalesce(
    one.campaign_tracking_id <> other.campaign_tracking_id, one.campaign_id <> other.campaign_id, false);

-- Refuses the whole batch: a token opens only what it was made for, under any concurrency.
CREATE FUNCTION refuse_foreign(message_tracking_id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'A message belongs to another campaign than that of the token'
        USING ERRCODE = 'RR001', DETAIL = message_tracking_id;
END $$;

-- Whether *one* spells the status and its reason with a greater text than *other*.
CREATE FUNCTION says_more(one events, other events) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (one.provider_status, coalesce(one.detailed_status, ''), coalesce(one.description, ''))
    > (other.provider_status, coalesce(other.detailed_status, ''), coalesce(other.description, ''));

-- Whether *one* changes any other column of *other*.
CREATE FUNCTION adds_to(one events, other events) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (
        other.campaign_tracking_id, other.campaign_id, other.recipient, other.sender,
        other.country, other.label, other.created_at, other.price
    ) IS DISTINCT FROM (
        LEAST(other.campaign_tracking_id, one.campaign_tracking_id),
        LEAST(other.campaign_id, one.campaign_id), LEAST(other.recipient, one.recipient),
        LEAST(other.sender, one.sender), LEAST(other.country, one.country),
        LEAST(other.label, one.label), LEAST(other.created_at, one.created_at),
        GREATEST(other.price, one.price)
    );
