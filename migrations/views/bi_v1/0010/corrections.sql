-- An event that is told again may get to know its campaign, its country and so on. The callback
-- path pays for this only then: an insert does not meet a trigger of updates.

CREATE FUNCTION bi_correct_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    WITH told AS (
        SELECT
            e.id, e.xid, e.feed_epoch, e.message_key, e.occurred_at, e.created_at, e.status_rank,
            e.status_key, e.campaign_id, e.sign,
            coalesce(e.campaign_tracking_id, f.campaign_tracking_id) AS campaign_tracking_id,
            coalesce(e.country, f.country) AS country,
            coalesce(e.sender, f.sender) AS sender,
            coalesce(e.label, f.label) AS label,
            coalesce(e.detailed_status, f.detailed_status) AS detailed_status,
            coalesce(e.description, f.description) AS description,
            coalesce(e.price, f.price) AS price
        FROM (SELECT (OLD).*, -1 AS sign UNION ALL SELECT (NEW).*, 1) AS e
        LEFT JOIN event_forms AS f ON f.id = e.form_id
    )
    INSERT INTO bi_event_corrections (
        feed_epoch, xid, event_id, message_key,
        hour, campaign_key, country, sender, label, status, events
    )
    SELECT
        feed_epoch, xid, id, message_key, bi_hour(occurred_at),
        coalesce(campaign_tracking_id, 'ours:' || campaign_id), country, sender, label,
        CASE WHEN status_rank = 0 THEN 'UNKNOWN' ELSE status_key END, sign
    FROM told
    -- Unpacked it may tell the same as before.
    WHERE 1 < (
        SELECT count(*) FROM (
            SELECT DISTINCT
                campaign_tracking_id, campaign_id, country, sender, label, detailed_status,
                description, created_at, price
            FROM told
        ) AS versions
    );
    RETURN NULL;
END $$;

CREATE TRIGGER bi_event_corrected AFTER UPDATE ON packed_events FOR EACH ROW
WHEN (
    (OLD.form_id, OLD.campaign_tracking_id, OLD.campaign_id, OLD.country, OLD.sender, OLD.label,
     OLD.detailed_status, OLD.description, OLD.created_at, OLD.price)
    IS DISTINCT FROM
    (NEW.form_id, NEW.campaign_tracking_id, NEW.campaign_id, NEW.country, NEW.sender, NEW.label,
     NEW.detailed_status, NEW.description, NEW.created_at, NEW.price)
)
EXECUTE FUNCTION bi_correct_event();

-- A reply belongs to the campaign that it names, else to that of the message that it answers.
CREATE FUNCTION bi_count_removed_replies() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO bi_removed_replies AS r (campaign_key, replies)
    SELECT k.campaign_key, count(*)
    FROM removed AS i
    LEFT JOIN messages AS m ON m.message_key = message_key(i.reference_tracking_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(
            i.campaign_tracking_id, m.campaign_tracking_id,
            'ours:' || coalesce(m.campaign_id, i.campaign_id)
        ) AS campaign_key
    ) AS k
    WHERE k.campaign_key IS NOT NULL
    GROUP BY k.campaign_key
    ON CONFLICT (campaign_key) DO UPDATE SET replies = r.replies + excluded.replies;
    RETURN NULL;
END $$;

CREATE TRIGGER bi_replies_removed AFTER DELETE ON inbound_messages
REFERENCING OLD TABLE AS removed
FOR EACH STATEMENT EXECUTE FUNCTION bi_count_removed_replies();
