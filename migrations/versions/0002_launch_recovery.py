"""Repeated attempts to launch, and idempotency keys."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UP = """
ALTER TABLE campaigns
    ADD COLUMN attempts smallint NOT NULL DEFAULT 1,
    ADD COLUMN next_attempt_at timestamptz;

CREATE INDEX campaigns_open_idx ON campaigns (id)
    WHERE submission IN ('launching', 'unconfirmed');
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
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at)
"""

DOWN = """
DROP TABLE idempotency_keys;
DROP INDEX campaigns_open_idx;
DROP INDEX campaigns_name_idx;
DROP INDEX campaigns_label_idx;
DROP INDEX campaigns_submission_idx;
ALTER TABLE campaigns DROP COLUMN attempts, DROP COLUMN next_attempt_at
"""


def upgrade() -> None:
    for statement in UP.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN.split(";\n"):
        op.execute(statement)
