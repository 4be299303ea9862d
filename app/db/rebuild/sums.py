"""
Comparing sums with what they are sums of: the counts of campaigns, and the roll-ups for BI.

A sum is compared unless retention has removed something that it may have in it. A repair adds what
is lacking, or takes away what is too much.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.bi.roll_up import ROLL_UP_LOCK
from app.db.bi.roll_up_statement import COUNTED, DAY, NAME_OF_REPORTED, REASON, RECOUNT
from app.db.database import Database
from app.db.rebuild.messages import IN_CHUNK
from app.db.retention.runs import CHUNK_PLANNER
from app.domain.rebuild import Difference, Projection

#: While an erasure runs, the texts of the roll-ups are changed table by table.
_IS_ERASING: Final = """EXISTS (
    SELECT FROM erasures WHERE began_at IS NOT NULL AND ended_at IS NULL
)"""
_ROLLED_UP: Final = """(
    (SELECT feed_epoch FROM bi_rollup_state), (SELECT xid FROM bi_rollup_state),
    (SELECT id FROM bi_rollup_state)
)"""
_LOCK_ROLL_UP: Final = text("SELECT pg_advisory_xact_lock(:lock)")


class Sums(NamedTuple):
    """A table of sums, and what its rows must be."""

    projection: Projection
    #: The columns that distinguish sums.
    key: Sequence[str]
    #: The columns that are sums.
    sums: Sequence[str]
    #: A query of both, of what the sums are now, one row or several for each key.
    stored: str
    #: The same of what they must be.
    expected: str
    #: A condition on `k`, a key: retention has removed nothing that the sum has in it.
    is_whole: str
    #: Adds `lacking`, the key and what is lacking of each sum.
    add: str
    #: Whether erasures change the texts of the key.
    has_texts: bool = True


class ComparedSums(NamedTuple):
    """What sums are compared with what they must be."""

    #: Whether they could not be compared, because an erasure is under way.
    is_erasing: bool
    differing: int
    #: Some of the differences.
    differences: Sequence[Difference]


def _identity(key: Sequence[str]) -> str:
    return f"md5(jsonb_build_array({', '.join(key)})::text)::uuid"


def _of_messages(
    projection: Projection, table: str, key: Sequence[str], expected: str, *, identity: str = ""
) -> Sums:
    """A roll-up of messages, of *expected*: a query of `bi_counted_messages` without grouping."""
    keys = ", ".join(key)
    inserted = f"{identity}, {keys}" if identity else keys
    values = f"{_identity(key)}, {keys}" if identity else keys
    return Sums(
        projection,
        key,
        ("messages",),
        f"SELECT {keys}, messages FROM {table}",
        expected,
        """NOT EXISTS (
            SELECT FROM removed_messages WHERE campaign_key = coalesce(k.campaign_key, '')
        )""",
        f"""INSERT INTO {table} AS t ({inserted}, messages)
        SELECT {values}, messages FROM lacking
        ON CONFLICT ({identity or keys}) DO UPDATE SET messages = t.messages + excluded.messages""",
    )


_COUNT_KEY: Final = ("campaign_tracking_id", "status")
#: The counts of campaigns keep the messages that retention has removed.
COUNTS: Final = Sums(
    Projection.COUNTS,
    _COUNT_KEY,
    ("messages",),
    """SELECT campaign_tracking_id, status, messages FROM campaign_counts
    UNION ALL SELECT campaign_tracking_id, status, messages FROM campaign_count_deltas""",
    """SELECT campaign_tracking_id, status, count(*) AS messages FROM messages
    WHERE campaign_tracking_id IS NOT NULL GROUP BY campaign_tracking_id, status
    UNION ALL
    SELECT campaign_key, status, messages FROM removed_messages
    WHERE campaign_key <> '' AND campaign_key NOT LIKE 'ours:%'""",
    "true",
    """INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
    SELECT campaign_tracking_id, status, messages FROM lacking""",
    has_texts=False,
)
_DAYS: Final = ", ".join(DAY)
_REASONS: Final = ", ".join(REASON)
_SPENDS: Final = Sums(
    Projection.SPENDS,
    ("campaign_key",),
    ("messages", "price"),
    "SELECT campaign_key, messages, price FROM bi_spends",
    """SELECT campaign_key, count(*) AS messages, sum(price) AS price FROM bi_counted_messages
    WHERE campaign_key IS NOT NULL AND price IS NOT NULL GROUP BY campaign_key""",
    "NOT EXISTS (SELECT FROM removed_messages WHERE campaign_key = k.campaign_key)",
    """INSERT INTO bi_spends AS t (campaign_key, messages, price)
    SELECT campaign_key, messages, price FROM lacking
    ON CONFLICT (campaign_key) DO UPDATE SET
        messages = t.messages + excluded.messages, price = t.price + excluded.price""",
)
#: Of what `bi_counted_messages` says of each message.
OF_MESSAGES: Final = (
    _of_messages(
        Projection.DAYS,
        "bi_daily_messages",
        DAY,
        f"""SELECT {_DAYS}, count(*) AS messages FROM bi_counted_messages
        WHERE day IS NOT NULL GROUP BY {_DAYS}""",
        identity="identity",
    ),
    _of_messages(
        Projection.FAILURES,
        "bi_failure_reasons",
        REASON,
        f"""SELECT {_REASONS}, count(*) AS messages FROM bi_counted_messages
        WHERE failure IS NOT NULL GROUP BY {_REASONS}""",
        identity="identity",
    ),
    _of_messages(
        Projection.DURATIONS,
        "bi_durations",
        ("campaign_key", "measure", "bucket"),
        """SELECT campaign_key, measure, bucket, count(*) AS messages
        FROM bi_counted_messages
        CROSS JOIN LATERAL (
            VALUES (1::smallint, deliver_bucket), (2::smallint, see_bucket)
        ) AS v (measure, bucket)
        WHERE campaign_key IS NOT NULL AND bucket IS NOT NULL
        GROUP BY campaign_key, measure, bucket""",
    ),
    _SPENDS,
)
_HOUR: Final = ("hour", "campaign_key", "country", "sender", "label", "status")
_HOURS: Final = ", ".join(_HOUR)


def of_hours(since: str, until: str) -> Sums:
    """
    The roll-up of the events of a range of `occurred_at`, two instants or infinities in ISO 8601.

    An unknown time is in the range that begins with `-infinity`.
    """
    in_range = f"occurred_at >= '{since}' AND occurred_at < '{until}'"
    position = "(feed_epoch, xid, {id}) <= " + _ROLLED_UP
    return Sums(
        Projection.HOURS,
        _HOUR,
        ("events",),
        f"""SELECT {_HOURS}, events FROM bi_rollup_hourly
        WHERE hour >= '{since}' AND hour < '{until}'""",
        # What is still to be corrected is not in the roll-up yet.
        f"""SELECT {_HOURS}, count(*) AS events FROM bi_event_keys
        WHERE {in_range} AND {position.format(id="id")} GROUP BY {_HOURS}
        UNION ALL
        SELECT {_HOURS}, -events FROM bi_event_corrections
        WHERE {in_range} AND {position.format(id="event_id")}""",
        """NOT EXISTS (
            SELECT FROM removed_event_months WHERE month = CASE
                WHEN k.hour = '-infinity' THEN '1970-01-01'
                ELSE date_trunc('month', k.hour AT TIME ZONE 'UTC')
            END
        )""",
        f"""INSERT INTO bi_rollup_hourly AS t (identity, {_HOURS}, events)
        SELECT {_identity(_HOUR[1:])}, {_HOURS}, events FROM lacking
        ON CONFLICT (hour, identity) DO UPDATE SET events = t.events + excluded.events""",
    )


_MONTHS: Final = text(r"""
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{4}_\d{2}$'
ORDER BY c.relname
""")


async def ranges_of_hours(database: Database) -> Sequence[tuple[str, str]]:
    """The ranges of the partitions of events, for `of_hours`."""
    async with database.reading() as session:
        names = list(await session.scalars(_MONTHS))
    firsts = [f"{name.removeprefix('events_').replace('_', '-')}-01Z" for name in names]
    bounds = ["-infinity", *firsts, "infinity"]
    return list(pairwise(bounds))


def _compared(sums: Sums, *, repair: bool) -> str:
    """One row: whether an erasure is under way, how many sums differ, and some of them."""
    key = ", ".join(sums.key)
    both = f"{key}, {', '.join(sums.sums)}"
    lacking = ", ".join(
        f"sum({it} * side) AS {it}, coalesce(sum({it}) FILTER (WHERE side < 0), 0) AS stored_{it},"
        f" coalesce(sum({it}) FILTER (WHERE side > 0), 0) AS expected_{it}"
        for it in sums.sums
    )
    each = ", ".join(f"('{it}', stored_{it}, expected_{it})" for it in sums.sums)
    erasing = _IS_ERASING if sums.has_texts else "false"
    return f"""
