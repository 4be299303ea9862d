-- What a full database has besides messages when people look at it: a quarantine with bodies, what
-- was counted in each five minutes of the last 8 days, and a campaign just launched to as many numbers
-- as a request can have, of whom nothing was reported yet.

INSERT INTO quarantine (received_at, last_received_at, times, sha256, reason, path, content_type, body)
SELECT
    at, at + interval '1 hour', 1 + n % 5, sha256(body),
    (ARRAY['not-json', 'no-message-id', 'partly-unreadable', 'no-status'])[1 + n % 4],
    '/callbacks/…/status', 'application/json', body
FROM
    generate_series(1, 10000) AS n,
    LATERAL (SELECT now() - n * interval '10 minutes') AS received (at),
    LATERAL (SELECT convert_to('{"number": ' || n || repeat(', "ünknown": "value"', 40), 'UTF8'))
        AS posted (body)
ON CONFLICT DO NOTHING;

INSERT INTO received_lately (began_at, measure, bucket, times)
SELECT date_bin('5 minutes', now(), 'epoch') - n * interval '5 minutes', measure, bucket, 1000 + n % 97
FROM generate_series(0, 8 * 24 * 12 - 1) AS n, (
    SELECT 'answer', unnest(ARRAY['stored', 'quarantined', 'not-stored', 'too-large', 'ready'])
    UNION ALL
    SELECT 'record', unnest(ARRAY['fresh', 'duplicate'])
    UNION ALL
    SELECT 'answer-seconds', unnest(ARRAY[
        '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1.0', '1.5', '2.0', '+Inf'])
    UNION ALL
    SELECT 'provider-lag-seconds', unnest(ARRAY[
        '0.1', '0.5', '1.0', '5.0', '30.0', '60.0', '300.0', '3600.0', '86400.0', '+Inf'])
) AS counted (measure, bucket)
ON CONFLICT DO NOTHING;

INSERT INTO campaigns (id, tracking_id, submission, name, expected_messages, request)
SELECT uuidv7(), 'campaign-of-many-numbers', 'launched', 'of many numbers', 60000, convert_to(
    jsonb_build_object('to', jsonb_agg('+30697' || 1000000 + n), 'body', '{"text": "text"}'::jsonb)::text,
    'UTF8'
)
FROM generate_series(1, 60000) AS n
ON CONFLICT DO NOTHING;

ANALYZE quarantine, received_lately;
