-- The contenders' own tables of events and messages, in the database of the service. Columns, indexes and
-- partitions are those of the service; an event has its rank as well, which one who has no table of ranks
-- would store. The ids of the feed and the counts are the service's own.

CREATE SCHEMA plain;

CREATE TABLE plain.events (
    id bigint NOT NULL DEFAULT nextval('feed_id'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz,
    campaign_id uuid,
    feed_epoch smallint NOT NULL DEFAULT pg_sequence_last_value('feed_epoch'::regclass),
    source smallint NOT NULL,
    status_rank smallint NOT NULL,
    payload_dictionary smallint NOT NULL DEFAULT 0,
    payload_reserialised boolean NOT NULL DEFAULT false,
    message_tracking_id text COLLATE "C" NOT NULL,
    status_key text COLLATE "C" NOT NULL,
    provider_status text COLLATE "C" NOT NULL,
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    campaign_tracking_id text COLLATE "C",
    recipient text COLLATE "C",
    sender text COLLATE "C",
    country text COLLATE "C",
    label text COLLATE "C",
    price numeric,
    payload bytea,
    PRIMARY KEY (message_tracking_id, status_key, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX ON plain.events (campaign_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX ON plain.events (feed_epoch, xid, id);

DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bounds
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'events'::regclass
    LOOP
        EXECUTE format(
            'CREATE TABLE plain.%I PARTITION OF plain.events %s', part.relname, part.bounds
        );
    END LOOP;
END $$;

CREATE TABLE plain.messages (
    status_at timestamptz NOT NULL,
    created_at timestamptz,
    queued_at timestamptz,
    sent_at timestamptz,
    delivered_at timestamptz,
    seen_at timestamptz,
    failed_at timestamptz,
    first_occurred_at timestamptz,
    last_occurred_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    campaign_id uuid,
    status_rank smallint NOT NULL,
    message_tracking_id text COLLATE "C" NOT NULL,
    campaign_tracking_id text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    status_key text COLLATE "C" NOT NULL,
    provider_status text COLLATE "C" NOT NULL,
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    recipient text COLLATE "C",
    sender text COLLATE "C",
    country text COLLATE "C",
    label text COLLATE "C",
    price numeric,
    PRIMARY KEY (message_tracking_id)
) WITH (fillfactor = 80);
CREATE INDEX ON plain.messages (campaign_tracking_id, message_tracking_id);
CREATE INDEX ON plain.messages (campaign_id, message_tracking_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX ON plain.messages (recipient, message_tracking_id);
CREATE INDEX ON plain.messages (label, message_tracking_id) WHERE label IS NOT NULL;
CREATE INDEX ON plain.messages USING brin (updated_at)
    WITH (pages_per_range = 8, autosummarize = on);