WITH sides AS (
    SELECT {both}, -1 AS side FROM ({sums.stored}) AS stored
    UNION ALL
    SELECT {both}, 1 FROM ({sums.expected}) AS expected
),
lacking AS MATERIALIZED (
    SELECT k.* FROM (
        SELECT {key}, {lacking} FROM sides GROUP BY {key}
        HAVING {" OR ".join(f"sum({it} * side) <> 0" for it in sums.sums)}
    ) AS k
    WHERE {sums.is_whole} AND NOT {erasing}
),
{f"added AS ({sums.add})," if repair else ""}
shown AS (SELECT * FROM lacking LIMIT :most)
SELECT {erasing}, (SELECT count(*) FROM lacking), (
    SELECT coalesce(jsonb_agg(jsonb_build_array(
        jsonb_build_object({", ".join(f"'{it}', {it}" for it in sums.key)}), name,
        CAST(stored AS text), CAST(expected AS text)
    )), '[]')
    FROM shown CROSS JOIN LATERAL (VALUES {each}) AS v (name, stored, expected)
    WHERE stored <> expected
)
"""


async def compare_sums(
    database: Database, sums: Sums, *, most: int, repair: bool = False
) -> ComparedSums:
    """
    Compare *sums* with what they must be and, to *repair* them, add what is lacking.

    At most *most* of the differences are returned.
    """
    statement = text(_compared(sums, repair=repair))
    if not repair:
        async with database.reading() as session:
            return _result(sums.projection, await _row(session, statement, most))
    async with database.writing() as session:
        if sums.has_texts:
            # No text is redacted between the comparison and the commit.
            await session.execute(_LOCK_ROLL_UP, {"lock": ROLL_UP_LOCK})
        return _result(sums.projection, await _row(session, statement, most))


def _times(since: str, until: str, *, repair: bool) -> str:
    """The same of the times of campaigns, which only widen."""
    added = f"""added AS (
    INSERT INTO bi_campaign_facts AS f (
        campaign_key, first_event_at, last_event_at, last_created_at, label, name
    )
    SELECT r.campaign_key, r.first_event_at, r.last_event_at, r.last_created_at, r.label,
        {NAME_OF_REPORTED}
    FROM lacking AS r
    ON CONFLICT (campaign_key) DO UPDATE SET
        first_event_at = least(f.first_event_at, excluded.first_event_at),
        last_event_at = greatest(f.last_event_at, excluded.last_event_at),
        last_created_at = greatest(f.last_created_at, excluded.last_created_at),
        label = coalesce(f.label, excluded.label),
        name = coalesce(f.name, excluded.name)
),"""
    return f"""
