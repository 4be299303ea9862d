"""The views for BI tools, schema `bi_v1`, and the roll-ups that make them quick."""

import re
from collections.abc import Iterator
from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: A released file never changes, so that this stays what it was.
VIEWS = Path(__file__).parents[1] / "views" / "bi_v1" / "0007"
#: In the order in which they build on each other.
FILES = (
    "epoch",
    "rollups",
    "keys",
    "corrections",
    "unfolded",
    "numbers",
    "campaigns",
    "messages",
    "message_events",
    "inbound_messages",
    "delivery",
    "failure_reasons",
    "recipients_opted_out",
    "freshness",
)

DOWN = """
DROP SCHEMA bi_v1 CASCADE;
DROP TRIGGER bi_event_corrected ON events;
DROP FUNCTION bi_correct_event;
DROP TRIGGER bi_replies_removed ON inbound_messages;
DROP FUNCTION bi_count_removed_replies;
DROP VIEW bi_unfolded_messages, bi_unfolded_hours;
DROP FUNCTION bi_unfolded_events;
DROP VIEW bi_message_facts, bi_event_keys, bi_campaign_keys;
DROP FUNCTION bi_hour, bi_bucket, bi_seconds, bi_told, bi_told_time;
DROP TABLE
    bi_rollup_state, bi_rollup_hourly, bi_event_corrections,
    bi_counted_messages, bi_durations, bi_failure_reasons, bi_spends,
    bi_removed_replies;
ALTER TABLE ONLY events ALTER COLUMN feed_epoch SET DEFAULT {epoch};
ALTER TABLE ONLY inbound_messages ALTER COLUMN feed_epoch SET DEFAULT {epoch};
DROP SEQUENCE feed_epoch
"""


def upgrade() -> None:
    connection = op.get_bind()
    for name in FILES:
        for statement in _statements((VIEWS / f"{name}.sql").read_text("utf-8")):
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    epoch = op.get_bind().exec_driver_sql("SELECT epoch FROM feed_state").scalar_one()
    for statement in DOWN.format(epoch=epoch).split(";\n"):
        op.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """A statement ends with a semicolon before an empty line, a comment on something or the end."""
    for statement in re.split(r";\n(?=\n|COMMENT ON|\Z)", script):
        if statement.strip():
            yield statement
