"""
Tables in which what callbacks have in common is stored once; events that are there stay whole.

Everything that is stored is copied. With ten million events this takes minutes and, for as long,
the space of both; nobody else can use the database meanwhile.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

Heirs = dict[str, tuple[str, ...]]

#: A released file never changes, so that this stays what it was.
VIEWS = Path(__file__).parents[1] / "views" / "bi_v1"
DROP_VIEWS = """
DROP VIEW bi_v1.campaigns, bi_v1.messages, bi_v1.message_events, bi_v1.inbound_messages,
    bi_v1.delivery_daily, bi_v1.delivery_hourly, bi_v1.failure_reasons,
    bi_v1.recipients_opted_out, bi_v1.freshness;
DROP VIEW bi_unfolded_messages, bi_unfolded_hours;
DROP FUNCTION bi_unfolded_events;
DROP VIEW bi_message_facts, bi_event_keys
"""
#: In the order in which callbacks are stored: one that is under way is waited for, and does not
#: wait for this.
LOCK = "LOCK TABLE messages, inbound_messages, {events} IN ACCESS EXCLUSIVE MODE"
DROP_TRIGGERS = """
DROP TRIGGER bi_replies_removed ON inbound_messages;
DROP FUNCTION bi_count_removed_replies;
DROP TRIGGER bi_event_corrected ON {events};
DROP FUNCTION bi_correct_event
"""
#: What was there, out of the way, as names of indexes and partitions are wanted again.
ASIDE = """
CREATE SCHEMA before_migration;
ALTER TABLE messages SET SCHEMA before_migration;
ALTER TABLE bi_counted_messages SET SCHEMA before_migration
"""
#: Not with CASCADE: what somebody else built on one of them must not go unnoticed.
DROP_ASIDE = """
DROP TABLE {schema}.events, {schema}.messages, {schema}.bi_counted_messages
"""
DROP_NEW_ASIDE = """
DROP VIEW {schema}.events;
DROP TABLE
    {schema}.packed_events, {schema}.event_forms, {schema}.messages, {schema}.bi_counted_messages
"""

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

CREATE FUNCTION event_form(id bigint) RETURNS event_forms
LANGUAGE sql VOLATILE STRICT
RETURN (SELECT f FROM event_forms AS f WHERE f.id = event_form.id);
COMMENT ON FUNCTION event_form(bigint) IS 'The form of an event that may have been stored after the statement began: being volatile, it sees the form as well.';

-- Whoever uses the tables needs them; where roles of analysts are, it is taken from others.
GRANT EXECUTE ON FUNCTION message_key(text), form_payload(text, text, text, timestamptz, timestamptz),
    event_form(bigint) TO PUBLIC;

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
    CONSTRAINT packed_events_form_check CHECK ((form_id IS NULL) = (provider_status IS NOT NULL))
) PARTITION BY RANGE (occurred_at);

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
        (CASE WHEN status_rank = 0 THEN 'UNKNOWN' ELSE status_key END) VIRTUAL
) WITH (fillfactor = 80);

CREATE TABLE bi_counted_messages (
    message_key bytea NOT NULL,
    campaign_key text COLLATE "C",
    deliver_bucket smallint,
    see_bucket smallint,
    failure text COLLATE "C",
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    price numeric
) WITH (fillfactor = 80);

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
#: Made after the rows, which takes half of the time.
INDEXES = """
ALTER TABLE packed_events
    ADD CONSTRAINT packed_events_pkey PRIMARY KEY (message_key, status_key, occurred_at);
