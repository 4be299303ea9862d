-- The tables of the service, in the schema `receiver`, which the search_path names.

CREATE SEQUENCE feed_id AS bigint CACHE 1;

-- Never drawn from: its value is the default of the columns `feed_epoch`. Changing the default of a
-- column would take a lock that waits for all readers of its table.
CREATE SEQUENCE feed_epoch AS smallint;
SELECT setval('feed_epoch', 1);

-- The statuses of app/domain/status.py, written by `migrate`. The rank of a stored event follows
-- from its word by this table and is stored nowhere.
CREATE TABLE statuses (
    status text COLLATE "C" NOT NULL,
    rank smallint NOT NULL,
    CONSTRAINT statuses_pkey PRIMARY KEY (status)
);

-- The versions of this schema of which the programs may store in it, written by `migrate`: its own
-- and the one before, as a migration only adds. An older program finds out here that it may not.
CREATE TABLE schema_programs (
    version text COLLATE "C" NOT NULL,
    CONSTRAINT schema_programs_pkey PRIMARY KEY (version)
);

CREATE TABLE campaigns (
    id uuid NOT NULL DEFAULT uuidv7(),
    tracking_id text COLLATE "C",
    name text,
    name_generated boolean NOT NULL DEFAULT false,
    submission text NOT NULL,
    submission_reason text,
    label text,
    billing text,
    expected_messages bigint,
    cost numeric,
    request bytea,
    answer bytea,
    warnings jsonb NOT NULL DEFAULT '[]',
    lease_until timestamptz,
    attempts smallint NOT NULL DEFAULT 1,
    next_attempt_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    observed_through uuid, -- the campaign whose token made an observed one known; null: a shared callback secret
    ttl_seconds bigint, -- as it was asked for
    scheduled_at timestamptz, -- as it was asked for
    finished_at timestamptz, -- when it was found to be finished
    overdue_upto text COLLATE "C", -- while it is being finished: the message up to which they are announced
    CONSTRAINT campaigns_pkey PRIMARY KEY (id),
    CONSTRAINT campaigns_tracking_id_key UNIQUE (tracking_id)
);
CREATE UNIQUE INDEX campaigns_name_key ON campaigns (name)
    WHERE submission IN ('launching', 'unconfirmed', 'launched');
CREATE INDEX campaigns_open_idx ON campaigns (id)
    WHERE submission IN ('launching', 'unconfirmed');
CREATE INDEX campaigns_unfinished_idx ON campaigns (id)
    WHERE finished_at IS NULL AND submission IN ('launched', 'observed');
CREATE INDEX campaigns_name_idx ON campaigns (name, id);
CREATE INDEX campaigns_label_idx ON campaigns (label, id);
CREATE INDEX campaigns_submission_idx ON campaigns (submission, id);