WITH corrected AS MATERIALIZED (
    SELECT feed_epoch, xid, event_id FROM bi_event_corrections
),
expected AS (
    SELECT campaign_key, min(nullif(occurred_at, 'epoch')) AS first_event_at,
        max(nullif(occurred_at, 'epoch')) AS last_event_at,
        max(created_at) FILTER (WHERE created_at <= received_at) AS last_created_at,
        min(label) AS label
    FROM bi_event_keys AS e
    WHERE occurred_at >= '{since}' AND occurred_at < '{until}' AND campaign_key IS NOT NULL
        AND (feed_epoch, xid, id) <= {_ROLLED_UP}
        AND NOT EXISTS (
            SELECT FROM corrected AS c
            WHERE c.feed_epoch = e.feed_epoch AND c.xid = e.xid AND c.event_id = e.id
        )
    GROUP BY campaign_key
),
lacking AS MATERIALIZED (
    SELECT e.*, f.first_event_at AS stored_first, f.last_event_at AS stored_last
    FROM expected AS e LEFT JOIN bi_campaign_facts AS f USING (campaign_key)
    WHERE least(f.first_event_at, e.first_event_at) IS DISTINCT FROM f.first_event_at
        OR greatest(f.last_event_at, e.last_event_at) IS DISTINCT FROM f.last_event_at
),
{added if repair else ""}
shown AS (SELECT * FROM lacking LIMIT :most)
SELECT false, (SELECT count(*) FROM lacking), (
    SELECT coalesce(jsonb_agg(jsonb_build_array(
        jsonb_build_object('campaign_key', campaign_key), name,
        to_jsonb(stored) #>> '{{}}', to_jsonb(expected) #>> '{{}}'
    )), '[]')
    FROM shown CROSS JOIN LATERAL (VALUES
        ('first_event_at', stored_first, least(stored_first, first_event_at)),
        ('last_event_at', stored_last, greatest(stored_last, last_event_at))
    ) AS v (name, stored, expected)
    WHERE stored IS DISTINCT FROM expected
)
"""


async def compare_times(
    database: Database, since: str, until: str, *, most: int, repair: bool = False
) -> ComparedSums:
    """
    Compare the times of campaigns with those of a range of events, as `of_hours`.

    They may be wider than those of the events that are kept. To *repair* them, widen them.
    """
    statement = text(_times(since, until, repair=repair))
    if not repair:
        async with database.reading() as session:
            return _result(Projection.CAMPAIGN_TIMES, await _row(session, statement, most))
    async with database.writing() as session:
        return _result(Projection.CAMPAIGN_TIMES, await _row(session, statement, most))


#: Messages that are counted otherwise than they are, and that are not about to be counted again.
_UNCOUNTED: Final = text(f"""
WITH pending AS MATERIALIZED (
    SELECT message_tracking_id FROM events
    WHERE {IN_CHUNK} AND (feed_epoch, xid, id) > {_ROLLED_UP}
    UNION
    SELECT message_tracking_id FROM bi_event_corrections WHERE {IN_CHUNK}
),
facts AS MATERIALIZED (SELECT * FROM bi_message_facts WHERE {IN_CHUNK}),
counted AS MATERIALIZED (SELECT * FROM bi_counted_messages WHERE {IN_CHUNK}),
differing AS (
    SELECT f.message_tracking_id, to_jsonb(c) AS stored, to_jsonb(f) AS expected
    FROM facts AS f LEFT JOIN counted AS c USING (message_tracking_id)
    WHERE ({", ".join(f"f.{it}" for it in COUNTED)})
        IS DISTINCT FROM ({", ".join(f"c.{it}" for it in COUNTED)})
        AND NOT {_IS_ERASING}
        AND NOT EXISTS (
            SELECT FROM pending AS p WHERE p.message_tracking_id = f.message_tracking_id
        )
)
SELECT {_IS_ERASING}, (SELECT count(*) FROM differing), (
    SELECT coalesce(jsonb_agg(jsonb_build_array(
        to_jsonb(message_tracking_id), name, stored ->> name, expected ->> name
    ) ORDER BY message_tracking_id), '[]')
    FROM differing, unnest(CAST(:columns AS text[])) AS name
    WHERE (stored -> name) IS DISTINCT FROM (expected -> name)
)
""")
_RECOUNT: Final = text(RECOUNT)


async def compare_counted(database: Database, after: str, upto: str) -> ComparedSums:
    """Compare what the messages beyond *after*, not beyond *upto*, are counted as; all of them."""
    given = {"after": after, "upto": upto, "columns": list(COUNTED)}
    async with database.reading(planner=CHUNK_PLANNER) as session:
        row = (await session.execute(_UNCOUNTED, given)).one()
    return _result(Projection.COUNTED_MESSAGES, tuple(row))


async def recount(database: Database, ids: Sequence[str]) -> int:
    """Count the messages *ids* as they are now; how many were counted otherwise."""
    async with database.writing(planner=CHUNK_PLANNER) as session:
        await session.execute(_LOCK_ROLL_UP, {"lock": ROLL_UP_LOCK})
        return int((await session.execute(_RECOUNT, {"ids": list(ids)})).scalar_one())


async def _row(session: AsyncSession, statement: TextClause, most: int) -> tuple[Any, ...]:
    return tuple((await session.execute(statement, {"most": most})).one())


def _result(projection: Projection, row: tuple[Any, ...]) -> ComparedSums:
    is_erasing, differing, found = row
    return ComparedSums(
        is_erasing, differing, [Difference(projection, *_of_json(each)) for each in found]
    )


def _of_json(found: Sequence[Any]) -> Sequence[Any]:
    key, *rest = found
    return [key if isinstance(key, dict) else {"message_tracking_id": key}, *rest]
