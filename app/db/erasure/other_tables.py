"""
Searching and redacting all but messages and events.

They are scanned in the order of their ids, in pages of few rows and few bytes: bodies may be large.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.exc import IntegrityError

from app.db.database import Database
from app.db.erasure.messages import PAGE_BYTES, Replacement

SCAN_ITEMS: Final = 500
_REPLY_TEXTS: Final = (
    "sender", "recipient", "message", "media", "filename", "campaign_name", "label"
)  # fmt: skip
_CAMPAIGN_TEXTS: Final = ("name", "submission_reason", "label")
_NO_CAMPAIGN: Final = UUID(int=0)


class IdentityTaken(Exception):
    """Another row has the identity."""


class StoredReply(NamedTuple):
    """What an erasure searches of a reply."""

    id: int
    identity: bytes
    sender: str | None
    reference: str | None
    texts: str
    #: Compressed.
    payload: bytes | None
    payload_dictionary: int
    #: Whether it still has a text, a file or a payload.
    has_content: bool


class StoredProgress(NamedTuple):
    """What an erasure searches of a report of a campaign's progress."""

    id: int
    identity: bytes
    texts: str
    #: Compressed.
    payload: bytes | None
    payload_dictionary: int


class StoredNotice(NamedTuple):
    """What an erasure searches of a notice of the feed."""

    id: int
    texts: str


class StoredBody(NamedTuple):
    """What an erasure searches of a body in the quarantine."""

    id: int
    sha256: bytes
    body: bytes
    reason: str
    #: Of the headers that it came with.
    texts: str


class StoredCampaign(NamedTuple):
    """What an erasure searches of a campaign."""

    id: UUID
    request: bytes | None
    answer: bytes | None
    texts: str
    #: Whether the request may be sent again.
    is_open: bool


class Redacted(Enum):
    """What became of a campaign that has the number."""

    ALL = auto()
    BUT_THE_NAME = auto()
    #: Nothing was changed: it must be searched again.
    CHANGED_MEANWHILE = auto()


class StoredKey(NamedTuple):
    """An idempotency key."""

    api_key_id: UUID
    key: str


def _page(table: str, columns: str, size: str) -> TextClause:
    """The next rows of *table*, each of *size* bytes: at least one, if there is one."""
    return text(f"""
    SELECT {columns} FROM (
        SELECT *, sum({size}) OVER (
            ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) - {size} AS bytes_before
        FROM {table} WHERE id > :after ORDER BY id LIMIT {SCAN_ITEMS}
    ) AS page
    WHERE bytes_before < {PAGE_BYTES} ORDER BY id
    """)


