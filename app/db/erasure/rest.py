"""Replies, the quarantine, campaigns and keys: walked through in the order of their ids."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.db.database import Database
from app.db.erasure.messages import Replacement, opened_or_empty
from app.domain.erasure import PSEUDONYM_PREFIX

WALK_ITEMS: Final = 500
_REPLY_TEXTS: Final = (
    "sender", "recipient", "message", "media", "filename", "campaign_name", "label"
)  # fmt: skip
_CAMPAIGN_TEXTS: Final = ("name", "submission_reason", "label")
_NO_CAMPAIGN: Final = UUID(int=0)


class StoredReply(NamedTuple):
    """What is searched of a reply."""

    id: int
    identity: bytes
    sender: str | None
    reference: str | None
    texts: str
    payload: bytes


class StoredBody(NamedTuple):
    """What is searched of a body in the quarantine."""

    id: int
    sha256: bytes
    body: bytes


class StoredCampaign(NamedTuple):
    """What is searched of a campaign."""

    id: UUID
    request: bytes | None
    answer: bytes | None
    texts: str
    #: Not settled: the request may be sent again.
    is_open: bool


_REPLIES: Final = text(f"""
SELECT id, identity, sender, reference_tracking_id, concat_ws(' ', {", ".join(_REPLY_TEXTS)}),
    payload, payload_dictionary
FROM inbound_messages WHERE id > :after ORDER BY id LIMIT {WALK_ITEMS}
""")
_OWN_REPLY: Final = text("""
UPDATE inbound_messages SET
    identity = :identity, sender = CASE WHEN sender IS NOT NULL THEN :pseudonym END,
    message = NULL, media = NULL, filename = NULL, payload = NULL,
    recipient = regexp_replace(recipient, :pattern, :pseudonym, 'g'),
    campaign_name = regexp_replace(campaign_name, :pattern, :pseudonym, 'g'),
    label = regexp_replace(label, :pattern, :pseudonym, 'g')
WHERE id = :id
""")
_REDACT_REPLY: Final = text(
    "UPDATE inbound_messages SET payload = NULL, "
    + ", ".join(
        f"{column} = regexp_replace({column}, :pattern, :pseudonym, 'g')" for column in _REPLY_TEXTS
    )
    + " WHERE id = :id"
)
_BODIES: Final = text(
    f"SELECT id, sha256, body FROM quarantine WHERE id > :after ORDER BY id LIMIT {WALK_ITEMS}"
)
#: The same bytes may have come again since, and were made unknown before they were stored.
_CLEAR_BODY: Final = text("""
WITH twin AS (
    DELETE FROM quarantine WHERE sha256 = :sha256 AND id <> :id RETURNING times, last_received_at
)
SELECT coalesce(sum(times), 0), max(last_received_at) FROM twin
""")
_SET_BODY: Final = text("""
UPDATE quarantine SET
    body = '', sha256 = :sha256, times = times + :times,
    last_received_at = greatest(last_received_at, :last)
WHERE id = :id
""")
_CAMPAIGNS: Final = text(f"""
SELECT id, request, answer,
    concat_ws(' ', {", ".join(_CAMPAIGN_TEXTS)}, CAST(warnings AS text)),
    submission IN ('launching', 'unconfirmed')
FROM campaigns WHERE id > :after ORDER BY id LIMIT {WALK_ITEMS}
""")
_SET_CAMPAIGN: Final = text(
    "UPDATE campaigns SET request = :request, answer = :answer, "
    + ", ".join(
        f"{column} = regexp_replace({column}, :pattern, :pseudonym, 'g')"
        for column in _CAMPAIGN_TEXTS
    )
    + ", warnings ="
    " CAST(regexp_replace(CAST(warnings AS text), :pattern, :pseudonym, 'g') AS jsonb)"
    " WHERE id = :id AND request IS NOT DISTINCT FROM :old_request"
    " AND answer IS NOT DISTINCT FROM :old_answer"
)
_LEASED: Final = text("""
SELECT EXISTS (
    SELECT FROM campaigns WHERE id = ANY(CAST(:ids AS uuid[])) AND lease_until > now()
)
""")
#: No two of a campaign: unlike a pseudonym in its place, this cannot make two keys one.
_RENAME_KEYS: Final = text("""
UPDATE idempotency_keys SET key = CAST(:prefix AS text) || campaign_id
WHERE key ~ :pattern RETURNING 1
""")
#: PostgreSQL keeps samples of the values of columns.
_SAMPLED: Final = text("""
SELECT DISTINCT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_stats
WHERE schemaname = current_schema()
    AND concat_ws(' ', most_common_vals::text, histogram_bounds::text) ~ :pattern
