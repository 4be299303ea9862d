"""Campaigns, events, messages, inbound messages, counts, quarantine and API keys."""

from collections.abc import Iterator
from itertools import pairwise

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: Months with a partition of their own. What lies outside goes to the two ranges before and after:
#: with a DEFAULT partition, a month could not be added once it held that month's rows.
FIRST_YEAR = 2026
LAST_YEAR = 2032

TABLES = """
CREATE SEQUENCE feed_id AS bigint CACHE 1;

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
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT campaigns_pkey PRIMARY KEY (id),
    CONSTRAINT campaigns_tracking_id_key UNIQUE (tracking_id)
);
CREATE UNIQUE INDEX campaigns_name_key ON campaigns (name)
    WHERE submission IN ('launching', 'unconfirmed', 'launched');

CREATE TABLE events (
    id bigint NOT NULL DEFAULT nextval('feed_id'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz,
    campaign_id uuid,
    feed_epoch smallint NOT NULL DEFAULT 1,
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
    CONSTRAINT events_pkey PRIMARY KEY (message_tracking_id, status_key, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX events_unbound_idx ON events (campaign_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;

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
CREATE INDEX messages_unbound_idx ON messages (campaign_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;

CREATE TABLE inbound_messages (
    id bigint NOT NULL DEFAULT nextval('feed_id'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    received_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    campaign_id uuid,
    feed_epoch smallint NOT NULL DEFAULT 1,
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

CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY,
    received_at timestamptz NOT NULL DEFAULT now(),
    last_received_at timestamptz NOT NULL DEFAULT now(),
    times bigint NOT NULL DEFAULT 1,
    campaign_id uuid,
    sha256 bytea NOT NULL,
    reason text NOT NULL,
    path text NOT NULL,
    body bytea NOT NULL,
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
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for partition in _partitions():
        op.execute(partition)


def downgrade() -> None:
    for table in (
        "api_keys",
        "quarantine",
        "campaign_count_deltas",
        "campaign_counts",
        "inbound_messages",
        "messages",
        "events",
        "campaigns",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP SEQUENCE feed_id")


def _partitions() -> Iterator[str]:
    firsts = [
        f"{year}-{month:02}-01"
        for year in range(FIRST_YEAR, LAST_YEAR + 1)
        for month in range(1, 13)
    ]
    firsts.append(f"{LAST_YEAR + 1}-01-01")
    yield _partition("events_before", "MINVALUE", f"'{firsts[0]}Z'")
    for first, following in pairwise(firsts):
        name = f"events_{first[:4]}_{first[5:7]}"
        yield _partition(name, f"'{first}Z'", f"'{following}Z'")
    yield _partition("events_after", f"'{firsts[-1]}Z'", "MAXVALUE")


def _partition(name: str, since: str, until: str) -> str:
    return f"CREATE TABLE {name} PARTITION OF events FOR VALUES FROM ({since}) TO ({until})"