_REPLY_COLUMNS: Final = f"""
id, identity, sender, reference_tracking_id, concat_ws(' ', {", ".join(_REPLY_TEXTS)}),
    payload, payload_dictionary,
    num_nonnulls(message, media, filename, payload) > 0
"""
_REPLIES: Final = _page(
    "inbound_messages",
    _REPLY_COLUMNS,
    "coalesce(octet_length(payload), 0) + coalesce(octet_length(message), 0)",
)
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
_PROGRESS: Final = _page(
    "campaign_progress",
    "id, identity, concat_ws(' ', status, name, CAST(message_statuses AS text)), payload,"
    " payload_dictionary",
    "coalesce(octet_length(payload), 0) + octet_length(CAST(message_statuses AS text))",
)
_REDACT_PROGRESS: Final = text("""
UPDATE campaign_progress SET
    identity = :identity, payload = NULL,
    status = regexp_replace(status, :pattern, :pseudonym, 'g'),
    name = regexp_replace(name, :pattern, :pseudonym, 'g'),
    message_statuses = CAST(
        regexp_replace(CAST(message_statuses AS text), :pattern, :pseudonym, 'g') AS jsonb
    )
WHERE id = :id
""")
_NOTICES: Final = _page("notices", "id, CAST(data AS text)", "octet_length(CAST(data AS text))")
_REDACT_NOTICE: Final = text("""
UPDATE notices SET
    data = CAST(regexp_replace(CAST(data AS text), :pattern, :pseudonym, 'g') AS jsonb)
WHERE id = :id
""")
_BODY_COLUMNS: Final = "id, sha256, body, reason, concat_ws(' ', content_type, content_encoding)"
_BODIES: Final = _page("quarantine", _BODY_COLUMNS, "octet_length(body)")
#: The same bytes may have come again since, and were pseudonymised before they were stored.
_TAKE_TWIN: Final = text("""
WITH twin AS (
    DELETE FROM quarantine WHERE sha256 = :sha256 AND id <> :id RETURNING times, last_received_at
)
SELECT coalesce(sum(times), 0), max(last_received_at) FROM twin
""")
_SET_BODY: Final = text("""
UPDATE quarantine SET
    body = :body, sha256 = :sha256,
    content_type = regexp_replace(content_type, :pattern, :pseudonym, 'g'),
    content_encoding = regexp_replace(content_encoding, :pattern, :pseudonym, 'g'),
    times = times + :times,
    last_received_at = greatest(last_received_at, :last)
WHERE id = :id
""")
_IS_OPEN: Final = "submission IN ('launching', 'unconfirmed')"
_CAMPAIGNS: Final = _page(
    "campaigns",
    f"id, request, answer, concat_ws(' ', {', '.join(_CAMPAIGN_TEXTS)}, CAST(warnings AS text)),"
    f" {_IS_OPEN}",
    "coalesce(octet_length(request), 0) + coalesce(octet_length(answer), 0)",
)
#: An open launch keeps its name: that Routee refuses a name twice is all that keeps it from being
#: paid for twice. The id makes the new names unique.
_SET_CAMPAIGN: Final = text(f"""
UPDATE campaigns SET request = :request, answer = :answer,
    name = CASE
        WHEN {_IS_OPEN} OR name IS NULL OR name !~ :pattern THEN name
        ELSE regexp_replace(name, :pattern, :pseudonym, 'g') || '-' || right(CAST(id AS text), 12)
    END,
    submission_reason = regexp_replace(submission_reason, :pattern, :pseudonym, 'g'),
    label = regexp_replace(label, :pattern, :pseudonym, 'g'),
    warnings = CAST(regexp_replace(CAST(warnings AS text), :pattern, :pseudonym, 'g') AS jsonb)
WHERE id = :id AND request IS NOT DISTINCT FROM :old_request
    AND answer IS NOT DISTINCT FROM :old_answer
RETURNING {_IS_OPEN} AND coalesce(name, '') ~ :pattern
""")
_LEASED: Final = text("""
SELECT EXISTS (
    SELECT FROM campaigns WHERE id = ANY(CAST(:ids AS uuid[])) AND lease_until > now()
)
""")
_KEYS: Final = text("SELECT api_key_id, key FROM idempotency_keys WHERE key ~ :pattern")
#: One key of the same launch may be stored under the new name already: one is enough.
_RENAME_KEY: Final = text("""
WITH taken AS (
    DELETE FROM idempotency_keys WHERE api_key_id = :api_key_id AND key = :key
    RETURNING api_key_id, fingerprint, campaign_id, created_at
)
INSERT INTO idempotency_keys (api_key_id, key, fingerprint, campaign_id, created_at)
SELECT api_key_id, CAST(:new AS text), fingerprint, campaign_id, created_at FROM taken
ON CONFLICT DO NOTHING
""")


async def next_replies(database: Database, after: int) -> Sequence[StoredReply]:
    """The replies to search after the id *after*; none at the end."""
    async with database.reading() as session:
        rows = (await session.execute(_REPLIES, {"after": after})).all()
    return [StoredReply(*row) for row in rows]


async def pseudonymise_reply(
    database: Database, reply: StoredReply, wanted: Replacement, *, identity: bytes
) -> None:
    """
    Remove what a reply says; that there was one stays, under the new *identity*.

    Raises:
        IdentityTaken: the reply has come again, and is stored under that identity.
    """
    given = {"id": reply.id, "identity": identity, **wanted._asdict()}
    try:
        async with database.writing() as session:
            await session.execute(_OWN_REPLY, given)
    except IntegrityError as error:
        raise IdentityTaken from error


