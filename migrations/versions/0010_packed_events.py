"""
Events in a third of the space: what callbacks have in common is stored once.

Everything that is stored is copied. With ten million events this takes minutes and, for as long,
the space of both; nobody else can use the database meanwhile.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

#: A released file never changes, so that this stays what it was.
VIEWS = Path(__file__).parents[1] / "views" / "bi_v1"
DROP_VIEWS = """
DROP VIEW bi_v1.campaigns, bi_v1.messages, bi_v1.message_events, bi_v1.inbound_messages,
    bi_v1.delivery_daily, bi_v1.delivery_hourly, bi_v1.failure_reasons,
    bi_v1.recipients_opted_out, bi_v1.freshness;
DROP VIEW bi_unfolded_messages, bi_unfolded_hours;
DROP FUNCTION bi_unfolded_events;
DROP VIEW bi_message_facts, bi_event_keys;
DROP TRIGGER bi_replies_removed ON inbound_messages;
DROP FUNCTION bi_count_removed_replies
"""
#: What was there, out of the way, as names of indexes and partitions are wanted again.
ASIDE = """
CREATE SCHEMA before_migration;
ALTER TABLE messages SET SCHEMA before_migration;
ALTER TABLE bi_counted_messages SET SCHEMA before_migration
"""
FORGET = "DROP SCHEMA before_migration CASCADE"

TABLES = r"""
CREATE FUNCTION message_key(id text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
        THEN decode(replace(id, '-', ''), 'hex')
    WHEN octet_length(id) = 15 THEN '\x0000'::bytea || convert_to(id, 'UTF8')
    ELSE '\x00'::bytea || convert_to(id, 'UTF8')
END;
COMMENT ON FUNCTION message_key(text) IS 'What the message of an id is stored under: the 16 bytes of a UUID in lower case; of any other id its bytes after one zero, or two where that would make 16.';

CREATE FUNCTION form_payload(
    skeleton text, id text, recipient text, occurred_at timestamptz, created_at timestamptz
) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN convert_to(
    replace(
        replace(
            replace(
                replace(skeleton, U&'\FDD0', id),
                U&'\FDD1', coalesce(ltrim(recipient, '+'), '')
            ),
            U&'\FDD2', to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ),
        U&'\FDD3',
        coalesce(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), '')
    ),
    'UTF8'
);
COMMENT ON FUNCTION form_payload(text, text, text, timestamptz, timestamptz) IS 'The payload of a packed event, byte for byte: its form''s skeleton with what is the event''s own.';

CREATE TABLE event_forms (
    id bigint NOT NULL,
    month date NOT NULL,
    price numeric,
    provider_status text COLLATE "C" NOT NULL,
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    campaign_tracking_id text COLLATE "C",
    sender text COLLATE "C",
    country text COLLATE "C",
    label text COLLATE "C",
    skeleton text COLLATE "C",
    CONSTRAINT event_forms_pkey PRIMARY KEY (id)
);

