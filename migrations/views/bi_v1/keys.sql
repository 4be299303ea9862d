-- The keys by which events and messages are rolled up.

-- '-infinity' stands for an unknown time. Bins of an hour since the epoch are the hours of UTC.
CREATE FUNCTION bi_hour(occurred_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN occurred_at = '1970-01-01T00:00:00Z'::timestamptz THEN '-infinity'::timestamptz
    ELSE date_bin('1 hour'::interval, occurred_at, '1970-01-01T00:00:00Z'::timestamptz)
END;

CREATE FUNCTION bi_day(occurred_at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN occurred_at = '1970-01-01T00:00:00Z'::timestamptz THEN '-infinity'::date
    ELSE coalesce((occurred_at AT TIME ZONE 'UTC')::date, '-infinity')
END;

-- A logarithmic histogram: a bucket holds what is at most 10 % more than its lower end, so that the
-- value shown for it is off by 1 part of 21 at most. The lowest bucket holds what is below 1 ms.
CREATE FUNCTION bi_bucket(seconds double precision) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN seconds < 0 THEN NULL
    WHEN seconds < 0.001 THEN -32768
    ELSE ceil(ln(seconds) / ln(1.1::double precision))
END::smallint;

CREATE FUNCTION bi_seconds(bucket smallint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN bucket = -32768 THEN 0
    ELSE power(1.1::double precision, bucket) * 2 / 2.1
END;

-- One text or time of a JSON document; NULL when the document or the value is missing or unreadable.
-- The functions run as the role that reads a view, and are given what the view hides. Each has a
-- search_path of its own: a type "jsonb" in the session's temporary schema could keep its input.
CREATE FUNCTION bi_text_of(document bytea, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN convert_from(document, 'UTF8')::jsonb ->> name;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR feature_not_supported THEN
    RETURN NULL;
END $$;

CREATE FUNCTION bi_time_of(document bytea, name text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
BEGIN
    RETURN (convert_from(document, 'UTF8')::jsonb ->> name)::timestamptz;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR feature_not_supported THEN
    RETURN NULL;
END $$;

CREATE FUNCTION bi_texts_of(document bytea, name text) RETURNS SETOF text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT btrim(t)
    FROM jsonb_array_elements_text(convert_from(document, 'UTF8')::jsonb -> name) AS t;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR feature_not_supported THEN
    RETURN;
END $$;

-- What a request to launch a campaign has in its body; nothing but NULLs if it is unreadable.
CREATE FUNCTION bi_content_of(
    request bytea,
    OUT text text, OUT has_image boolean, OUT has_button boolean, OUT has_file boolean, OUT has_video boolean
)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    body jsonb;
BEGIN
    body := convert_from(request, 'UTF8')::jsonb -> 'body';
    text := nullif(body ->> 'text', '');
    has_image := body ->> 'imageURL' IS NOT NULL;
    has_button := body ->> 'action' IS NOT NULL;
    has_file := body ->> 'viberFile' IS NOT NULL;
    has_video := body ->> 'viberVideo' IS NOT NULL;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR feature_not_supported THEN
    RETURN;
END $$;

-- A campaign that was not launched here has the label of its events and the name that its replies or its
-- reports give it, once these are rolled up.
CREATE VIEW bi_campaigns AS
SELECT c.id, c.tracking_id, coalesce(c.name, f.name) AS name, coalesce(c.label, f.label) AS label
FROM campaigns AS c
LEFT JOIN bi_campaign_facts AS f ON f.campaign_key = c.tracking_id;

-- A campaign is counted under its trackingId, and under our id while the trackingId is unknown.
CREATE VIEW bi_campaign_keys AS
SELECT tracking_id AS campaign_key, id, tracking_id FROM campaigns WHERE tracking_id IS NOT NULL
UNION ALL
SELECT 'ours:' || id, id, tracking_id FROM campaigns;

CREATE VIEW bi_event_keys AS
SELECT
    feed_epoch, xid, id, message_tracking_id, occurred_at, received_at, created_at,
    bi_hour(occurred_at) AS hour,
    coalesce(campaign_tracking_id, 'ours:' || campaign_id) AS campaign_key,
    country, sender, label,
    CASE WHEN status_key IN (SELECT s.status FROM statuses AS s) THEN status_key ELSE 'UNKNOWN' END
        AS status
FROM events;

-- What a message adds to the days, the durations, the reasons and the spend of its campaign. OFFSET 0
-- keeps the planner from computing a bucket again wherever it is named.
CREATE VIEW bi_message_facts AS
SELECT
    m.message_tracking_id,
    coalesce(m.campaign_tracking_id, 'ours:' || m.campaign_id) AS campaign_key,
    bi_day(m.first_occurred_at) AS day,
    m.country,
    m.sender,
    m.label,
    m.status,
    b.deliver_bucket,
    b.see_bucket,
    CASE WHEN m.status_rank = 3 THEN m.status END AS failure,
    CASE WHEN m.status_rank = 3 THEN bi_day(m.status_at) END AS failure_day,
    CASE WHEN m.status_rank = 3 THEN m.detailed_status END AS detailed_status,
    CASE WHEN m.status_rank = 3 THEN m.description END AS description,
    m.price
FROM messages AS m
CROSS JOIN LATERAL (
    SELECT
        date_part('epoch', m.delivered_at - coalesce(m.queued_at, m.sent_at, m.created_at))
            AS to_deliver,
        date_part('epoch', m.seen_at - m.delivered_at) AS to_see
    OFFSET 0
) AS s
CROSS JOIN LATERAL (
    SELECT bi_bucket(s.to_deliver) AS deliver_bucket, bi_bucket(s.to_see) AS see_bucket
    OFFSET 0
) AS b;
