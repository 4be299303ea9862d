"""Lists of campaigns for people: by a part of the name or label, the newest first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.db.campaigns import first_id_at
from app.db.dashboard.planner import LOOK_UPS
from app.db.database import Database
from app.domain.campaign import Submission

#: How many campaigns one page looks at when only some of them are wanted.
MAX_SCANNED_ITEMS: Final = 10_000
#: The ids are in the order of time by the clock of the process that made them, `created_at` is by
#: that of the database. Two clocks do not differ by more.
_CLOCKS_DIFFER: Final = timedelta(days=1)
_LAST: Final = UUID(int=2**128 - 1)
_FIRST: Final = UUID(int=0)


class CampaignSearch(NamedTuple):
    """Which campaigns are wanted. Texts are found in any case of letters, as parts of others."""

    name: str | None = None
    label: str | None = None
    #: In the name or in the label.
    text: str | None = None
    #: Empty for all.
    submissions: tuple[Submission, ...] = ()
    created_since: datetime | None = None
    created_before: datetime | None = None


class ListedCampaign(NamedTuple):
    """The columns of a campaign that lists show."""

    id: UUID
    tracking_id: str | None
    #: Of one that was not launched here: what its reports, replies or events say.
    name: str | None
    label: str | None
    submission: str
    submission_reason: str | None
    billing: str | None
    expected_messages: int | None
    cost: Decimal | None
    created_at: datetime
    scheduled_at: datetime | None
    finished_at: datetime | None
    #: How often Routee was asked for it, and when it is asked again; None if not at all.
    attempts: int
    next_attempt_at: datetime | None


class CampaignPage(NamedTuple):
    """Some campaigns, and where the next ones are."""

    campaigns: Sequence[ListedCampaign]
    #: The id before which the list goes on, perhaps of a campaign that was not wanted.
    end: UUID | None
    #: How many were looked at.
    looked_at: int


_OF_ITS_OWN: Final = (
    "id, tracking_id, name, label, submission, submission_reason, billing, expected_messages, "
    "cost, created_at, scheduled_at, finished_at, attempts, next_attempt_at"
)
_COLUMNS: Final = """
c.id, c.tracking_id, coalesce(c.name, f.name) AS name, coalesce(c.label, f.label) AS label,
c.submission, c.submission_reason, c.billing, c.expected_messages, c.cost, c.created_at,
c.scheduled_at, c.finished_at, c.attempts, c.next_attempt_at
"""
_FROM: Final = "campaigns AS c LEFT JOIN bi_campaign_facts AS f ON f.campaign_key = c.tracking_id"


def _has(column: str, parameter: str) -> str:
    """Whether *column* has the text of *parameter* in it; nothing in that is a wildcard."""
    given = f"CAST(:{parameter} AS text)"
    folded = [f"casefold({it} COLLATE pg_unicode_fast)" for it in (column, given)]
    return f"coalesce(strpos({', '.join(folded)}) > 0, false)"


#: The scan is materialised, so that its limit holds whatever is wanted of it.
_PAGE: Final = text(f"""
WITH looked AS MATERIALIZED (
    SELECT {_OF_ITS_OWN} FROM campaigns
    WHERE id < :before AND id >= :since ORDER BY id DESC LIMIT :items
),
reached AS (SELECT count(*) AS items, min(id::text) AS id FROM looked)
SELECT r.items, CAST(r.id AS uuid), found.* FROM reached AS r LEFT JOIN (
    SELECT {_COLUMNS} FROM {_FROM.replace("campaigns AS c", "looked AS c")}
    WHERE (CAST(:name AS text) IS NULL OR {_has("coalesce(c.name, f.name)", "name")})
        AND (CAST(:label AS text) IS NULL OR {_has("coalesce(c.label, f.label)", "label")})
        AND (
            CAST(:text AS text) IS NULL
            OR {_has("coalesce(c.name, f.name)", "text")}
            OR {_has("coalesce(c.label, f.label)", "text")}
        )
        AND (
            CAST(:submissions AS text[]) IS NULL
            OR c.submission = ANY(CAST(:submissions AS text[]))
        )
        AND (
            CAST(:created_since AS timestamptz) IS NULL
            OR c.created_at >= CAST(:created_since AS timestamptz)
        )
        AND (
            CAST(:created_before AS timestamptz) IS NULL
            OR c.created_at < CAST(:created_before AS timestamptz)
        )
    ORDER BY c.id DESC LIMIT :wanted
) AS found ON true
ORDER BY found.id DESC
""")  # noqa: S608 (made of constants)
_UNFINISHED: Final = text(f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE c.finished_at IS NULL AND c.submission IN ('launched', 'observed')
ORDER BY c.id DESC LIMIT :limit
""")  # noqa: S608
_UNCONFIRMED: Final = text(f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE c.submission = 'unconfirmed' ORDER BY c.id DESC LIMIT :limit
""")  # noqa: S608


async def page_of_listed_campaigns(
    database: Database, wanted: CampaignSearch, *, before: UUID | None, limit: int
) -> CampaignPage:
    """
    At most *limit* campaigns, the newest first, older than the one of id *before*.

    With a filter at most `MAX_SCANNED_ITEMS` are looked at: the page may be short or empty without
    being the last.
    """
    items = MAX_SCANNED_ITEMS if any(wanted) else limit + 1
    given = _parameters(wanted, before) | {"items": items, "wanted": limit + 1}
    async with database.reading(planner=LOOK_UPS) as session:
        rows = (await session.execute(_PAGE, given)).all()
    looked_at, last = rows[0][:2]
    found = [ListedCampaign._make(row[2:]) for row in rows if row[2] is not None]
    if len(found) > limit:
        return CampaignPage(found[:limit], found[limit - 1].id, looked_at)
    return CampaignPage(found, last if looked_at == items else None, looked_at)


async def newest_unfinished(database: Database, limit: int) -> Sequence[ListedCampaign]:
    """At most *limit* campaigns of which something is awaited, the newest first."""
    return await _listed(database, _UNFINISHED, limit)


async def newest_unconfirmed(database: Database, limit: int) -> Sequence[ListedCampaign]:
    """At most *limit* launches that Routee may or may not have accepted, the newest first."""
    return await _listed(database, _UNCONFIRMED, limit)


async def _listed(database: Database, query: Any, limit: int) -> Sequence[ListedCampaign]:  # noqa: ANN401
    async with database.reading(planner=LOOK_UPS) as session:
        rows = await session.execute(query, {"limit": limit})
        return [ListedCampaign._make(row) for row in rows]


def _parameters(wanted: CampaignSearch, before: UUID | None) -> dict[str, Any]:
    since, until = wanted.created_since, wanted.created_before
    bounds = [before or _LAST]
    if until is not None:
        bounds.append(first_id_at(until, _CLOCKS_DIFFER))
    return {
        "before": min(bounds),
        "since": _FIRST if since is None else first_id_at(since, -_CLOCKS_DIFFER),
        "name": wanted.name,
        "label": wanted.label,
        "text": wanted.text,
        "submissions": list(wanted.submissions) or None,
        "created_since": since,
        "created_before": until,
    }
