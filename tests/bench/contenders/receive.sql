-- One callback, stored as app/db/ingest stores it: what a message is merges in any order, an event
-- is stored once, counts are deltas. Without what tokens of single campaigns need, and without the
-- quarantine: what cannot be read is an error here.

CREATE SCHEMA bench;

DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET jit = off', current_database());
    EXECUTE format(
        'ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', current_database());
END $$;

CREATE FUNCTION bench.rank_of(status_key text) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE status_key
        WHEN 'QUEUED' THEN 1 WHEN 'SENT' THEN 2 WHEN 'DELIVERED' THEN 4 WHEN 'SEEN' THEN 5
        WHEN 'UNDELIVERED' THEN 3 WHEN 'EXPIRED' THEN 3 WHEN 'FAILED' THEN 3 WHEN 'UNSENT' THEN 3
        ELSE 0 END::smallint
$$;

CREATE FUNCTION bench.bench_receive(json) RETURNS json LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    given constant jsonb := $1;
    reported constant jsonb := given -> 'status';
    id constant text := given ->> 'trackingId';
    word constant text := coalesce(reported ->> 'name', '');
    key constant text := upper(word);
    rank constant smallint := bench.rank_of(key);
    in_detail constant text := reported -> 'reason' ->> 'detailedStatus';
    described constant text := reported -> 'reason' ->> 'description';
    campaign constant text := given ->> 'campaignTrackingId';
    phone constant text := given ->> 'to';
    shop constant text := given ->> 'from';
    land constant text := given ->> 'country';
    tag constant text := given ->> 'label';
    amount constant numeric := given ->> 'price';
    created constant timestamptz := given ->> 'createdAt';
    at constant timestamptz := reported ->> 'updatedDate';
    since constant timestamptz := coalesce(at, 'epoch');
    old_campaign text;
    old_status text;
    new_campaign text;
    new_status text;
