-- The default of the columns `feed_epoch`, which is raised while analysts read: to change a default
-- itself takes a lock that waits for all of them, and everybody waits for it. To read the value of a
-- sequence costs 0.2 us a row, nextval('feed_id') beside it as much.

CREATE SEQUENCE feed_epoch AS smallint;

SELECT setval('feed_epoch', epoch) FROM feed_state;

-- Whoever stores with ids from the one sequence needs the other: see who may use it.
DO $$
DECLARE
    grantee oid;
BEGIN
    FOR grantee IN
        SELECT DISTINCT granted.grantee FROM pg_class, aclexplode(relacl) AS granted
        WHERE pg_class.oid = 'feed_id'::regclass AND granted.grantee <> 0
    LOOP
        EXECUTE format('GRANT USAGE, SELECT, UPDATE ON SEQUENCE feed_epoch TO %s', grantee::regrole);
    END LOOP;
END $$;

ALTER TABLE ONLY events
    ALTER COLUMN feed_epoch SET DEFAULT pg_sequence_last_value('feed_epoch'::regclass);

ALTER TABLE ONLY inbound_messages
    ALTER COLUMN feed_epoch SET DEFAULT pg_sequence_last_value('feed_epoch'::regclass);
