-- Pending: events, corrections and messages that are not rolled up yet. Added to the roll-ups in one
-- snapshot, the sum is exact at any time.

-- A function with settings of its own: the planner expects a third of all events beyond the
-- position, where there are few, and would read the whole table. The function shows no number and
-- no payload, so that every role that reads a view may call it.
CREATE FUNCTION bi_pending_events() RETURNS TABLE (
    message_tracking_id text, hour timestamptz, campaign_key text, country text, sender text,
    label text, status text, occurred_at timestamptz, received_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1000
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
BEGIN ATOMIC
    SELECT
        e.message_tracking_id, e.hour, e.campaign_key, e.country, e.sender, e.label, e.status,
        e.occurred_at, e.received_at
    FROM bi_event_keys AS e
    WHERE (e.feed_epoch, e.xid, e.id) > (
        (SELECT s.feed_epoch FROM bi_rollup_state AS s),
        (SELECT s.xid FROM bi_rollup_state AS s),
        (SELECT s.id FROM bi_rollup_state AS s)
    );
END;

-- Whether there is something to roll up: what the duty asks every other second. As the function
-- above, it reads the index by position only; nothing can appear any more below the oldest
-- transaction that still runs.
CREATE FUNCTION bi_is_pending() RETURNS boolean
LANGUAGE sql STABLE
SET enable_seqscan = off
SET enable_bitmapscan = off
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM events AS e
        WHERE (e.feed_epoch, e.xid, e.id) > (
            (SELECT s.feed_epoch FROM bi_rollup_state AS s),
            (SELECT s.xid FROM bi_rollup_state AS s),
            (SELECT s.id FROM bi_rollup_state AS s)
        )
        AND (e.feed_epoch, e.xid)
            < ((SELECT f.epoch FROM feed_state AS f), pg_snapshot_xmin(pg_current_snapshot()))
    ) OR EXISTS (SELECT FROM bi_event_corrections);
END;

-- A correction of a pending event changes nothing: the event itself has the new values.
CREATE VIEW bi_pending_hours AS
SELECT hour, campaign_key, country, sender, label, status, sum(events) AS events
FROM (
    SELECT hour, campaign_key, country, sender, label, status, 1 AS events
    FROM bi_pending_events()
    UNION ALL
    SELECT c.hour, c.campaign_key, c.country, c.sender, c.label, c.status, c.events
    FROM bi_event_corrections AS c, bi_rollup_state AS s
    WHERE (c.feed_epoch, c.xid, c.event_id) <= (s.feed_epoch, s.xid, s.id)
) AS pending
GROUP BY hour, campaign_key, country, sender, label, status;

-- Messages with a pending event or correction: as they are rolled up (-1), and as they are (1).
CREATE VIEW bi_pending_messages AS
WITH touched AS MATERIALIZED (
    SELECT message_tracking_id COLLATE "C" AS message_tracking_id FROM bi_pending_events()
    UNION
    SELECT message_tracking_id FROM bi_event_corrections
)
SELECT f.*, 1 AS messages
FROM touched AS t, LATERAL (
    SELECT * FROM bi_message_facts WHERE message_tracking_id = t.message_tracking_id
    OFFSET 0 -- one lookup for each message, by the key
) AS f
UNION ALL
SELECT c.*, -1
FROM touched AS t, LATERAL (
    SELECT * FROM bi_counted_messages WHERE message_tracking_id = t.message_tracking_id
    OFFSET 0
) AS c
-- Messages that retention has removed stay counted.
WHERE EXISTS (
    SELECT FROM messages WHERE message_tracking_id = t.message_tracking_id
    OFFSET 0
);
