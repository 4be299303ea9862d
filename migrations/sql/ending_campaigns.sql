-- What follows from the state of a launch, whatever changes it. A rejected or cancelled campaign is finished. One that
-- seemed to be rejected is not, once a callback proves that Routee accepted it.
CREATE FUNCTION end_campaign() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, receiver, pg_temp AS $$
BEGIN
    NEW.finished_at := CASE
        WHEN NEW.submission IN ('rejected', 'cancelled') THEN coalesce(OLD.finished_at, now())
        WHEN OLD.submission = 'rejected' THEN NULL
        ELSE NEW.finished_at
    END;
    RETURN NEW;
END $$;

CREATE TRIGGER campaign_ended BEFORE UPDATE OF submission ON campaigns FOR EACH ROW
WHEN (OLD.submission <> NEW.submission)
EXECUTE FUNCTION end_campaign();

-- The feed announces it.
CREATE FUNCTION announce_campaign() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, receiver, pg_temp AS $$
BEGIN
    INSERT INTO notices (type, campaign_id, campaign_tracking_id, data)
    VALUES (
        'campaign.' || NEW.submission, NEW.id, NEW.tracking_id,
        jsonb_build_object(
            'campaignName', NEW.name, 'label', NEW.label, 'submissionReason', NEW.submission_reason
        )
    );
    RETURN NULL;
END $$;

CREATE TRIGGER campaign_told AFTER UPDATE OF submission ON campaigns FOR EACH ROW
WHEN (OLD.submission <> NEW.submission AND NEW.submission IN ('launched', 'rejected', 'cancelled'))
EXECUTE FUNCTION announce_campaign();
