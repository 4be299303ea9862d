"""How far retention has come, whom an erasure has made unknown, and who asked for it."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE retention_marks (
    name text NOT NULL,
    feed_epoch smallint NOT NULL DEFAULT 0,
    xid xid8 NOT NULL DEFAULT '0',
    id bigint NOT NULL DEFAULT 0,
    reached_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT retention_marks_pkey PRIMARY KEY (name)
);
CREATE TABLE erased_recipients (
    hash bytea NOT NULL,
    key_id bytea NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT erased_recipients_pkey PRIMARY KEY (hash)
);
CREATE TABLE erasure_state (
    singleton boolean NOT NULL DEFAULT true,
    version bigint NOT NULL,
    CONSTRAINT erasure_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT erasure_state_singleton_check CHECK (singleton)
);
INSERT INTO erasure_state (version) VALUES (0);
CREATE TABLE erasures (
    id uuid NOT NULL DEFAULT uuidv7(),
    kind text NOT NULL,
    asked_by text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    sampled_at timestamptz,
    counts jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT erasures_pkey PRIMARY KEY (id)
)
"""

DOWN = """
DROP TABLE erasures;
DROP TABLE erasure_state;
DROP TABLE erased_recipients;
DROP TABLE retention_marks
"""


def upgrade() -> None:
    for statement in UP.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN.split(";\n"):
        op.execute(statement)
