"""Reading campaigns and their counts."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, or_, select, union_all

from app.db.database import Database
from app.db.tables import (
    CampaignCountDeltaRow,
    CampaignCountRow,
    CampaignFactsRow,
    CampaignRow,
)
from app.domain.campaign import Submission
from app.domain.merge import greatest, least

#: The ids are in the order of time by the clock of the process that made them, `created_at` is by
#: that of the database. Two clocks do not differ by more.
_CLOCKS_DIFFER: Final = timedelta(days=1)
_UUID7_RANDOM_BITS: Final = 80
_EARLIEST: Final = datetime(1970, 1, 3, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)


class CampaignFilter(NamedTuple):
    """Which campaigns are wanted."""

    name: str | None = None
    label: str | None = None
    #: Empty for all.
    submissions: tuple[Submission, ...] = ()
    created_since: datetime | None = None
    created_before: datetime | None = None


class CampaignTimes(NamedTuple):
    """When the first and the last event of a campaign happened; None while that is not known."""

    first_event_at: datetime | None = None
    last_event_at: datetime | None = None


NO_TIMES: Final = CampaignTimes()


#: The folded counts, and the deltas that are left: a reader sees each change in one of them.
_PARTS: Final = union_all(
    *(
        select(table.campaign_tracking_id, table.status, table.messages)
        for table in (CampaignCountRow, CampaignCountDeltaRow)
    )
).subquery()


async def find_campaign(database: Database, tracking_id: str) -> CampaignRow | None:
    """The campaign with that trackingId, or with that id of ours."""
    matches = CampaignRow.tracking_id == tracking_id
    own_id = _as_uuid(tracking_id)
    if own_id is not None:
        matches = or_(matches, CampaignRow.id == own_id)
    async with database.reading() as session:
        query = select(CampaignRow).where(matches).order_by(CampaignRow.tracking_id != tracking_id)
        return (await session.scalars(query.limit(1))).one_or_none()


async def get_campaign(database: Database, campaign_id: UUID) -> CampaignRow:
    """
    The campaign of that id of ours.

    Raises:
        NoResultFound: there is none.
    """
    async with database.reading() as session:
        query = select(CampaignRow).where(CampaignRow.id == campaign_id)
        return (await session.scalars(query)).one()


async def page_of_campaigns(
    database: Database, wanted: CampaignFilter, *, before: UUID | None, limit: int
) -> Sequence[CampaignRow]:
    """At most *limit* campaigns, the newest first, older than the one of id *before*."""
    query = _filtered(select(CampaignRow), wanted)
    if before is not None:
        query = query.where(CampaignRow.id < before)
    query = query.order_by(CampaignRow.id.desc()).limit(limit)
    async with database.reading() as session:
        return (await session.scalars(query)).all()


async def counts_of_each(
    database: Database, tracking_ids: Collection[str]
) -> dict[str, dict[str, int]]:
    """`counts_of` for several campaigns in one query; those without messages are left out."""
    query = select(_PARTS.c.campaign_tracking_id, _PARTS.c.status, func.sum(_PARTS.c.messages))
    query = query.where(_PARTS.c.campaign_tracking_id.in_(tracking_ids))
    query = query.group_by(_PARTS.c.campaign_tracking_id, _PARTS.c.status)
    counts: dict[str, dict[str, int]] = {}
    async with database.reading() as session:
        for tracking_id, status, messages in await session.execute(query):
            counts.setdefault(tracking_id, {})[status] = int(messages)
    return counts


async def counts_of(database: Database, tracking_id: str) -> dict[str, int]:
    """How many messages of a campaign are in each status."""
    return (await counts_of_each(database, [tracking_id])).get(tracking_id, {})


async def times_of_each(
    database: Database, campaigns: Collection[CampaignRow]
) -> dict[UUID, CampaignTimes]:
    """The times of the events of each campaign that are rolled up; those without are left out."""
    owners = {
        key: row.id
        for row in campaigns
        for key in (row.tracking_id, f"ours:{row.id}")
        if key is not None
    }
    query = select(CampaignFactsRow).where(CampaignFactsRow.campaign_key.in_(owners))
    times: dict[UUID, CampaignTimes] = {}
    async with database.reading() as session:
        for row in await session.scalars(query):
            known = times.get(owners[row.campaign_key], NO_TIMES)
            times[owners[row.campaign_key]] = CampaignTimes(
                least(known.first_event_at, row.first_event_at),
                greatest(known.last_event_at, row.last_event_at),
            )
    return times


async def times_of(database: Database, campaign: CampaignRow) -> CampaignTimes:
    """`times_of_each` of one campaign."""
    return (await times_of_each(database, [campaign])).get(campaign.id, NO_TIMES)


def _filtered(query: Select[CampaignRow], wanted: CampaignFilter) -> Select[CampaignRow]:
    row = CampaignRow
    if wanted.name is not None:
        query = query.where(row.name == wanted.name)
    if wanted.label is not None:
        query = query.where(row.label == wanted.label)
    if wanted.submissions:
        query = query.where(row.submission.in_(wanted.submissions))
    if wanted.created_since is not None:
        since = first_id_at(wanted.created_since, -_CLOCKS_DIFFER)
        query = query.where(row.created_at >= wanted.created_since, row.id >= since)
    if wanted.created_before is not None:
        before = first_id_at(wanted.created_before, _CLOCKS_DIFFER)
        query = query.where(row.created_at < wanted.created_before, row.id < before)
    return query


def first_id_at(instant: datetime, shift: timedelta) -> UUID:
    """The least id that was made at *instant*, so that a scan of the ids begins or ends there."""
    at = min(max(instant, _EARLIEST), _LATEST) + shift
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=milliseconds << _UUID7_RANDOM_BITS)


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