async def redact_reply(database: Database, reply: StoredReply, wanted: Replacement) -> None:
    """Take the number, and the whole payload, out of a reply of another recipient."""
    async with database.writing() as session:
        await session.execute(_REDACT_REPLY, {"id": reply.id, **wanted._asdict()})


async def next_progress(database: Database, after: int) -> Sequence[StoredProgress]:
    """The reports of campaigns to search after the id *after*; none at the end."""
    async with database.reading() as session:
        rows = (await session.execute(_PROGRESS, {"after": after})).all()
    return [StoredProgress(*row) for row in rows]


async def redact_progress(
    database: Database, progress: StoredProgress, wanted: Replacement, *, identity: bytes
) -> None:
    """
    Take the number, and the whole payload, out of a report, which gets the new *identity*.

    Raises:
        IdentityTaken: the report has come again, and is stored under that identity.
    """
    given = {"id": progress.id, "identity": identity, **wanted._asdict()}
    try:
        async with database.writing() as session:
            await session.execute(_REDACT_PROGRESS, given)
    except IntegrityError as error:
        raise IdentityTaken from error


async def next_notices(database: Database, after: int) -> Sequence[StoredNotice]:
    """The notices to search after the id *after*; none at the end."""
    async with database.reading() as session:
        rows = (await session.execute(_NOTICES, {"after": after})).all()
    return [StoredNotice(*row) for row in rows]


async def redact_notice(database: Database, notice: StoredNotice, wanted: Replacement) -> None:
    """Take the number out of a notice."""
    async with database.writing() as session:
        await session.execute(_REDACT_NOTICE, {"id": notice.id, **wanted._asdict()})


async def next_bodies(database: Database, after: int) -> Sequence[StoredBody]:
    """The quarantined bodies to search after the id *after*; none at the end."""
    async with database.reading() as session:
        rows = (await session.execute(_BODIES, {"after": after})).all()
    return [StoredBody(*row) for row in rows]


async def replace_body(
    database: Database, body: StoredBody, wanted: Replacement, *, left: bytes, sha256: bytes
) -> None:
    """Replace a body by *left* of it, under the new *sha256*, and the number in its headers."""
    async with database.writing() as session:
        given: dict[str, Any] = {"id": body.id, "sha256": sha256, **wanted._asdict()}
        times, last = (await session.execute(_TAKE_TWIN, given)).one()
        given |= {"body": left, "times": int(times), "last": last}
        await session.execute(_SET_BODY, given)


async def next_campaigns(
    database: Database, after: UUID = _NO_CAMPAIGN
) -> Sequence[StoredCampaign]:
    """The campaigns to search after the id *after*; none at the end."""
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
) -> Redacted:
    """Replace request and answer, unless they have changed since they were read."""
    given: dict[str, Any] = {
        "id": campaign.id,
        "request": request,
        "answer": answer,
        "old_request": campaign.request,
        "old_answer": campaign.answer,
        **wanted._asdict(),
    }
    async with database.writing() as session:
        keeps_name = (await session.scalars(_SET_CAMPAIGN, given)).one_or_none()
    if keeps_name is None:
        return Redacted.CHANGED_MEANWHILE
    return Redacted.BUT_THE_NAME if keeps_name else Redacted.ALL


async def are_being_launched(database: Database, campaigns: Sequence[UUID]) -> bool:
    """Whether one of *campaigns* is being launched, so that Routee's answer is still to come."""
    async with database.reading() as session:
        return bool(await session.scalar(_LEASED, {"ids": list(campaigns)}))


async def find_keys(database: Database, wanted: Replacement) -> Sequence[StoredKey]:
    """The idempotency keys that contain the number."""
    async with database.reading() as session:
        rows = await session.execute(_KEYS, {"pattern": wanted.pattern})
        return [StoredKey(*row) for row in rows]


async def rename_key(database: Database, key: StoredKey, new: str) -> None:
    """Store the launch of *key* under the key *new* instead."""
    async with database.writing() as session:
        await session.execute(_RENAME_KEY, {**key._asdict(), "new": new})
