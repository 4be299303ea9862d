-- An event that is reported again may add its campaign, its country and so on. Only this costs the
-- callback path anything: a trigger of updates does not fire for an insert.

CREATE FUNCTION bi_correct_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, receiver, pg_temp AS $$
DECLARE
    -- The status is a part of the key: an update does not change it.
    reported CONSTANT text :=
        coalesce((SELECT s.status FROM statuses AS s WHERE s.status = NEW.status_key), 'UNKNOWN');
BEGIN
    INSERT INTO bi_event_corrections (
        feed_epoch, xid, event_id, message_tracking_id,
        occurred_at, hour, campaign_key, country, sender, label, status, events
    )
    VALUES (
        NEW.feed_epoch, NEW.xid, NEW.id, NEW.message_tracking_id,
        OLD.occurred_at, bi_hour(OLD.occurred_at),
        coalesce(OLD.campaign_tracking_id, 'ours:' || OLD.campaign_id),
        OLD.country, OLD.sender, OLD.label,
        reported, -1
    ), (
        NEW.feed_epoch, NEW.xid, NEW.id, NEW.message_tracking_id,
        NEW.occurred_at, bi_hour(NEW.occurred_at),
        coalesce(NEW.campaign_tracking_id, 'ours:' || NEW.campaign_id),
        NEW.country, NEW.sender, NEW.label,
        reported, 1
    );
    RETURN NULL;
END $$;

CREATE TRIGGER bi_event_corrected AFTER UPDATE ON events FOR EACH ROW
WHEN (
    (OLD.campaign_tracking_id, OLD.campaign_id, OLD.country, OLD.sender, OLD.label,
     OLD.detailed_status, OLD.description, OLD.created_at, OLD.price)
    IS DISTINCT FROM
    (NEW.campaign_tracking_id, NEW.campaign_id, NEW.country, NEW.sender, NEW.label,
     NEW.detailed_status, NEW.description, NEW.created_at, NEW.price)
)
EXECUTE FUNCTION bi_correct_event();

-- A reply belongs to the campaign that it names, else to that of the message that it answers.
CREATE FUNCTION bi_count_removed_replies() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, receiver, pg_temp AS $$
BEGIN
    INSERT INTO bi_removed_replies AS r (campaign_key, replies)
    SELECT k.campaign_key, count(*)
    FROM removed AS i
    LEFT JOIN messages AS m ON m.message_tracking_id = i.reference_tracking_id
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
