"""The tables of the service in the schema `receiver`, and the views for BI tools in `bi_v1`."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: What the way down loses, in a sentence for an operator.
LOSES = (
    "Everything: campaigns, messages and their events, replies, the quarantine, API keys, the record "
    "of erasures, and the views with the rights of analysts."
)

MIGRATIONS = Path(__file__).parents[1]
DICTIONARY = MIGRATIONS.parent / "app" / "db" / "payloads" / "dictionary_1.zdict"
#: In the order in which they build on each other.
FILES = (
    "sql/tables",
    "sql/phone_number",
    "sql/merging",
    "sql/after_known",
    "sql/append_events",
    "sql/append_inbound",
    "sql/append_progress",
    "sql/ending_campaigns",
    "views/bi_v1/keys",
    "views/bi_v1/corrections",
    "views/bi_v1/pending",
    "views/bi_v1/numbers",
    "views/bi_v1/campaigns",
    "views/bi_v1/campaign_contents",
    "views/bi_v1/messages",
    "views/bi_v1/message_events",
    "views/bi_v1/inbound_messages",
    "views/bi_v1/delivery",
    "views/bi_v1/failure_reasons",
    "views/bi_v1/recipients_awaited",
    "views/bi_v1/recipients_opted_out",
    "views/bi_v1/quarantine_daily",
    "views/bi_v1/received_daily",
    "views/bi_v1/freshness",
)
#: Partitions of the months from the last one to these many ahead; a duty of `serve` adds the others.
MONTHS_AHEAD = 12

#: The schema itself stays, as Alembic's own table is in it.
DOWN = """
DROP SCHEMA bi_v1 CASCADE;
DO $$
DECLARE
    ours CONSTANT oid := to_regnamespace(current_schema());
    statement text;
BEGIN
    FOR statement IN
        SELECT format('DROP %s %s CASCADE', kind, name) FROM (
            SELECT 1, oid::regclass::text, 'TABLE IF EXISTS'
            FROM pg_class
            WHERE relnamespace = ours AND relkind IN ('r', 'p') AND relname <> 'alembic_version'
            UNION ALL
            SELECT 2, oid::regclass::text, 'SEQUENCE IF EXISTS' -- those of tables went with them
            FROM pg_class WHERE relnamespace = ours AND relkind = 'S'
            UNION ALL
            SELECT 3, oid::regprocedure::text, 'ROUTINE IF EXISTS'
            FROM pg_proc WHERE pronamespace = ours
            UNION ALL
            SELECT 4, oid::regclass::text, 'TYPE IF EXISTS'
            FROM pg_class WHERE relnamespace = ours AND relkind = 'c'
        ) AS found (step, name, kind)
        ORDER BY step
    LOOP
        EXECUTE statement;
    END LOOP;
END $$
"""


def upgrade() -> None:
    connection = op.get_bind()
    for name in FILES:
        for statement in _statements((MIGRATIONS / f"{name}.sql").read_text("utf-8")):
            connection.exec_driver_sql(statement)
    now: datetime = connection.execute(text("SELECT now() AT TIME ZONE 'UTC'")).scalar_one()
    for partition in _partitions(now):
        connection.exec_driver_sql(partition)
    insert = text("INSERT INTO payload_dictionaries (id, dictionary) VALUES (1, :dictionary)")
    connection.execute(insert, {"dictionary": DICTIONARY.read_bytes()})


def downgrade() -> None:
    for statement in DOWN.split(";\n", 1):
        op.get_bind().exec_driver_sql(statement)


def _statements(script: str) -> Iterator[str]:
    """A statement ends with a semicolon before an empty line, a new statement or the end."""
    for statement in re.split(r";\n(?=\n|--|CREATE|INSERT|SELECT|COMMENT|\Z)", script):
        if statement.strip():
            yield statement


def _partitions(now: datetime) -> Iterator[str]:
    months = range(now.year * 12 + now.month - 2, now.year * 12 + now.month + MONTHS_AHEAD)
    yield _partition("events_before", "MINVALUE", f"'{_first(months.start)}'")
    for month in months:
        name = f"events_{month // 12}_{month % 12 + 1:02}"
        yield _partition(name, f"'{_first(month)}'", f"'{_first(month + 1)}'")
    yield _partition("events_after", f"'{_first(months.stop)}'", "MAXVALUE")


def _first(month: int) -> str:
    return f"{month // 12}-{month % 12 + 1:02}-01Z"


def _partition(name: str, since: str, until: str) -> str:
    return f"CREATE TABLE {name} PARTITION OF events FOR VALUES FROM ({since}) TO ({until})"
