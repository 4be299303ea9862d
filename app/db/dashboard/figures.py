"""The roll-ups of one campaign, with what is not rolled up yet: what `bi_v1` says of it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import text

from app.db.dashboard.planner import LOOK_UPS
from app.db.dashboard.standing import count_pending
from app.db.database import Database

#: More rows of a roll-up are not read of one campaign: of hours the latest are.
MAX_ROWS: Final = 20_000
#: More reasons are added up as others.
MAX_REASONS: Final = 50


class FailureReason(NamedTuple):
    """How many messages failed for a reason, in Routee's words."""

    status: str
    detailed_status: str | None
    description: str | None
    messages: int


class HourlyEvents(NamedTuple):
    """How many events of a status happened in an hour."""

    #: Its beginning; None for events without a time.
    hour: datetime | None
    status: str
    events: int


class Bucket(NamedTuple):
    """How many messages took about so long."""

    seconds: float
    messages: int


class Figures(NamedTuple):
    """What is rolled up of a campaign."""

    #: The most frequent first, at most `MAX_REASONS`.
    reasons: Sequence[FailureReason]
    #: For all reasons.
    failed: int
    #: In the order of time.
    hours: Sequence[HourlyEvents]
    #: From the quickest to the slowest.
    to_deliver: Sequence[Bucket]
    to_see: Sequence[Bucket]
    #: None while no price was reported.
    price: Decimal | None
    #: Whether the figures lag: so much is not rolled up yet that it was left out.
    is_behind: bool


#: Without what is pending: where there is nothing, as planning the views of it for all months takes
#: longer than everything else, and where there is too much for a page.
_NOTHING: Final = """
SELECT NULL::text AS failure, NULL::text AS detailed_status, NULL::text AS description,
    NULL::smallint AS deliver_bucket, NULL::smallint AS see_bucket, NULL::numeric AS price,
    0 AS messages
WHERE false
"""
_NO_HOURS: Final = "SELECT NULL::timestamptz, NULL::text, 0 WHERE false"
_PENDING: Final = (
    "SELECT * FROM bi_pending_messages WHERE campaign_key = ANY(CAST(:keys AS text[]))"
)
_PENDING_HOURS: Final = """
SELECT hour, status, events FROM bi_pending_hours WHERE campaign_key = ANY(CAST(:keys AS text[]))
"""
_FIGURES: Final = """
WITH pending AS MATERIALIZED (
    {pending}
),
reasons AS MATERIALIZED (
    SELECT r.failure, r.detailed_status, r.description, sum(r.messages)::bigint AS messages
    FROM (
        SELECT * FROM (
            SELECT failure, detailed_status, description, messages FROM bi_failure_reasons
            WHERE campaign_key = ANY(CAST(:keys AS text[])) LIMIT :rows
        ) AS rolled_up
        UNION ALL
        SELECT failure, detailed_status, description, messages FROM pending
        WHERE failure IS NOT NULL
    ) AS r
    GROUP BY r.failure, r.detailed_status, r.description
    HAVING sum(r.messages) <> 0
),
hours AS (
    SELECT h.hour, h.status, sum(h.events)::bigint AS events
    FROM (
        SELECT rolled_up.* FROM unnest(CAST(:keys AS text[])) AS k (key) CROSS JOIN LATERAL (
            SELECT hour, status, events FROM bi_rollup_hourly
            WHERE campaign_key = k.key ORDER BY hour DESC LIMIT :rows
        ) AS rolled_up
        UNION ALL
        {pending_hours}
    ) AS h
    GROUP BY h.hour, h.status
    HAVING sum(h.events) <> 0
),
durations AS (
    SELECT d.measure, d.bucket, sum(d.messages)::bigint AS messages
    FROM (
        SELECT measure, bucket, messages FROM bi_durations
        WHERE campaign_key = ANY(CAST(:keys AS text[]))
        UNION ALL
        SELECT v.measure, v.bucket, u.messages
        FROM pending AS u,
            LATERAL (VALUES (1, u.deliver_bucket), (2, u.see_bucket)) AS v (measure, bucket)
        WHERE v.bucket IS NOT NULL
    ) AS d
    GROUP BY d.measure, d.bucket
    HAVING sum(d.messages) > 0
),
spent AS (
    SELECT CASE WHEN sum(p.messages) > 0 THEN sum(p.price) END AS price
    FROM (
        SELECT price, messages FROM bi_spends WHERE campaign_key = ANY(CAST(:keys AS text[]))
        UNION ALL
        SELECT price * messages, messages FROM pending WHERE price IS NOT NULL
    ) AS p
)
SELECT
    (
        SELECT jsonb_agg(jsonb_build_array(failure, detailed_status, description, messages))::text
        FROM (
            SELECT * FROM reasons
            ORDER BY messages DESC, failure, detailed_status, description LIMIT :reasons
        ) AS most
    ),
    (SELECT coalesce(sum(messages), 0)::bigint FROM reasons),
    (
        SELECT jsonb_agg(jsonb_build_array(
            CASE WHEN isfinite(hour) THEN date_part('epoch', hour) END, status, events
        ) ORDER BY hour, status)::text
        FROM hours
    ),
    (
        SELECT jsonb_agg(jsonb_build_array(measure, bi_seconds(bucket), messages)
            ORDER BY measure, bucket)::text
        FROM durations
    ),
    (SELECT price FROM spent)
"""
_ROLLED_UP: Final = text(_FIGURES.format(pending=_NOTHING, pending_hours=_NO_HOURS))
_WITH_PENDING: Final = text(_FIGURES.format(pending=_PENDING, pending_hours=_PENDING_HOURS))


async def figures_of(database: Database, keys: Sequence[str]) -> Figures:
    """
    What is rolled up under *keys*: the trackingId of a campaign, and `ours:` and our id of it.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    pending, is_behind = await count_pending(database)
    query = _WITH_PENDING if pending and not is_behind else _ROLLED_UP
    given = {"keys": list(keys), "rows": MAX_ROWS, "reasons": MAX_REASONS}
    async with database.reading(planner=LOOK_UPS) as session:
        row = (await session.execute(query, given)).one()
    reasons, hours, durations = (_rows(document) for document in (row[0], row[2], row[3]))
    return Figures(
        reasons=[FailureReason(*it) for it in reasons],
        failed=row[1],
        hours=[HourlyEvents(_instant(hour), *rest) for hour, *rest in hours],
        to_deliver=[Bucket(*it) for measure, *it in durations if measure == 1],
        to_see=[Bucket(*it) for measure, *it in durations if measure == 2],  # noqa: PLR2004
        price=row[4],
        is_behind=is_behind,
    )


def _rows(document: str | None) -> list[list[Any]]:
    rows: list[list[Any]] = json.loads(document or "[]")
    return rows


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
