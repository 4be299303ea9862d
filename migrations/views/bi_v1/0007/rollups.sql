-- What has been counted of the events and messages so far. `app/db/bi` folds, the views add what
-- is not folded yet. None of this is the contract: only the schema bi_v1 is.

CREATE TABLE bi_rollup_state (
    singleton boolean NOT NULL DEFAULT true,
    feed_epoch smallint NOT NULL,
    xid xid8 NOT NULL,
    id bigint NOT NULL,
    newest_received_at timestamptz,
    newest_occurred_at timestamptz,
    CONSTRAINT bi_rollup_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT bi_rollup_state_singleton_check CHECK (singleton)
);

INSERT INTO bi_rollup_state (feed_epoch, xid, id) VALUES (0, '0', 0);

CREATE TABLE bi_rollup_hourly (
    hour timestamptz NOT NULL,
    identity uuid NOT NULL,
    campaign_key text COLLATE "C",
    country text COLLATE "C",
    sender text COLLATE "C",
    label text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    events bigint NOT NULL,
    CONSTRAINT bi_rollup_hourly_pkey PRIMARY KEY (hour, identity)
) WITH (fillfactor = 70);

CREATE TABLE bi_event_corrections (
    id bigint GENERATED ALWAYS AS IDENTITY,
    feed_epoch smallint NOT NULL,
    xid xid8 NOT NULL,
    event_id bigint NOT NULL,
    message_tracking_id text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    campaign_key text COLLATE "C",
    country text COLLATE "C",
    sender text COLLATE "C",
    label text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    events bigint NOT NULL,
    CONSTRAINT bi_event_corrections_pkey PRIMARY KEY (id)
);

CREATE INDEX bi_event_corrections_place_idx ON bi_event_corrections (feed_epoch, xid, event_id);

CREATE TABLE bi_counted_messages (
    message_tracking_id text COLLATE "C" NOT NULL,
    campaign_key text COLLATE "C",
    deliver_bucket smallint,
    see_bucket smallint,
    failure text COLLATE "C",
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    price numeric,
    CONSTRAINT bi_counted_messages_pkey PRIMARY KEY (message_tracking_id)
) WITH (fillfactor = 80);

CREATE INDEX bi_counted_messages_opted_out_idx ON bi_counted_messages (message_tracking_id)
    WHERE lower(detailed_status) = 'opted out';

CREATE TABLE bi_durations (
    campaign_key text COLLATE "C" NOT NULL,
    measure smallint NOT NULL,
    bucket smallint NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT bi_durations_pkey PRIMARY KEY (campaign_key, measure, bucket)
) WITH (fillfactor = 70);

CREATE TABLE bi_failure_reasons (
    identity uuid NOT NULL,
    campaign_key text COLLATE "C",
    failure text COLLATE "C" NOT NULL,
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    messages bigint NOT NULL,
    CONSTRAINT bi_failure_reasons_pkey PRIMARY KEY (identity)
) WITH (fillfactor = 70);

CREATE TABLE bi_spends (
    campaign_key text COLLATE "C" NOT NULL,
    price numeric NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT bi_spends_pkey PRIMARY KEY (campaign_key)
) WITH (fillfactor = 70);

-- What is counted of the rows themselves, as long as these are there.
CREATE TABLE bi_removed_replies (
    campaign_key text COLLATE "C" NOT NULL,
    replies bigint NOT NULL,
    CONSTRAINT bi_removed_replies_pkey PRIMARY KEY (campaign_key)
);
