"""Taking a number out of the roll-ups for BI. The counts stay."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import TextClause, text

from app.db.bi.roll_up import ROLL_UP_LOCK
from app.db.database import Database
from app.db.erasure.messages import Replacement

_LOCK: Final = text("SELECT pg_advisory_xact_lock(:lock)")
#: A transaction that writes holds the feed back.
CHUNK_ITEMS: Final = 200

Key = tuple[Any, ...]


class Rollup(NamedTuple):
    """A table of the roll-ups, and how to search and redact it."""

    table: str
    find: TextClause
    change: TextClause


def _redacted(column: str) -> str:
    return f"regexp_replace({column}, :pattern, :pseudonym, 'g') AS {column}"


_COUNTED: Final = Rollup(
    "bi_counted_messages",
    text("""
    SELECT message_tracking_id FROM bi_counted_messages
    WHERE concat_ws(' ', country, sender, label, detailed_status, description) ~ :pattern
    """),
    text("""
    UPDATE bi_counted_messages SET
        country = regexp_replace(country, :pattern, :pseudonym, 'g'),
        sender = regexp_replace(sender, :pattern, :pseudonym, 'g'),
        label = regexp_replace(label, :pattern, :pseudonym, 'g'),
        detailed_status = regexp_replace(detailed_status, :pattern, :pseudonym, 'g'),
        description = regexp_replace(description, :pattern, :pseudonym, 'g')
    WHERE message_tracking_id = ANY(CAST(:first AS text[]))
    """),
)
_CORRECTIONS: Final = Rollup(
    "bi_event_corrections",
    text("""
    SELECT id FROM bi_event_corrections WHERE concat_ws(' ', country, sender, label) ~ :pattern
    """),
    text("""
    UPDATE bi_event_corrections SET
        country = regexp_replace(country, :pattern, :pseudonym, 'g'),
        sender = regexp_replace(sender, :pattern, :pseudonym, 'g'),
        label = regexp_replace(label, :pattern, :pseudonym, 'g')
    WHERE id = ANY(CAST(:first AS bigint[]))
    """),
)
_FACTS: Final = Rollup(
    "bi_campaign_facts",
    text("""
    SELECT campaign_key FROM bi_campaign_facts WHERE concat_ws(' ', label, name) ~ :pattern
    """),
    text("""
    UPDATE bi_campaign_facts SET
        label = regexp_replace(label, :pattern, :pseudonym, 'g'),
        name = regexp_replace(name, :pattern, :pseudonym, 'g')
    WHERE campaign_key = ANY(CAST(:first AS text[]))
    """),
)
#: Texts that become the same are counted together, under the hash of the new ones.
_REASONS: Final = Rollup(
    "bi_failure_reasons",
    text("""
    SELECT identity FROM bi_failure_reasons
    WHERE concat_ws(' ', detailed_status, description) ~ :pattern
    """),
    text(f"""
    WITH gone AS (
        DELETE FROM bi_failure_reasons WHERE identity = ANY(CAST(:first AS uuid[]))
        RETURNING campaign_key, failure_day, failure, {_redacted("detailed_status")},
            {_redacted("description")}, messages
    )
    INSERT INTO bi_failure_reasons AS r (
        identity, campaign_key, failure_day, failure, detailed_status, description, messages
    )
    SELECT
        md5(
            jsonb_build_array(
                campaign_key, failure_day, failure, detailed_status, description
            )::text
        )::uuid,
        campaign_key, failure_day, failure, detailed_status, description, sum(messages)
    FROM gone GROUP BY campaign_key, failure_day, failure, detailed_status, description
    ON CONFLICT (identity) DO UPDATE SET messages = r.messages + excluded.messages
    """),
)
_DAYS: Final = Rollup(
    "bi_daily_messages",
    text("""
    SELECT identity FROM bi_daily_messages
    WHERE concat_ws(' ', country, sender, label) ~ :pattern
    """),
    text(f"""
    WITH gone AS (
        DELETE FROM bi_daily_messages WHERE identity = ANY(CAST(:first AS uuid[]))
        RETURNING day, campaign_key, {_redacted("country")}, {_redacted("sender")},
            {_redacted("label")}, status, messages
    )
    INSERT INTO bi_daily_messages AS r (
        identity, day, campaign_key, country, sender, label, status, messages
    )
    SELECT
        md5(jsonb_build_array(day, campaign_key, country, sender, label, status)::text)::uuid,
        day, campaign_key, country, sender, label, status, sum(messages)
    FROM gone GROUP BY day, campaign_key, country, sender, label, status
    ON CONFLICT (identity) DO UPDATE SET messages = r.messages + excluded.messages
    """),
)
_HOURS: Final = Rollup(
    "bi_rollup_hourly",
    text("""
    SELECT hour, identity FROM bi_rollup_hourly
    WHERE concat_ws(' ', country, sender, label) ~ :pattern
    """),
    text(f"""
    WITH gone AS (
        DELETE FROM bi_rollup_hourly h
        USING unnest(CAST(:first AS timestamptz[]), CAST(:second AS uuid[])) AS k (hour, identity)
        WHERE h.hour = k.hour AND h.identity = k.identity
        RETURNING h.hour, campaign_key, {_redacted("country")}, {_redacted("sender")},
            {_redacted("label")}, status, events
    )
    INSERT INTO bi_rollup_hourly AS r (
        identity, hour, campaign_key, country, sender, label, status, events
    )
    SELECT
        md5(jsonb_build_array(campaign_key, country, sender, label, status)::text)::uuid,
        hour, campaign_key, country, sender, label, status, sum(events)
    FROM gone GROUP BY hour, campaign_key, country, sender, label, status
    ON CONFLICT (hour, identity) DO UPDATE SET events = r.events + excluded.events
    """),
)
#: First the tables that are still to be rolled up, so that rolling up between two chunks brings no
#: old text back.
ROLLUPS: Final = (_COUNTED, _CORRECTIONS, _FACTS, _REASONS, _DAYS, _HOURS)


async def find_rollups(database: Database, rollup: Rollup, wanted: Replacement) -> Sequence[Key]:
    """The keys of the rows of *rollup* that have the number."""
    async with database.reading() as session:
        rows = await session.execute(rollup.find, {"pattern": wanted.pattern})
        return [tuple(row) for row in rows]


async def redact_rollups(
    database: Database, rollup: Rollup, keys: Sequence[Key], wanted: Replacement
) -> None:
    """
    Take the number out of the rows of *keys*, `CHUNK_ITEMS` at most.

    Events and messages come first: their corrections are then rolled up under the same new texts.
    """
    first, second = [key[0] for key in keys], [key[-1] for key in keys]
    given: dict[str, object] = {
        "first": first, "pattern": wanted.pattern, "pseudonym": wanted.pseudonym
    }  # fmt: skip
    if rollup is _HOURS:
        given["second"] = second
    async with database.writing() as session:
        # No event is rolled up while the texts change.
        await session.execute(_LOCK, {"lock": ROLL_UP_LOCK})
        await session.execute(rollup.change, given)
