CREATE VIEW bi_v1.received_daily AS
SELECT
    day,
    kind,
    sum(records)::bigint AS records,
    coalesce(sum(records) FILTER (WHERE outcome = 'fresh'), 0)::bigint AS fresh,
    coalesce(sum(records) FILTER (WHERE outcome = 'duplicate'), 0)::bigint AS repeated
FROM bi_received
GROUP BY day, kind;

COMMENT ON VIEW bi_v1.received_daily IS 'How many callbacks were received and stored on each day, and how many of these were repetitions. Each process writes its counts once a minute: what it received in its last minute may be missing. For what is stored ask the other views, which are exact.';
COMMENT ON COLUMN bi_v1.received_daily.day IS 'The day of receipt, by our clock, in UTC.';
COMMENT ON COLUMN bi_v1.received_daily.kind IS 'What was received: event (of a message), inbound (a reply) or campaign-progress (a report of a campaign as a whole).';
COMMENT ON COLUMN bi_v1.received_daily.records IS 'Number of records; a callback has one, an envelope several.';
COMMENT ON COLUMN bi_v1.received_daily.fresh IS 'How many were stored as something new.';
COMMENT ON COLUMN bi_v1.received_daily.repeated IS 'How many repeated what was stored already.';
