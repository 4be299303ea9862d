CREATE VIEW bi_v1.freshness AS
SELECT
    greatest(s.newest_received_at, u.newest_received_at) AS newest_received_at,
    greatest(s.newest_occurred_at, u.newest_occurred_at) AS newest_occurred_at,
    s.newest_received_at AS rolled_up_to,
    u.events AS pending_events,
    (SELECT count(*) FROM bi_event_corrections) AS pending_corrections,
    (SELECT count(*) FROM campaign_count_deltas) AS pending_counts,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        - pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS feed_held_back_transactions,
    coalesce((SELECT batches FROM bi_buffered), 0) AS buffered_batches,
    (SELECT oldest_at FROM bi_buffered) AS buffered_since,
    (SELECT measured_at FROM bi_buffered) AS buffer_measured_at
FROM bi_rollup_state AS s, (
    SELECT
        count(*) AS events,
        max(received_at) AS newest_received_at,
        max(nullif(occurred_at, '1970-01-01T00:00:00Z'::timestamptz)) AS newest_occurred_at
    FROM bi_pending_events()
) AS u;

COMMENT ON VIEW bi_v1.freshness IS 'One row: how far the data reaches. All views are exact at any time; events that are not rolled up yet only make them slower.';
COMMENT ON COLUMN bi_v1.freshness.newest_received_at IS 'When the last event was received here. Hours ago on a quiet night is nothing bad.';
COMMENT ON COLUMN bi_v1.freshness.newest_occurred_at IS 'The latest time that Routee reported for any event. In the future if a clock is wrong.';
COMMENT ON COLUMN bi_v1.freshness.rolled_up_to IS 'When the last event was received that is in the roll-ups behind the views; NULL before the first.';
COMMENT ON COLUMN bi_v1.freshness.pending_events IS 'Number of events that the views count one by one because they are not in the roll-ups yet. Thousands for long mean that no service runs, or that a transaction holds the feed back.';
COMMENT ON COLUMN bi_v1.freshness.pending_corrections IS 'Number of changes to rolled-up events that are not in the roll-ups yet.';
COMMENT ON COLUMN bi_v1.freshness.pending_counts IS 'Number of changes to the counts of campaigns that are not added to the counts yet.';
COMMENT ON COLUMN bi_v1.freshness.feed_held_back_transactions IS 'How many transactions the oldest writing one holds back, from the feed and from the roll-ups. The views have what is held back.';
COMMENT ON COLUMN bi_v1.freshness.buffered_batches IS 'Number of batches of callbacks that are acknowledged and not yet in PostgreSQL: 0 when callbacks are stored directly.';
COMMENT ON COLUMN bi_v1.freshness.buffered_since IS 'When the oldest batch was received that is not yet in PostgreSQL; NULL if there is none.';
COMMENT ON COLUMN bi_v1.freshness.buffer_measured_at IS 'When both were measured; NULL when callbacks are stored directly.';