CREATE TABLE packed_events (
    id bigint NOT NULL DEFAULT nextval('feed_id'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz,
    form_id bigint,
    campaign_id uuid,
    feed_epoch smallint NOT NULL DEFAULT pg_sequence_last_value('feed_epoch'::regclass),
    source smallint NOT NULL,
    status_rank smallint NOT NULL,
    payload_dictionary smallint NOT NULL DEFAULT 0,
    payload_reserialised boolean NOT NULL DEFAULT false,
    message_key bytea NOT NULL,
    status_key text COLLATE "C" NOT NULL,
    recipient text COLLATE "C",
    provider_status text COLLATE "C",
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    campaign_tracking_id text COLLATE "C",
    sender text COLLATE "C",
    country text COLLATE "C",
    label text COLLATE "C",
    price numeric,
    payload bytea,
    CONSTRAINT packed_events_pkey PRIMARY KEY (message_key, status_key, occurred_at),
    CONSTRAINT packed_events_form_check CHECK ((form_id IS NULL) = (provider_status IS NOT NULL))
) PARTITION BY RANGE (occurred_at);
CREATE INDEX packed_events_unbound_idx ON packed_events (campaign_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL AND form_id IS NULL;
CREATE INDEX packed_events_feed_idx ON packed_events (feed_epoch, xid, id);

CREATE VIEW events AS
SELECT
    e.id,
    e.xid,
    e.occurred_at,
    e.received_at,
    e.created_at,
    e.campaign_id,
    e.feed_epoch,
    e.source,
    e.status_rank,
    e.payload_dictionary,
    e.payload_reserialised,
    e.message_key,
    CASE
        WHEN octet_length(e.message_key) = 16 THEN encode(e.message_key, 'hex')::uuid::text
        ELSE convert_from(ltrim(e.message_key, '\x00'::bytea), 'UTF8')
    END COLLATE "C" AS message_tracking_id,
    e.status_key,
    coalesce(e.provider_status, f.provider_status) AS provider_status,
    coalesce(e.detailed_status, f.detailed_status) AS detailed_status,
    coalesce(e.description, f.description) AS description,
    coalesce(e.campaign_tracking_id, f.campaign_tracking_id) AS campaign_tracking_id,
    e.recipient,
    coalesce(e.sender, f.sender) AS sender,
    coalesce(e.country, f.country) AS country,
    coalesce(e.label, f.label) AS label,
    coalesce(e.price, f.price) AS price,
    CASE
        WHEN e.form_id IS NULL OR e.payload IS NULL THEN e.payload
        ELSE form_payload(
            f.skeleton,
            CASE
                WHEN octet_length(e.message_key) = 16 THEN encode(e.message_key, 'hex')::uuid::text
                ELSE convert_from(ltrim(e.message_key, '\x00'::bytea), 'UTF8')
            END,
            e.recipient, e.occurred_at, e.created_at
        )
    END AS payload
FROM packed_events AS e
LEFT JOIN event_forms AS f ON f.id = e.form_id;
COMMENT ON VIEW events IS 'Events as they were told. An event is packed where many others have the same form: it has only what is its own.';

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
    message_key bytea NOT NULL,
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
    plain_id text COLLATE "C",
    message_tracking_id text COLLATE "C" GENERATED ALWAYS AS
        (coalesce(plain_id, encode(message_key, 'hex')::uuid::text)) VIRTUAL,
    status text COLLATE "C" GENERATED ALWAYS AS
        (CASE WHEN status_rank = 0 THEN 'UNKNOWN' ELSE status_key END) VIRTUAL,
    CONSTRAINT messages_pkey PRIMARY KEY (message_key)
) WITH (fillfactor = 80);
CREATE INDEX messages_tracking_id_idx ON messages
    USING hash (coalesce(plain_id, encode(message_key, 'hex')::uuid::text));
CREATE INDEX messages_campaign_idx ON messages (campaign_tracking_id, message_key);
CREATE INDEX messages_unbound_idx ON messages (campaign_id, message_key)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX messages_recipient_idx ON messages (recipient, message_key);
CREATE INDEX messages_label_idx ON messages (label, message_key) WHERE label IS NOT NULL;
CREATE INDEX messages_updated_idx ON messages USING brin (updated_at)
    WITH (pages_per_range = 8, autosummarize = on);

CREATE TABLE bi_counted_messages (
    message_key bytea NOT NULL,
    campaign_key text COLLATE "C",
    deliver_bucket smallint,
    see_bucket smallint,
    failure text COLLATE "C",
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    price numeric,
    CONSTRAINT bi_counted_messages_pkey PRIMARY KEY (message_key)
) WITH (fillfactor = 80);
CREATE INDEX bi_counted_messages_opted_out_idx ON bi_counted_messages (message_key)
    WHERE lower(detailed_status) = 'opted out';

ALTER TABLE bi_event_corrections ADD COLUMN message_key bytea;
UPDATE bi_event_corrections SET message_key = message_key(message_tracking_id);
ALTER TABLE bi_event_corrections ALTER COLUMN message_key SET NOT NULL;
ALTER TABLE bi_event_corrections DROP COLUMN message_tracking_id;

DROP TYPE callback_event;
CREATE TYPE callback_event AS (
    message_key bytea,
    status_key text COLLATE "C",
    occurred_at timestamptz,
    status_rank smallint,
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
    payload_reserialised boolean,
    plain_id text COLLATE "C",
    form_id bigint
);
"""
TOLD = """
    id, xid, occurred_at, received_at, created_at, campaign_id, feed_epoch, source, status_rank,
    payload_dictionary, payload_reserialised, status_key, provider_status, detailed_status,
    description, campaign_tracking_id, recipient, sender, country, label, price, payload
"""
STANDING = """
    status_at, created_at, queued_at, sent_at, delivered_at, seen_at, failed_at, first_occurred_at,
    last_occurred_at, updated_at, campaign_id, status_rank, status_key, provider_status,
    detailed_status, description, campaign_tracking_id, recipient, sender, country, label, price
"""
COUNTED = """
    campaign_key, deliver_bucket, see_bucket, failure, detailed_status, description, price
"""
COPY = f"""
INSERT INTO packed_events (message_key, {TOLD})
SELECT message_key(message_tracking_id), {TOLD} FROM before_migration.events;
INSERT INTO messages (message_key, plain_id, {STANDING})
SELECT k.key, CASE WHEN octet_length(k.key) <> 16 THEN message_tracking_id END, {STANDING}
FROM before_migration.messages, LATERAL message_key(message_tracking_id) AS k (key);
INSERT INTO bi_counted_messages (message_key, {COUNTED})
SELECT message_key(message_tracking_id), {COUNTED} FROM before_migration.bi_counted_messages
"""  # noqa: S608 (made of constants)
DROP_NEW_VIEWS = f"""
DROP TRIGGER bi_event_corrected ON packed_events;
DROP FUNCTION bi_correct_event;
{DROP_VIEWS.strip()}
"""
NEW_ASIDE = f"""
{ASIDE.strip()};
ALTER VIEW events SET SCHEMA before_migration;
ALTER TABLE event_forms SET SCHEMA before_migration
"""
OLD_TABLES = """
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
CREATE INDEX messages_unbound_idx ON messages (campaign_id, message_tracking_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX messages_recipient_idx ON messages (recipient, message_tracking_id);
CREATE INDEX messages_label_idx ON messages (label, message_tracking_id) WHERE label IS NOT NULL;
CREATE INDEX messages_updated_idx ON messages USING brin (updated_at)
    WITH (pages_per_range = 8, autosummarize = on);

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

ALTER TABLE bi_event_corrections ADD COLUMN message_tracking_id text COLLATE "C";
UPDATE bi_event_corrections SET message_tracking_id = CASE
    WHEN octet_length(message_key) = 16 THEN encode(message_key, 'hex')::uuid::text
    ELSE convert_from(ltrim(message_key, '\\x00'::bytea), 'UTF8')
END;
ALTER TABLE bi_event_corrections ALTER COLUMN message_tracking_id SET NOT NULL;
ALTER TABLE bi_event_corrections DROP COLUMN message_key;

DROP TYPE callback_event;
CREATE TYPE callback_event AS (
    message_tracking_id text COLLATE "C",
    status_key text COLLATE "C",
    occurred_at timestamptz,
    status_rank smallint,
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
"""
#: Of the table alone, as it was: the partitions have the one that they were made with.
OLD_DEFAULT = """
ALTER TABLE ONLY events
    ALTER COLUMN feed_epoch SET DEFAULT pg_sequence_last_value('feed_epoch'::regclass)
"""
COPY_BACK = f"""
INSERT INTO events (message_tracking_id, {TOLD})
SELECT message_tracking_id, {TOLD} FROM before_migration.events;
INSERT INTO messages (message_tracking_id, status, {STANDING})
SELECT message_tracking_id, status, {STANDING} FROM before_migration.messages;
INSERT INTO bi_counted_messages (message_tracking_id, {COUNTED})
SELECT m.message_tracking_id, {", ".join(f"c.{column.strip()}" for column in COUNTED.split(","))}
FROM before_migration.bi_counted_messages AS c
JOIN before_migration.messages AS m ON m.message_key = c.message_key
"""  # noqa: S608 (made of constants)
#: Whoever may use what was there may use what takes its place.
GRANTS = """
DO $$
DECLARE
    given record;
    heir text;
BEGIN
    FOR given IN
        SELECT c.relname, a.grantee, string_agg(a.privilege_type, ', ') AS privileges
        FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.relnamespace = 'before_migration'::regnamespace
            AND c.relkind IN ('r', 'p') AND a.grantee NOT IN (0, c.relowner)
        GROUP BY c.relname, a.grantee
    LOOP
        FOREACH heir IN ARRAY CASE given.relname
            WHEN 'events' THEN ARRAY['packed_events', 'event_forms', 'events']
            WHEN 'packed_events' THEN ARRAY['events']
            WHEN 'event_forms' THEN ARRAY[]::text[]
            ELSE ARRAY[given.relname]
        END LOOP
            EXECUTE format(
                'GRANT %s ON TABLE %I TO %s', given.privileges, heir, given.grantee::regrole
            );
        END LOOP;
    END LOOP;
END $$
"""
PARTITIONS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = '{parent}'::regclass ORDER BY c.relname
"""
#: In the order in which they build on each other; whose version, and which of its statements.
VIEWS_UP = (
    ("0010/keys", ""),
    ("0010/corrections", ""),
    ("0010/unfolded", ""),
    ("0010/campaigns", ""),
    ("0007/messages", ""),
    ("0010/message_events", ""),
    ("0010/inbound_messages", ""),
    ("0007/delivery", ""),
    ("0007/failure_reasons", ""),
    ("0010/recipients_opted_out", ""),
    ("0007/freshness", ""),
)
VIEWS_DOWN = (
    ("0007/keys", "VIEW (bi_event_keys|bi_message_facts)"),
    *((name.replace("0010", "0007"), only) for name, only in VIEWS_UP[1:]),
)


def upgrade() -> None:
    _run(DROP_VIEWS)
    _run("DROP TRIGGER bi_event_corrected ON events")
    _run("DROP FUNCTION bi_correct_event")
    _run(ASIDE)
    partitions = _set_aside("events")
    _run(TABLES)
    _make_partitions("packed_events", partitions)
    _run(COPY)
    _finish(VIEWS_UP)


def downgrade() -> None:
    _run(DROP_NEW_VIEWS)
    _run(NEW_ASIDE)
    partitions = _set_aside("packed_events")
    _run(OLD_TABLES)
    _make_partitions("events", partitions)
    _run(OLD_DEFAULT)
    _run(COPY_BACK)
    _finish(VIEWS_DOWN)
    _run("DROP FUNCTION form_payload")
    _run("DROP FUNCTION message_key")


def _run(statements: str) -> None:
    for statement in re.split(r";\n", statements):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)


def _set_aside(table: str) -> list[tuple[str, str]]:
    """Move *table* away with its partitions; their names and bounds."""
    found = op.get_bind().exec_driver_sql(PARTITIONS.format(parent=table))
    partitions = [(name, bound) for name, bound in found]
    for name in (table, *(name for name, _ in partitions)):
        _run(f"ALTER TABLE {name} SET SCHEMA before_migration")
    return partitions


def _make_partitions(table: str, partitions: list[tuple[str, str]]) -> None:
    for name, bound in partitions:
        _run(f"CREATE TABLE {name} PARTITION OF {table} {bound}")


def _finish(views: tuple[tuple[str, str], ...]) -> None:
    op.get_bind().exec_driver_sql(GRANTS)
    _run(FORGET)
    for name, only in views:
        for statement in _statements((VIEWS / f"{name}.sql").read_text("utf-8")):
            if re.search(only, statement):
                op.get_bind().exec_driver_sql(statement)
    _run("SELECT grant_bi_access()")


def _statements(script: str) -> Iterator[str]:
    """A statement ends with a semicolon before an empty line, a comment on something or the end."""
    for statement in re.split(r";\n(?=\n|COMMENT ON|\Z)", script):
        if statement.strip():
            yield statement