CREATE TABLE idempotency_keys (
    api_key_id uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    campaign_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (api_key_id, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

CREATE TABLE events (
    id bigint NOT NULL DEFAULT nextval('feed_id'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz,
    campaign_id uuid,
    feed_epoch smallint NOT NULL DEFAULT pg_sequence_last_value('feed_epoch'::regclass),
    source smallint NOT NULL,
    payload_dictionary smallint NOT NULL DEFAULT 0,
    payload_reserialised boolean NOT NULL DEFAULT false,
    message_tracking_id text COLLATE "C" NOT NULL,
    status_key text COLLATE "C" NOT NULL,
    digest bytea NOT NULL DEFAULT '', -- of the payload, where word or time do not distinguish events
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
    CONSTRAINT events_pkey PRIMARY KEY (message_tracking_id, status_key, occurred_at, digest)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX events_unbound_idx ON events (campaign_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX events_feed_idx ON events (feed_epoch, xid, id);

CREATE TABLE messages (
    status_at timestamptz NOT NULL,
    created_at timestamptz,
    queued_at timestamptz,
    sent_at timestamptz,
    delivered_at timestamptz,
    seen_at timestamptz,
    failed_at timestamptz,
    first_occurred_at timestamptz,
    last_occurred_at timestamptz,
    first_received_at timestamptz NOT NULL DEFAULT now(), -- no event of it was received earlier, removed ones included
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
    CONSTRAINT messages_pkey PRIMARY KEY (message_tracking_id)
) WITH (fillfactor = 80);
CREATE INDEX messages_campaign_idx ON messages (campaign_tracking_id, message_tracking_id);
CREATE INDEX messages_recipient_idx ON messages (recipient, message_tracking_id);
CREATE INDEX messages_label_idx ON messages (label, message_tracking_id) WHERE label IS NOT NULL;
CREATE INDEX messages_updated_idx ON messages USING brin (updated_at)
    WITH (pages_per_range = 8, autosummarize = on);
CREATE INDEX messages_unbound_idx ON messages (campaign_id, message_tracking_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;

CREATE TABLE inbound_messages (
    id bigint NOT NULL DEFAULT nextval('feed_id'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    received_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    campaign_id uuid,
    feed_epoch smallint NOT NULL DEFAULT pg_sequence_last_value('feed_epoch'::regclass),
    payload_dictionary smallint NOT NULL DEFAULT 0,
    payload_reserialised boolean NOT NULL DEFAULT false,
    identity bytea NOT NULL,
    sender text COLLATE "C",
    recipient text COLLATE "C",
    message text,
    media text,
    filename text,
    campaign_tracking_id text COLLATE "C",
    campaign_name text,
    reference_tracking_id text COLLATE "C",
    label text,
    payload bytea,
    CONSTRAINT inbound_messages_pkey PRIMARY KEY (id),
    CONSTRAINT inbound_messages_identity_key UNIQUE (identity)
);
CREATE INDEX inbound_messages_campaign_idx ON inbound_messages (campaign_tracking_id, id);
CREATE INDEX inbound_messages_reference_idx ON inbound_messages (reference_tracking_id, id);
CREATE INDEX inbound_messages_sender_idx ON inbound_messages (sender, id);
CREATE INDEX inbound_messages_received_idx ON inbound_messages (received_at, id);
CREATE INDEX inbound_messages_unnamed_idx ON inbound_messages (id)
    WHERE campaign_tracking_id IS NULL AND reference_tracking_id IS NOT NULL;
CREATE INDEX inbound_messages_feed_idx ON inbound_messages (feed_epoch, xid, id);

CREATE TABLE campaign_counts (
    campaign_tracking_id text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT campaign_counts_pkey PRIMARY KEY (campaign_tracking_id, status)
) WITH (fillfactor = 50);

CREATE TABLE campaign_count_deltas (
    id bigint GENERATED ALWAYS AS IDENTITY,
    campaign_tracking_id text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT campaign_count_deltas_pkey PRIMARY KEY (id)
);
CREATE INDEX campaign_count_deltas_campaign_tracking_id_idx
    ON campaign_count_deltas (campaign_tracking_id);

-- What the feed announces besides events and replies: what became of campaigns, messages that are
-- overdue, and erasures. Written in the transaction that makes it so.
CREATE TABLE notices (
    id bigint NOT NULL DEFAULT nextval('feed_id'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    received_at timestamptz NOT NULL DEFAULT now(),
    campaign_id uuid,
    feed_epoch smallint NOT NULL DEFAULT pg_sequence_last_value('feed_epoch'::regclass),
    type text COLLATE "C" NOT NULL,
    message_tracking_id text COLLATE "C",
    campaign_tracking_id text COLLATE "C",
    data jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT notices_pkey PRIMARY KEY (id)
);
CREATE INDEX notices_feed_idx ON notices (feed_epoch, xid, id);
CREATE INDEX notices_type_idx ON notices (type, feed_epoch, xid, id);

-- What Routee reports of campaigns as a whole. Its counts are Routee's own, and part of no other count.
CREATE SEQUENCE campaign_progress_id AS bigint;

CREATE TABLE campaign_progress (
    id bigint NOT NULL DEFAULT nextval('campaign_progress_id'),
    received_at timestamptz NOT NULL DEFAULT now(),
    reported_at timestamptz,
    ordered_at timestamptz NOT NULL, -- reported_at, else received_at: the greatest is the newest
    campaign_id uuid,
    total_recipients bigint,
    payload_dictionary smallint NOT NULL DEFAULT 0,
    payload_reserialised boolean NOT NULL DEFAULT false,
    identity bytea NOT NULL,
    campaign_tracking_id text COLLATE "C" NOT NULL,
    status text,
    name text,
    message_statuses jsonb NOT NULL DEFAULT '{}',
    payload bytea,
    CONSTRAINT campaign_progress_pkey PRIMARY KEY (id),
    CONSTRAINT campaign_progress_identity_key UNIQUE (identity)
);
CREATE INDEX campaign_progress_campaign_idx ON campaign_progress (campaign_tracking_id, ordered_at, id);

-- Bodies that cannot be read or may not be believed.
CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY,
    received_at timestamptz NOT NULL DEFAULT now(),
    last_received_at timestamptz NOT NULL DEFAULT now(),
    times bigint NOT NULL DEFAULT 1, -- how often the same bytes were received
    campaign_id uuid,
    sha256 bytea NOT NULL,
    reason text NOT NULL,
    path text NOT NULL, -- without the token
    content_type text NOT NULL DEFAULT '', -- the headers that say how the body is to be read
    content_encoding text NOT NULL DEFAULT '',
    body bytea NOT NULL,
    payload_reserialised boolean NOT NULL DEFAULT false, -- the body is an element of an array, serialised again
    replayed_at timestamptz, -- the last replay; null without one
    replay_outcome text, -- what became of the body then
    replay_reason text, -- why not all of it was stored then, in the words of `reason`
    CONSTRAINT quarantine_pkey PRIMARY KEY (id),
    CONSTRAINT quarantine_sha256_key UNIQUE (sha256)
);

CREATE TABLE api_keys (
    id uuid NOT NULL DEFAULT uuidv7(),
    name text NOT NULL,
    sha256 bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_sha256_key UNIQUE (sha256)
);

-- The epoch of the feed, and the server and timeline that it belongs to. One row.
CREATE TABLE feed_state (
    singleton boolean NOT NULL DEFAULT true,
    epoch smallint NOT NULL,
    system_identifier bigint NOT NULL,
    timeline bigint NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT feed_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT feed_state_singleton_check CHECK (singleton)
);
INSERT INTO feed_state (epoch, system_identifier, timeline)
SELECT
    1,
    (SELECT system_identifier FROM pg_control_system()),
    ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;

-- The greatest position of the feed from which an item was removed. One row.
CREATE TABLE feed_floor (
    singleton boolean NOT NULL DEFAULT true,
    feed_epoch smallint NOT NULL,
    xid xid8 NOT NULL,
    id bigint NOT NULL,
    CONSTRAINT feed_floor_pkey PRIMARY KEY (singleton),
    CONSTRAINT feed_floor_singleton_check CHECK (singleton)
);
INSERT INTO feed_floor (feed_epoch, xid, id) VALUES (0, '0', 0);

-- The transactions of replays and of a late buffer: their items were received before the items in front of them.
CREATE TABLE feed_replays (
    feed_epoch smallint NOT NULL DEFAULT pg_sequence_last_value('feed_epoch'::regclass),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT feed_replays_pkey PRIMARY KEY (feed_epoch, xid)
);

-- What payloads are zstandard frames of, for readers other than this service.
CREATE TABLE payload_dictionaries (
    id smallint NOT NULL,
    dictionary bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payload_dictionaries_pkey PRIMARY KEY (id)
);

-- Rows of the batches that the callback path stores, in the order of the fields of
-- app/domain/event.py, app/domain/inbound_message.py and app/domain/campaign_progress.py.
CREATE TYPE callback_event AS (
    message_tracking_id text COLLATE "C",
    status_key text COLLATE "C",
    occurred_at timestamptz,
    digest bytea,
    provider_status text COLLATE "C",
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    campaign_tracking_id text COLLATE "C",
    campaign_id uuid,
    recipient text COLLATE "C",
    sender text COLLATE "C",
    country text COLLATE "C",
    label text COLLATE "C",
    price numeric,
    created_at timestamptz,
    source smallint,
    payload bytea,
    payload_dictionary smallint,
    payload_reserialised boolean
);
CREATE TYPE callback_reply AS (
    identity bytea,
    sender text COLLATE "C",
    recipient text COLLATE "C",
    message text,
    media text,
    filename text,
    sent_at timestamptz,
    campaign_tracking_id text COLLATE "C",
    campaign_name text,
    campaign_id uuid,
    reference_tracking_id text COLLATE "C",
    label text,
    payload bytea,
    payload_dictionary smallint,
    payload_reserialised boolean
);
CREATE TYPE callback_progress AS (
    identity bytea,
    campaign_tracking_id text COLLATE "C",
    campaign_id uuid,
    status text,
    reported_at timestamptz,
    name text,
    total_recipients bigint,
    message_statuses jsonb,
    payload bytea,
    payload_dictionary smallint,
    payload_reserialised boolean
);
-- What the greatest event of a message decides, in the order of the columns of `append_events`.
CREATE TYPE message_status AS (
    status_rank smallint,
    status_at timestamptz,
    status_key text COLLATE "C",
    provider_status text COLLATE "C",
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    status text COLLATE "C"
);

-- The position that a kind of purge has reached. Rows named 'removed ...' have a horizon instead.
CREATE TABLE retention_positions (
    name text NOT NULL,
    feed_epoch smallint NOT NULL DEFAULT 0,
    xid xid8 NOT NULL DEFAULT '0',
    id bigint NOT NULL DEFAULT 0,
    reached_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT retention_positions_pkey PRIMARY KEY (name)
);
-- Messages that retention has removed. The counts of campaigns keep them, and a rebuild adds them to what it counts.
CREATE TABLE removed_messages (
    campaign_key text COLLATE "C" NOT NULL, -- as in bi_message_facts; '' if none is known
    status text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT removed_messages_pkey PRIMARY KEY (campaign_key, status)
);
-- The months, of occurred_at in UTC, of which retention has removed events. Their hours cannot be counted again.
CREATE TABLE removed_event_months (
    month date NOT NULL,
    CONSTRAINT removed_event_months_pkey PRIMARY KEY (month)
);
-- Up to which message a rebuild is done. One row while one runs, or is interrupted.
CREATE TABLE rebuild_position (
    singleton boolean NOT NULL DEFAULT true,
    message_tracking_id text COLLATE "C" NOT NULL DEFAULT '',
    examined bigint NOT NULL DEFAULT 0,
    began_at timestamptz NOT NULL DEFAULT now(),
    reached_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rebuild_position_pkey PRIMARY KEY (singleton),
    CONSTRAINT rebuild_position_singleton_check CHECK (singleton)
);
-- Keyed hashes of erased numbers, each with the id of its key.
CREATE TABLE erased_recipients (
    hash bytea NOT NULL,
    key_id bytea NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT erased_recipients_pkey PRIMARY KEY (hash)
);
-- A version that erasures and purges raise, so that processes notice them. One row.
CREATE TABLE erasure_state (
    singleton boolean NOT NULL DEFAULT true,
    version bigint NOT NULL,
    CONSTRAINT erasure_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT erasure_state_singleton_check CHECK (singleton)
);
INSERT INTO erasure_state (version) VALUES (0);
-- Who asked for an erasure, when, and how many rows it changed; the recipient only until its end.
CREATE TABLE erasures (
    id uuid NOT NULL DEFAULT uuidv7(),
    kind text NOT NULL, -- erase or lift
    asked_by text NOT NULL,
    digits text, -- the number, from when it is asked for until the erasure has ended
    was_erased boolean NOT NULL DEFAULT false, -- before it was asked for
    asked_at timestamptz NOT NULL DEFAULT now(),
    began_at timestamptz, -- null while it waits
    ended_at timestamptz, -- null while it waits or runs
    sampled_at timestamptz, -- when the changed tables were analyzed again
    progress text, -- a sentence, while it runs
    counts jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT erasures_pkey PRIMARY KEY (id)
);
-- No statistics may keep the number.
ALTER TABLE erasures ALTER COLUMN digits SET STATISTICS 0;
-- One erasure of a recipient at a time; and the queue of what is to be done.
CREATE UNIQUE INDEX erasures_digits_key ON erasures (digits) WHERE digits IS NOT NULL;

-- The comparison of a campaign with Routee's tracking: due, or asked for by a caller. A new one replaces the last.
CREATE TABLE reconciliations (
    campaign_id uuid NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(), -- or when it was found to be due
    asked_by text, -- null: it was due
    began_at timestamptz, -- null while it waits
    ended_at timestamptz, -- null while it waits or runs
    next_at timestamptz, -- when it may become due again
    page bigint NOT NULL DEFAULT 0, -- of Routee's list: the next one to read
    failures smallint NOT NULL DEFAULT 0, -- runs in a row that Routee did not answer
    fruitless smallint NOT NULL DEFAULT 0, -- comparisons in a row that found nothing new
    outcome text, -- null while it waits or runs
    counts jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT reconciliations_pkey PRIMARY KEY (campaign_id)
);
CREATE INDEX reconciliations_open_idx ON reconciliations (asked_at) WHERE ended_at IS NULL;
-- Messages without a campaign's trackingId that Routee was asked for, and when it may be asked again.
CREATE TABLE message_reconciliations (
    message_tracking_id text COLLATE "C" NOT NULL,
    next_at timestamptz NOT NULL,
    CONSTRAINT message_reconciliations_pkey PRIMARY KEY (message_tracking_id)
);
-- Until when Routee is not asked, as it wants it. One row.
CREATE TABLE reconcile_state (
    singleton boolean NOT NULL DEFAULT true,
    paused_until timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reconcile_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT reconcile_state_singleton_check CHECK (singleton)
);
INSERT INTO reconcile_state DEFAULT VALUES;

-- The roll-ups of events and messages. `app/db/bi` rolls up, the views add what is pending. None of
-- this is the contract: only the schema bi_v1 is.

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

-- What the views need beside the data. One row; `app/db/bi/view_settings.py` writes all but the secret.
CREATE TABLE bi_settings (
    singleton boolean NOT NULL DEFAULT true,
    recipient_secret bytea NOT NULL, -- of the keys of recipients: see `bi_recipient_key`
    mask_labels boolean NOT NULL DEFAULT false,
    currency text,
    opt_out_words text[] NOT NULL DEFAULT '{STOP,ΣΤΟΠ}',
    CONSTRAINT bi_settings_pkey PRIMARY KEY (singleton),
    CONSTRAINT bi_settings_singleton_check CHECK (singleton)
);

INSERT INTO bi_settings (recipient_secret)
SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());

-- What the events, replies and reports of a campaign say of it as a whole.
CREATE TABLE bi_campaign_facts (
    campaign_key text COLLATE "C" NOT NULL,
    first_event_at timestamptz, -- NULL while no event had a time
    last_event_at timestamptz,
    last_created_at timestamptz, -- of the messages, by Routee's clock: finishing campaigns needs it
    label text COLLATE "C",
    name text COLLATE "C",
    CONSTRAINT bi_campaign_facts_pkey PRIMARY KEY (campaign_key)
) WITH (fillfactor = 70);

CREATE TABLE bi_rollup_hourly (
    hour timestamptz NOT NULL, -- of occurred_at, in UTC; '-infinity' if unknown
    identity uuid NOT NULL, -- a hash of the columns that follow, which may be too long for an index
    campaign_key text COLLATE "C", -- the trackingId, or 'ours:' and our id
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
    occurred_at timestamptz NOT NULL,
    hour timestamptz NOT NULL,
    campaign_key text COLLATE "C",
    country text COLLATE "C",
    sender text COLLATE "C",
    label text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    events bigint NOT NULL, -- -1 as the event was counted, 1 as it counts now
    CONSTRAINT bi_event_corrections_pkey PRIMARY KEY (id)
);

CREATE INDEX bi_event_corrections_position_idx ON bi_event_corrections (feed_epoch, xid, event_id);

CREATE TABLE bi_counted_messages (
    message_tracking_id text COLLATE "C" NOT NULL,
    campaign_key text COLLATE "C",
    day date NOT NULL, -- of its first event, in UTC; '-infinity' if unknown
    country text COLLATE "C",
    sender text COLLATE "C",
    label text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    deliver_bucket smallint,
    see_bucket smallint,
    failure text COLLATE "C", -- its status, if that is a failure
    failure_day date, -- when it reached it, in UTC; '-infinity' if unknown
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    price numeric,
    CONSTRAINT bi_counted_messages_pkey PRIMARY KEY (message_tracking_id)
) WITH (fillfactor = 80);

CREATE INDEX bi_counted_messages_opted_out_idx ON bi_counted_messages (message_tracking_id)
    WHERE lower(detailed_status) = 'opted out';

CREATE TABLE bi_durations (
    campaign_key text COLLATE "C" NOT NULL,
    measure smallint NOT NULL, -- 1: until delivered; 2: from then until seen
    bucket smallint NOT NULL, -- of a logarithmic histogram
    messages bigint NOT NULL,
    CONSTRAINT bi_durations_pkey PRIMARY KEY (campaign_key, measure, bucket)
) WITH (fillfactor = 70);

CREATE TABLE bi_daily_messages (
    identity uuid NOT NULL,
    day date NOT NULL,
    campaign_key text COLLATE "C",
    country text COLLATE "C",
    sender text COLLATE "C",
    label text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT bi_daily_messages_pkey PRIMARY KEY (identity)
) WITH (fillfactor = 70);

CREATE TABLE bi_failure_reasons (
    identity uuid NOT NULL,
    campaign_key text COLLATE "C",
    failure_day date NOT NULL,
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

-- How many records processes received, and how many of them repeated what was stored.
CREATE TABLE bi_received (
    day date NOT NULL, -- of the receipt, in UTC
    kind text NOT NULL,
    outcome text NOT NULL,
    records bigint NOT NULL,
    CONSTRAINT bi_received_pkey PRIMARY KEY (day, kind, outcome)
) WITH (fillfactor = 70);

-- At most one row: what waits in the buffer. None if callbacks are stored directly.
CREATE TABLE bi_buffered (
    only_one boolean NOT NULL CHECK (only_one),
    batches bigint NOT NULL,
    oldest_at timestamptz, -- when the oldest of them was received
    measured_at timestamptz NOT NULL,
    CONSTRAINT bi_buffered_pkey PRIMARY KEY (only_one)
) WITH (fillfactor = 50);

-- Replies are counted from their rows while these exist, and here once they are removed.
CREATE TABLE bi_removed_replies (
    campaign_key text COLLATE "C" NOT NULL,
    replies bigint NOT NULL,
    CONSTRAINT bi_removed_replies_pkey PRIMARY KEY (campaign_key)
);
