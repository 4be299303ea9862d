"""Reading campaigns and their counts."""

from uuid import UUID

from sqlalchemy import func, or_, select, union_all

from app.db.database import Database
from app.db.tables import CampaignCountDeltaRow, CampaignCountRow, CampaignRow


async def find_campaign(database: Database, tracking_id: str) -> CampaignRow | None:
    """The campaign of that trackingId, or of that id of ours."""
    matches = CampaignRow.tracking_id == tracking_id
    own_id = _as_uuid(tracking_id)
    if own_id is not None:
        matches = or_(matches, CampaignRow.id == own_id)
    async with database.reading() as session:
        query = select(CampaignRow).where(matches).order_by(CampaignRow.tracking_id != tracking_id)
        return (await session.scalars(query.limit(1))).one_or_none()


async def counts_of(database: Database, tracking_id: str) -> dict[str, int]:
    """How many messages of a campaign are in each status: what is folded plus what is not yet."""
    parts = union_all(
        *(
            select(table.status, table.messages).where(table.campaign_tracking_id == tracking_id)
            for table in (CampaignCountRow, CampaignCountDeltaRow)
        )
    ).subquery()
    query = select(parts.c.status, func.sum(parts.c.messages)).group_by(parts.c.status)
    async with database.reading() as session:
        return {status: int(count) for status, count in await session.execute(query)}


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
