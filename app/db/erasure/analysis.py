"""Taking a number out of what was counted for analysts: the counts stay."""

from typing import Final

from sqlalchemy import text

from app.db.database import Database
from app.db.erasure.messages import Replacement

#: That of `db.bi.folding`: nothing is folded while the texts change under it.
_FOLD_LOCK: Final = 7_021_007
_LOCK: Final = text("SELECT pg_advisory_xact_lock(:lock)")


def _redacted(column: str) -> str:
    return f"regexp_replace({column}, :pattern, :pseudonym, 'g') AS {column}"


#: Texts that become the same are counted together, under the hash of the new ones.
_REASONS: Final = text(f"""
WITH gone AS (
    DELETE FROM bi_failure_reasons
    WHERE concat_ws(' ', detailed_status, description) ~ :pattern
    RETURNING campaign_key, failure, {_redacted("detailed_status")}, {_redacted("description")},
        messages
)
INSERT INTO bi_failure_reasons AS r (
    identity, campaign_key, failure, detailed_status, description, messages
)
SELECT
    md5(jsonb_build_array(campaign_key, failure, detailed_status, description)::text)::uuid,
    campaign_key, failure, detailed_status, description, sum(messages)
FROM gone GROUP BY campaign_key, failure, detailed_status, description
ON CONFLICT (identity) DO UPDATE SET messages = r.messages + excluded.messages
""")
_HOURS: Final = text(f"""
WITH gone AS (
    DELETE FROM bi_rollup_hourly WHERE concat_ws(' ', country, sender, label) ~ :pattern
    RETURNING hour, campaign_key, {_redacted("country")}, {_redacted("sender")},
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
""")
_COUNTED: Final = text("""
UPDATE bi_counted_messages SET
    detailed_status = regexp_replace(detailed_status, :pattern, :pseudonym, 'g'),
    description = regexp_replace(description, :pattern, :pseudonym, 'g')
WHERE concat_ws(' ', detailed_status, description) ~ :pattern
""")
_CORRECTIONS: Final = text("""
UPDATE bi_event_corrections SET
    country = regexp_replace(country, :pattern, :pseudonym, 'g'),
    sender = regexp_replace(sender, :pattern, :pseudonym, 'g'),
    label = regexp_replace(label, :pattern, :pseudonym, 'g')
WHERE concat_ws(' ', country, sender, label) ~ :pattern
""")


async def redact_analysis(database: Database, wanted: Replacement) -> None:
    """
    Take the number out of all roll-ups at once.

    After the events and messages: what was corrected of them then counts under the same new texts.
    """
    async with database.writing() as session:
        await session.execute(_LOCK, {"lock": _FOLD_LOCK})
        for statement in (_REASONS, _HOURS, _COUNTED, _CORRECTIONS):
            await session.execute(statement, wanted._asdict())
