"""The feed: its order as an index, its epoch, and its floor."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = """
CREATE INDEX events_feed_idx ON events (feed_epoch, xid, id);
CREATE INDEX inbound_messages_feed_idx ON inbound_messages (feed_epoch, xid, id);

CREATE TABLE feed_state (
    singleton boolean NOT NULL DEFAULT true,
    epoch smallint NOT NULL,
    system_identifier bigint NOT NULL,
    timeline bigint NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT feed_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT feed_state_singleton_check CHECK (singleton)
);
-- The epoch may have been raised under this version before a downgrade.
INSERT INTO feed_state (epoch, system_identifier, timeline)
SELECT
    greatest(
        1, (SELECT max(feed_epoch) FROM events), (SELECT max(feed_epoch) FROM inbound_messages)
    ),
    (SELECT system_identifier FROM pg_control_system()),
    ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;

CREATE TABLE feed_floor (
    singleton boolean NOT NULL DEFAULT true,
    feed_epoch smallint NOT NULL,
    xid xid8 NOT NULL,
    id bigint NOT NULL,
    CONSTRAINT feed_floor_pkey PRIMARY KEY (singleton),
    CONSTRAINT feed_floor_singleton_check CHECK (singleton)
);
INSERT INTO feed_floor (feed_epoch, xid, id) VALUES (0, '0', 0)
"""

DOWN = """
DROP TABLE feed_floor;
DROP TABLE feed_state;
DROP INDEX inbound_messages_feed_idx;
DROP INDEX events_feed_idx
"""


def upgrade() -> None:
    for statement in UP.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN.split(";\n"):
        op.execute(statement)