BEGIN
    INSERT INTO plain.messages AS m (
        message_tracking_id, status_rank, status_at, status_key, provider_status, detailed_status,
        description, status,
        campaign_tracking_id, recipient, sender, country, label, created_at, price, queued_at,
        sent_at, delivered_at, seen_at, failed_at, first_occurred_at, last_occurred_at
    ) VALUES (
        id, rank, since, key, word, in_detail,
        described, CASE WHEN rank = 0 THEN 'UNKNOWN' ELSE key END,
        campaign, phone, shop, land, tag, created, amount,
        CASE WHEN key = 'QUEUED' THEN at END, CASE WHEN key = 'SENT' THEN at END,
        CASE WHEN key = 'DELIVERED' THEN at END, CASE WHEN key = 'SEEN' THEN at END,
        CASE WHEN rank = 3 THEN at END, at, at
    )
    ON CONFLICT (message_tracking_id) DO UPDATE SET
        status_rank = CASE WHEN
            (excluded.status_rank, excluded.status_at, excluded.status_key,
             excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (m.status_rank, m.status_at, m.status_key, m.provider_status,
               coalesce(m.detailed_status, ''), coalesce(m.description, ''))
            THEN excluded.status_rank ELSE m.status_rank END,
        status_at = CASE WHEN
            (excluded.status_rank, excluded.status_at, excluded.status_key,
             excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (m.status_rank, m.status_at, m.status_key, m.provider_status,
               coalesce(m.detailed_status, ''), coalesce(m.description, ''))
            THEN excluded.status_at ELSE m.status_at END,
        status_key = CASE WHEN
            (excluded.status_rank, excluded.status_at, excluded.status_key,
             excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (m.status_rank, m.status_at, m.status_key, m.provider_status,
               coalesce(m.detailed_status, ''), coalesce(m.description, ''))
            THEN excluded.status_key ELSE m.status_key END,
        provider_status = CASE WHEN
            (excluded.status_rank, excluded.status_at, excluded.status_key,
             excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (m.status_rank, m.status_at, m.status_key, m.provider_status,
               coalesce(m.detailed_status, ''), coalesce(m.description, ''))
            THEN excluded.provider_status ELSE m.provider_status END,
        detailed_status = CASE WHEN
            (excluded.status_rank, excluded.status_at, excluded.status_key,
             excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (m.status_rank, m.status_at, m.status_key, m.provider_status,
               coalesce(m.detailed_status, ''), coalesce(m.description, ''))
            THEN excluded.detailed_status ELSE m.detailed_status END,
        description = CASE WHEN
            (excluded.status_rank, excluded.status_at, excluded.status_key,
             excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (m.status_rank, m.status_at, m.status_key, m.provider_status,
               coalesce(m.detailed_status, ''), coalesce(m.description, ''))
            THEN excluded.description ELSE m.description END,
        status = CASE WHEN
            (excluded.status_rank, excluded.status_at, excluded.status_key,
             excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (m.status_rank, m.status_at, m.status_key, m.provider_status,
               coalesce(m.detailed_status, ''), coalesce(m.description, ''))
            THEN excluded.status ELSE m.status END,
        campaign_tracking_id = LEAST(m.campaign_tracking_id, excluded.campaign_tracking_id),
        recipient = LEAST(m.recipient, excluded.recipient),
        sender = LEAST(m.sender, excluded.sender),
        country = LEAST(m.country, excluded.country),
        label = LEAST(m.label, excluded.label),
        created_at = LEAST(m.created_at, excluded.created_at),
        price = GREATEST(m.price, excluded.price),
        queued_at = LEAST(m.queued_at, excluded.queued_at),
        sent_at = LEAST(m.sent_at, excluded.sent_at),
        delivered_at = LEAST(m.delivered_at, excluded.delivered_at),
        seen_at = LEAST(m.seen_at, excluded.seen_at),
        failed_at = LEAST(m.failed_at, excluded.failed_at),
        first_occurred_at = LEAST(m.first_occurred_at, excluded.first_occurred_at),
        last_occurred_at = GREATEST(m.last_occurred_at, excluded.last_occurred_at),
        updated_at = now()
    WHERE (excluded.status_rank, excluded.status_at, excluded.status_key, excluded.provider_status,
             coalesce(excluded.detailed_status, ''), coalesce(excluded.description, ''))
            > (m.status_rank, m.status_at, m.status_key, m.provider_status,
               coalesce(m.detailed_status, ''), coalesce(m.description, ''))
        OR (m.campaign_tracking_id, m.recipient, m.sender, m.country, m.label, m.created_at,
            m.price, m.queued_at, m.sent_at, m.delivered_at, m.seen_at, m.failed_at,
            m.first_occurred_at, m.last_occurred_at)
            IS DISTINCT FROM (
            LEAST(m.campaign_tracking_id, excluded.campaign_tracking_id),
            LEAST(m.recipient, excluded.recipient), LEAST(m.sender, excluded.sender),
            LEAST(m.country, excluded.country), LEAST(m.label, excluded.label),
            LEAST(m.created_at, excluded.created_at), GREATEST(m.price, excluded.price),
            LEAST(m.queued_at, excluded.queued_at), LEAST(m.sent_at, excluded.sent_at),
            LEAST(m.delivered_at, excluded.delivered_at), LEAST(m.seen_at, excluded.seen_at),
            LEAST(m.failed_at, excluded.failed_at),
            LEAST(m.first_occurred_at, excluded.first_occurred_at),
            GREATEST(m.last_occurred_at, excluded.last_occurred_at))
    RETURNING old.campaign_tracking_id, old.status, new.campaign_tracking_id, new.status
    INTO old_campaign, old_status, new_campaign, new_status;

    IF FOUND AND (old_campaign, old_status) IS DISTINCT FROM (new_campaign, new_status) THEN
        INSERT INTO receiver.campaign_count_deltas (campaign_tracking_id, status, messages)
        SELECT c, s, n
        FROM (VALUES (old_campaign, old_status, -1), (new_campaign, new_status, 1)) AS t (c, s, n)
        WHERE c IS NOT NULL;
    END IF;

    INSERT INTO plain.events AS e (
        message_tracking_id, status_key, occurred_at, status_rank, provider_status, detailed_status,
        description, source, payload,
        campaign_tracking_id, recipient, sender, country, label, price, created_at
    ) VALUES (
        id, key, since, rank, word, in_detail,
        described, 0, convert_to($1::text, 'UTF8'), campaign, phone, shop, land, tag,
        amount, created
    )
    ON CONFLICT (message_tracking_id, status_key, occurred_at) DO UPDATE SET
        provider_status = CASE WHEN
            (excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (e.provider_status, coalesce(e.detailed_status, ''), coalesce(e.description, ''))
            THEN excluded.provider_status ELSE e.provider_status END,
        detailed_status = CASE WHEN
            (excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (e.provider_status, coalesce(e.detailed_status, ''), coalesce(e.description, ''))
            THEN excluded.detailed_status ELSE e.detailed_status END,
        description = CASE WHEN
            (excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (e.provider_status, coalesce(e.detailed_status, ''), coalesce(e.description, ''))
            THEN excluded.description ELSE e.description END,
        campaign_tracking_id = LEAST(e.campaign_tracking_id, excluded.campaign_tracking_id),
        recipient = LEAST(e.recipient, excluded.recipient),
        sender = LEAST(e.sender, excluded.sender),
        country = LEAST(e.country, excluded.country),
        label = LEAST(e.label, excluded.label),
        price = GREATEST(e.price, excluded.price),
        created_at = LEAST(e.created_at, excluded.created_at)
    WHERE (excluded.provider_status, coalesce(excluded.detailed_status, ''),
             coalesce(excluded.description, ''))
            > (e.provider_status, coalesce(e.detailed_status, ''), coalesce(e.description, ''))
        OR (e.campaign_tracking_id, e.recipient, e.sender, e.country, e.label, e.price,
            e.created_at)
            IS DISTINCT FROM (
            LEAST(e.campaign_tracking_id, excluded.campaign_tracking_id),
            LEAST(e.recipient, excluded.recipient), LEAST(e.sender, excluded.sender),
            LEAST(e.country, excluded.country), LEAST(e.label, excluded.label),
            GREATEST(e.price, excluded.price), LEAST(e.created_at, excluded.created_at));

    RETURN '{"result":"stored"}';
END $$;
