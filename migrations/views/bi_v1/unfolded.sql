-- What the roll-ups do not hold yet. Added to them in one snapshot, the sum is exact at any time.

-- A function with settings of its own: the planner takes a third of all events for the few that lie
-- beyond the place, and would read all of them. It shows no number and no payload, so that whoever
-- may read a view may call it.
CREATE FUNCTION bi_unfolded_events() RETURNS TABLE (
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

-- A correction of an event that is not folded yet is no difference: the event itself has it.
CREATE VIEW bi_unfolded_hours AS
SELECT hour, campaign_key, country, sender, label, status, sum(events) AS events
FROM (
    SELECT hour, campaign_key, country, sender, label, status, 1 AS events
    FROM bi_unfolded_events()
    UNION ALL
    SELECT c.hour, c.campaign_key, c.country, c.sender, c.label, c.status, c.events
    FROM bi_event_corrections AS c, bi_rollup_state AS s
    WHERE (c.feed_epoch, c.xid, c.event_id) <= (s.feed_epoch, s.xid, s.id)
) AS unfolded
GROUP BY hour, campaign_key, country, sender, label, status;

-- Messages of which something is not folded: as they are counted (-1), and as they are (1).
CREATE VIEW bi_unfolded_messages AS
WITH touched AS MATERIALIZED (
    SELECT message_tracking_id COLLATE "C" AS message_tracking_id FROM bi_unfolded_events()
    UNION
    SELECT message_tracking_id FROM bi_event_corrections
)
SELECT f.*, 1 AS messages
FROM touched AS t, LATERAL (
    SELECT * FROM bi_message_facts WHERE message_tracking_id = t.message_tracking_id
    OFFSET 0 -- one message after the other, by the key
) AS f
UNION ALL
SELECT c.*, -1
FROM touched AS t, LATERAL (
    SELECT * FROM bi_counted_messages WHERE message_tracking_id = t.message_tracking_id
    OFFSET 0
) AS c
-- What retention has removed stays counted.
WHERE EXISTS (
    SELECT FROM messages WHERE message_tracking_id = t.message_tracking_id
    OFFSET 0
);
