"""Where API keys are kept."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update

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
)


async def find_api_key(database: Database, sha256: bytes) -> ApiKey | None:
    """The key of that digest, whether it is good or not."""
    async with database.reading() as session:
        query = select(*_COLUMNS).where(ApiKeyRow.sha256 == sha256)
        row = (await session.execute(query)).one_or_none()
    return None if row is None else _api_key(*row)


async def all_api_keys(database: Database) -> list[ApiKey]:
    """Every key, the oldest first."""
    async with database.reading() as session:
        rows = await session.execute(select(*_COLUMNS).order_by(ApiKeyRow.id))
    return [_api_key(*row) for row in rows]


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
    """Revoke a key; False when there is none of that id."""
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
) -> ApiKey:
    return ApiKey(key_id, name, frozenset(map(Scope, scopes)), created_at, expires_at, revoked_at)
