"""What the dashboard reads: how much was received of late, and roll-ups found by their campaign."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: What the way down loses, in a sentence for an operator.
LOSES = "How much was received in each five minutes of the last 8 days, for the dashboard."

#: Counted by each process of itself, and added up here by a duty: `app/db/dashboard/received.py`.
TABLE = """
CREATE TABLE received_lately (
    began_at timestamptz NOT NULL, -- of five minutes
    measure text COLLATE "C" NOT NULL, -- a `Measure` of app/observability/metrics.py
    bucket text COLLATE "C" NOT NULL, -- an answer, an outcome, or the upper end of a bucket in seconds
    times bigint NOT NULL,
    CONSTRAINT received_lately_pkey PRIMARY KEY (began_at, measure, bucket)
) WITH (fillfactor = 70)
"""
#: On columns that no update changes. While they are made, only the roll-ups wait.
INDEXES = {
    "bi_rollup_hourly_campaign_idx": "bi_rollup_hourly (campaign_key, hour)",
    "bi_failure_reasons_campaign_idx": "bi_failure_reasons (campaign_key)",
}


def upgrade() -> None:
    op.execute(TABLE)
    for name, columns in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON {columns}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
    op.execute("DROP TABLE received_lately")
