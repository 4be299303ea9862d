"""Reading what Routee reported of campaigns as a whole."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, Select, Text, bindparam, func, select, tuple_
from sqlalchemy.orm import aliased, defer

from app.db.database import Database
from app.db.parts import rows_in_parts
from app.db.tables import CampaignProgressRow

_WANTED: Final = func.unnest(bindparam("wanted", type_=ARRAY(Text)))
_GIVEN: Final = _WANTED.table_valued("tracking_id").render_derived()
_REPORT: Final = aliased(CampaignProgressRow)
#: A scan of the index from its end, for each campaign: one may have thousands of reports.
_NEWEST: Final = select(
    select(_REPORT.id)
    .where(_REPORT.campaign_tracking_id == _GIVEN.c.tracking_id)
    .order_by(_REPORT.ordered_at.desc(), _REPORT.id.desc())
    .limit(1)
    .scalar_subquery()
).select_from(_GIVEN)


async def newest_progress_of_each(
    database: Database, tracking_ids: Collection[str]
) -> dict[str, CampaignProgressRow]:
    """
    The newest report of each campaign, without its payload; those without any are left out.

    A report counts as of the time that it names, else as of its first receipt.
    """
    query = select(CampaignProgressRow).where(CampaignProgressRow.id.in_(_NEWEST))
    query = query.options(defer(CampaignProgressRow.payload))
    async with database.reading() as session:
        rows = await session.scalars(query, {"wanted": list(tracking_ids)})
        return {row.campaign_tracking_id: row for row in rows}


async def newest_progress(database: Database, tracking_id: str) -> CampaignProgressRow | None:
    """`newest_progress_of_each` of one campaign."""
    return (await newest_progress_of_each(database, [tracking_id])).get(tracking_id)


async def newest_reports(
    database: Database, tracking_id: str, *, limit: int
) -> Sequence[CampaignProgressRow]:
    """The newest *limit* reports of a campaign, the newest first, without their payloads."""
    row = CampaignProgressRow
    query = select(row).where(row.campaign_tracking_id == tracking_id)
    query = query.order_by(row.ordered_at.desc(), row.id.desc()).limit(limit)
    async with database.reading() as session:
        return (await session.scalars(query.options(defer(row.payload)))).all()


async def page_of_progress(
    database: Database,
    tracking_id: str,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
    with_payload: bool,
) -> Sequence[CampaignProgressRow]:
    """At most *limit* reports of a campaign, the oldest first, beyond *after*: a time and an id."""
    row = CampaignProgressRow
    query = select(row).where(row.campaign_tracking_id == tracking_id)
    query = query.order_by(row.ordered_at, row.id)
    if not with_payload:
        query = query.options(defer(row.payload))

    def _beyond(last: CampaignProgressRow | None) -> Select[CampaignProgressRow]:
        begin = after if last is None else (last.ordered_at, last.id)
        return query if begin is None else query.where(tuple_(row.ordered_at, row.id) > begin)

    async with database.reading() as session:
        return await rows_in_parts(session, _beyond, lambda found: found[0], limit=limit)