CREATE INDEX packed_events_unbound_idx ON packed_events (campaign_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL AND form_id IS NULL;
CREATE INDEX packed_events_feed_idx ON packed_events (feed_epoch, xid, id);
ALTER TABLE messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (message_key);
CREATE INDEX messages_tracking_id_idx ON messages
    USING hash (coalesce(plain_id, encode(message_key, 'hex')::uuid::text));
CREATE INDEX messages_campaign_idx ON messages (campaign_tracking_id, message_key);
CREATE INDEX messages_unbound_idx ON messages (campaign_id, message_key)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX messages_recipient_idx ON messages (recipient, message_key);
CREATE INDEX messages_label_idx ON messages (label, message_key) WHERE label IS NOT NULL;
CREATE INDEX messages_updated_idx ON messages USING brin (updated_at)
    WITH (pages_per_range = 8, autosummarize = on);
ALTER TABLE bi_counted_messages
    ADD CONSTRAINT bi_counted_messages_pkey PRIMARY KEY (message_key);
CREATE INDEX bi_counted_messages_opted_out_idx ON bi_counted_messages (message_key)
    WHERE lower(detailed_status) = 'opted out'
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
SELECT
    message_key(message_tracking_id),
    CASE WHEN octet_length(message_key(message_tracking_id)) <> 16 THEN message_tracking_id END,
    {STANDING}
FROM before_migration.messages;
INSERT INTO bi_counted_messages (message_key, {COUNTED})
SELECT message_key(message_tracking_id), {COUNTED} FROM before_migration.bi_counted_messages
"""  # noqa: S608 (made of constants)
ID_OF_KEY = r"""
CASE
    WHEN octet_length(message_key) = 16 THEN encode(message_key, 'hex')::uuid::text
    ELSE convert_from(ltrim(message_key, '\x00'::bytea), 'UTF8')
END
""".strip()
NEW_ASIDE = f"""
{ASIDE.strip()};
ALTER VIEW events SET SCHEMA before_migration;
ALTER TABLE event_forms SET SCHEMA before_migration
"""
OLD_TABLES = f"""
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
    payload bytea
) PARTITION BY RANGE (occurred_at);

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
    price numeric
) WITH (fillfactor = 80);

CREATE TABLE bi_counted_messages (
    message_tracking_id text COLLATE "C" NOT NULL,
    campaign_key text COLLATE "C",
    deliver_bucket smallint,
    see_bucket smallint,
    failure text COLLATE "C",
    detailed_status text COLLATE "C",
    description text COLLATE "C",
    price numeric
) WITH (fillfactor = 80);

ALTER TABLE bi_event_corrections ADD COLUMN message_tracking_id text COLLATE "C";
UPDATE bi_event_corrections SET message_tracking_id = {ID_OF_KEY};
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
"""  # noqa: S608 (made of constants)
OLD_INDEXES = """
ALTER TABLE events
    ADD CONSTRAINT events_pkey PRIMARY KEY (message_tracking_id, status_key, occurred_at);
