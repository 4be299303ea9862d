"""Indexes for the lists of messages and replies."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = """
CREATE INDEX messages_recipient_idx ON messages (recipient, message_tracking_id);
CREATE INDEX messages_label_idx ON messages (label, message_tracking_id) WHERE label IS NOT NULL;
CREATE INDEX messages_updated_idx ON messages USING brin (updated_at)
    WITH (pages_per_range = 8, autosummarize = on);
DROP INDEX messages_unbound_idx;
CREATE INDEX messages_unbound_idx ON messages (campaign_id, message_tracking_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
CREATE INDEX inbound_messages_received_idx ON inbound_messages (received_at, id);
CREATE INDEX inbound_messages_unnamed_idx ON inbound_messages (id)
    WHERE campaign_tracking_id IS NULL AND reference_tracking_id IS NOT NULL
"""

DOWN = """
DROP INDEX inbound_messages_unnamed_idx;
DROP INDEX inbound_messages_received_idx;
DROP INDEX messages_unbound_idx;
CREATE INDEX messages_unbound_idx ON messages (campaign_id)
    WHERE campaign_id IS NOT NULL AND campaign_tracking_id IS NULL;
DROP INDEX messages_updated_idx;
DROP INDEX messages_label_idx;
DROP INDEX messages_recipient_idx
"""


def upgrade() -> None:
    for statement in UP.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN.split(";\n"):
        op.execute(statement)