""")


async def walked_replies(database: Database, after: int) -> Sequence[StoredReply]:
    """The next replies, to be searched; none at the end."""
    async with database.reading() as session:
        rows = (await session.execute(_REPLIES, {"after": after})).all()
    return [
        StoredReply(number, identity, sender, reference, texts, opened_or_empty(payload, by))
        for number, identity, sender, reference, texts, payload, by in rows
    ]


async def make_reply_unknown(
    database: Database, reply: StoredReply, wanted: Replacement, *, identity: bytes
) -> None:
    """Leave nothing of a reply but that there was one, now under *identity*."""
    given = {"id": reply.id, "identity": identity, **wanted._asdict()}
    async with database.writing() as session:
        await session.execute(_OWN_REPLY, given)


async def redact_reply(database: Database, reply: StoredReply, wanted: Replacement) -> None:
    """Take the number, and the payload with it, out of a reply of somebody else."""
    async with database.writing() as session:
        await session.execute(_REDACT_REPLY, {"id": reply.id, **wanted._asdict()})


async def walked_bodies(database: Database, after: int) -> Sequence[StoredBody]:
    """The next bodies of the quarantine, to be searched; none at the end."""
    async with database.reading() as session:
        rows = (await session.execute(_BODIES, {"after": after})).all()
    return [StoredBody(*row) for row in rows]


async def clear_body(database: Database, body: StoredBody, *, sha256: bytes) -> None:
    """Leave nothing of a body but that there was one, now under *sha256*."""
    async with database.writing() as session:
        given = {"id": body.id, "sha256": sha256}
        times, last = (await session.execute(_CLEAR_BODY, given)).one()
        await session.execute(_SET_BODY, given | {"times": int(times), "last": last})


async def walked_campaigns(
    database: Database, after: UUID = _NO_CAMPAIGN
) -> Sequence[StoredCampaign]:
    """The next campaigns, to be searched; none at the end."""
    async with database.reading() as session:
        rows = (await session.execute(_CAMPAIGNS, {"after": after})).all()
    return [StoredCampaign(*row) for row in rows]


async def redact_campaign(
    database: Database,
    campaign: StoredCampaign,
    wanted: Replacement,
    *,
    request: bytes | None,
    answer: bytes | None,
) -> None:
    """Put *request* and *answer* in the place of those that were read, if they are still there."""
    given: dict[str, Any] = {
        "id": campaign.id,
        "request": request,
        "answer": answer,
        "old_request": campaign.request,
        "old_answer": campaign.answer,
        **wanted._asdict(),
    }
    async with database.writing() as session:
        await session.execute(_SET_CAMPAIGN, given)


async def are_being_launched(database: Database, campaigns: Sequence[UUID]) -> bool:
    """Whether Routee is being asked for one of *campaigns*: its answer is still to be stored."""
    async with database.reading() as session:
        return bool(await session.scalar(_LEASED, {"ids": list(campaigns)}))


async def rename_keys(database: Database, wanted: Replacement) -> int:
    """Rename idempotency keys that have the number in them; how many."""
    given = {"pattern": wanted.pattern, "prefix": PSEUDONYM_PREFIX}
    async with database.writing() as session:
        return len((await session.execute(_RENAME_KEYS, given)).all())


async def sample_anew(database: Database, wanted: Replacement) -> None:
    """Have PostgreSQL sample the tables again of which it has kept the number."""
    async with database.reading() as session:
        tables = (await session.scalars(_SAMPLED, {"pattern": wanted.pattern})).all()
        for table in tables:
            await session.execute(text(f"ANALYZE {table}"))