CREATE INDEX events_unbound_idx ON events (campaign_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX events_feed_idx ON events (feed_epoch, xid, id);
ALTER TABLE messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (message_tracking_id);
CREATE INDEX messages_campaign_idx ON messages (campaign_tracking_id, message_tracking_id);
CREATE INDEX messages_unbound_idx ON messages (campaign_id, message_tracking_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX messages_recipient_idx ON messages (recipient, message_tracking_id);
CREATE INDEX messages_label_idx ON messages (label, message_tracking_id) WHERE label IS NOT NULL;
CREATE INDEX messages_updated_idx ON messages USING brin (updated_at)
    WITH (pages_per_range = 8, autosummarize = on);
ALTER TABLE bi_counted_messages
    ADD CONSTRAINT bi_counted_messages_pkey PRIMARY KEY (message_tracking_id);
CREATE INDEX bi_counted_messages_opted_out_idx ON bi_counted_messages (message_tracking_id)
    WHERE lower(detailed_status) = 'opted out'
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
SELECT {ID_OF_KEY}, {COUNTED}
FROM before_migration.bi_counted_messages
"""  # noqa: S608 (made of constants)
#: Who may do what with what is made anew, and whether they may pass it on.
GRANTED = """
SELECT
    c.oid, quote_ident(n.nspname), quote_ident(c.relname), string_agg(a.privilege_type, ', '),
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
    CASE WHEN a.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
WHERE n.nspname IN (current_schema(), 'bi_v1') AND c.relkind IN ('r', 'p', 'v')
GROUP BY c.oid, n.nspname, c.relname, a.grantee, a.is_grantable
ORDER BY c.oid, a.grantee
"""
#: What takes the place of a table, where that is not one of the same name.
HEIRS: Heirs = {"events": ("packed_events", "event_forms", "events")}
OLD_HEIRS: Heirs = {"packed_events": ("events",), "event_forms": ()}
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
    ("0007/inbound_messages", ""),
    ("0007/delivery", ""),
    ("0007/failure_reasons", ""),
    ("0010/recipients_opted_out", ""),
    ("0007/freshness", ""),
)
VIEWS_DOWN = (
    ("0007/keys", "VIEW (bi_event_keys|bi_message_facts)"),
    *((name.replace("0010", "0007"), only) for name, only in VIEWS_UP[1:]),
)


class Grant(NamedTuple):
    """What a role may do with a table or a view."""

    oid: int
    schema: str
    name: str
    privileges: str
    grantee: str
    option: str


def upgrade() -> None:
    granted = _granted()
    _run(DROP_VIEWS)
    _run(LOCK.format(events="events"))
    _run(DROP_TRIGGERS.format(events="events"))
    _require_droppable(DROP_ASIDE)
    _run(ASIDE)
    partitions = _set_aside("events")
    _run(TABLES)
    _make_partitions("packed_events", partitions)
    _run(COPY)
    _run(INDEXES)
    _forget(DROP_ASIDE)
    _make_views(VIEWS_UP)
    _grant_again(granted, HEIRS)
    _run("SELECT grant_bi_access()")


def downgrade() -> None:
    granted = _granted()
    _run(DROP_VIEWS)
    _run(LOCK.format(events="packed_events"))
    _run(DROP_TRIGGERS.format(events="packed_events"))
    _run("DROP FUNCTION event_form")
    _require_droppable(DROP_NEW_ASIDE)
    _run(NEW_ASIDE)
    partitions = _set_aside("packed_events")
    _run(OLD_TABLES)
    _make_partitions("events", partitions)
    _run(OLD_DEFAULT)
    _run(COPY_BACK)
    _run(OLD_INDEXES)
    _forget(DROP_NEW_ASIDE)
    _run("DROP FUNCTION form_payload, message_key")
    _make_views(VIEWS_DOWN)
    _grant_again(granted, OLD_HEIRS)
    _run("SELECT grant_bi_access()")


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


def _require_droppable(drop: str) -> None:
    """Fail at once, rather than after all was copied, if others depend on what is to go."""
    connection = op.get_bind()
    schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    with connection.begin_nested() as trial:
        _run(drop.format(schema=schema))
        trial.rollback()


def _forget(drop: str) -> None:
    _run(drop.format(schema="before_migration"))
    _run("DROP SCHEMA before_migration")


def _make_views(views: tuple[tuple[str, str], ...]) -> None:
    for name, only in views:
        for statement in _statements((VIEWS / f"{name}.sql").read_text("utf-8")):
            if re.search(only, statement):
                op.get_bind().exec_driver_sql(statement)


def _granted() -> list[Grant]:
    return [Grant(*row) for row in op.get_bind().exec_driver_sql(GRANTED)]


def _grant_again(granted: list[Grant], heirs: Heirs) -> None:
    """Let whoever might use what is gone by now use what took its place."""
    there = set(op.get_bind().exec_driver_sql("SELECT oid FROM pg_class").scalars())
    for it in granted:
        if it.oid not in there:
            for heir in heirs.get(it.name, (it.name,)):
                _run(f"GRANT {it.privileges} ON {it.schema}.{heir} TO {it.grantee} {it.option}")


def _statements(script: str) -> Iterator[str]:
    """A statement ends with a semicolon before an empty line, a comment on something or the end."""
    for statement in re.split(r";\n(?=\n|COMMENT ON|\Z)", script):
        if statement.strip():
            yield statement
