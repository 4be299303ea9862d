"""The row types in which a batch of events reaches the one statement that stores it."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UP = """
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
CREATE TYPE message_standing AS (
    status_rank smallint,
    status_at timestamptz,
    status_key text COLLATE "C",
    provider_status text COLLATE "C",
    detailed_status text COLLATE "C",
    description text COLLATE "C"
)
"""

DOWN = """
DROP TYPE message_standing;
DROP TYPE callback_event
"""


def upgrade() -> None:
    for statement in UP.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN.split(";\n"):
        op.execute(statement)
