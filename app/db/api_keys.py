"""Storing API keys."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, insert, select, text, update

from app.db.database import Database
from app.db.tables import ApiKeyRow
from app.domain.api_key import ApiKey, Scope

_COLUMNS = (
    ApiKeyRow.id,
    ApiKeyRow.name,
    ApiKeyRow.scopes,
    ApiKeyRow.created_at,
    ApiKeyRow.expires_at,
    ApiKeyRow.revoked_at,
    ApiKeyRow.last_used_at,
)

#: Keys may have scopes that only a later version knows: before a rollback, or during an upgrade.
_SCOPES: Final = {scope.value: scope for scope in Scope}

#: A key that another process is writing to is skipped, so that no process waits for another.
_RECORD_USES: Final = """
WITH used AS (
    SELECT id, at
    FROM api_keys
    JOIN unnest(:digests ::bytea[], :times ::timestamptz[]) AS given(sha256, at) USING (sha256)
    WHERE last_used_at IS NULL OR last_used_at < at - :at_least ::interval
    FOR UPDATE OF api_keys SKIP LOCKED
)
UPDATE api_keys SET last_used_at = used.at FROM used WHERE api_keys.id = used.id
"""


async def api_keys_by_digest(database: Database) -> dict[bytes, ApiKey]:
    """Every key, revoked and expired ones included, by its digest."""
    async with database.reading() as session:
        rows = await session.execute(select(ApiKeyRow.sha256, *_COLUMNS))
        return {row[0]: _api_key(*row[1:]) for row in rows}


async def all_api_keys(database: Database) -> list[ApiKey]:
    """Every key, the oldest first."""
    async with database.reading() as session:
        rows = await session.execute(select(*_COLUMNS).order_by(ApiKeyRow.id))
    return [_api_key(*row) for row in rows]


async def api_keys_named(database: Database, name: str) -> list[ApiKey]:
    """The keys of that name that are not revoked, the oldest first."""
    query = select(*_COLUMNS).where(ApiKeyRow.name == name, ApiKeyRow.revoked_at.is_(None))
    async with database.reading() as session:
        rows = await session.execute(query.order_by(ApiKeyRow.id))
    return [_api_key(*row) for row in rows]


async def record_uses(
    database: Database, used_at: Mapping[bytes, datetime], *, at_least: timedelta
) -> None:
    """
    Store when the keys with these digests were last used.

    A key whose stored use is less than *at_least* before stays as it is.
    """
    values = {"digests": list(used_at), "times": list(used_at.values()), "at_least": at_least}
    async with database.writing() as session:
        await session.execute(text(_RECORD_USES), values)


async def add_api_key(
    database: Database,
    *,
    name: str,
    sha256: bytes,
    scopes: frozenset[Scope],
    expires_at: datetime | None,
) -> UUID:
    """Store a new key and return its id."""
    values = {"name": name, "sha256": sha256, "scopes": sorted(scopes), "expires_at": expires_at}
    async with database.writing() as session:
        result = await session.execute(insert(ApiKeyRow).values(values).returning(ApiKeyRow.id))
        return result.scalar_one()


async def revoke_api_key(database: Database, key_id: UUID) -> bool:
    """Revoke a key; False if there is none with that id."""
    async with database.writing() as session:
        change = (
            update(ApiKeyRow)
            .where(ApiKeyRow.id == key_id)
            .values(revoked_at=func.coalesce(ApiKeyRow.revoked_at, func.now()))
        )
        revoked = await session.execute(change.returning(ApiKeyRow.id))
        return revoked.one_or_none() is not None


def _api_key(  # noqa: PLR0913, PLR0917 (the columns)
    key_id: UUID,
    name: str,
    scopes: list[str],
    created_at: datetime,
    expires_at: datetime | None,
    revoked_at: datetime | None,
    last_used_at: datetime | None,
) -> ApiKey:
    return ApiKey(
        key_id,
        name,
        frozenset(_SCOPES[scope] for scope in scopes if scope in _SCOPES),
        created_at,
        expires_at,
        revoked_at,
        last_used_at,
    )
