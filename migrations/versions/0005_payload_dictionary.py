"""The dictionary that payloads are compressed with."""

from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: The file of a released dictionary never changes, so that this stays what it was.
DICTIONARY = Path(__file__).parents[2] / "app" / "db" / "payloads" / "dictionary_1.zdict"

UP = """
CREATE TABLE payload_dictionaries (
    id smallint NOT NULL,
    dictionary bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payload_dictionaries_pkey PRIMARY KEY (id)
)
"""

DOWN = "DROP TABLE payload_dictionaries"


def upgrade() -> None:
    op.execute(UP)
    insert = text("INSERT INTO payload_dictionaries (id, dictionary) VALUES (1, :dictionary)")
    op.execute(insert.bindparams(dictionary=DICTIONARY.read_bytes()))


def downgrade() -> None:
    op.execute(DOWN)
