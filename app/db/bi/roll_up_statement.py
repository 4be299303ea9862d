"""
The one statement that adds pending events to the roll-ups behind the views for BI tools.

One statement is one snapshot: every event, correction and message is counted as it was at one
moment, and the position up to which events are rolled up moves in the same statement.

- An event counts as its row is. A correction says how a row has changed since: it is applied if the
  event was rolled up before, and dropped if the event is rolled up now, as the row has the new
  values already. A correction that commits after the snapshot stays for the next statement, when
  its event is one that was rolled up before.
- `bi_campaign_facts` only widens and fills. It says the same in whatever order events are rolled
  up, but for a name that reports and replies spell in several ways.
- A message is counted as a whole: `bi_counted_messages` keeps what it was counted as, which is
  subtracted before the message is counted again. Each roll-up of messages reads only those of which
  its own columns have changed.
"""

from typing import Final

_STATE: Final = """(
        (SELECT feed_epoch FROM bi_rollup_state),
        (SELECT xid FROM bi_rollup_state),
        (SELECT id FROM bi_rollup_state)
    )"""
_REACHED: Final = """(
        (SELECT feed_epoch FROM reached), (SELECT xid FROM reached), (SELECT id FROM reached)
    )"""
_POSITION: Final = "(feed_epoch, xid, event_id)"
_HOUR: Final = "hour, campaign_key, country, sender, label, status"
DAY: Final = ("day", "campaign_key", "country", "sender", "label", "status")
REASON: Final = ("campaign_key", "failure_day", "failure", "detailed_status", "description")
COUNTED: Final = (
    *DAY,
    "deliver_bucket",
    "see_bucket",
    "failure",
    "failure_day",
    "detailed_status",
    "description",
    "price",
)

#: The name of the campaign of a row `r` that has none so far: of its newest report that has one,
#: else of one of its first replies. Few rows are read, as they are for each campaign.
NAME_OF_REPORTED: Final = """CASE
        WHEN EXISTS (
            SELECT FROM bi_campaign_facts WHERE campaign_key = r.campaign_key AND name IS NOT NULL
        ) OR EXISTS (
            SELECT FROM campaigns WHERE tracking_id = r.campaign_key AND name IS NOT NULL
        ) THEN NULL
        ELSE coalesce(
            (
                SELECT name FROM (
                    SELECT name FROM campaign_progress
                    WHERE campaign_tracking_id = r.campaign_key
                    ORDER BY ordered_at DESC, id DESC LIMIT 10
                ) AS reports WHERE name IS NOT NULL LIMIT 1
            ),
            (
                SELECT campaign_name FROM (
                    SELECT campaign_name FROM inbound_messages
                    WHERE campaign_tracking_id = r.campaign_key
                    ORDER BY id LIMIT 10
                ) AS replies WHERE campaign_name IS NOT NULL LIMIT 1
            )
        )
    END"""

_DAYS: Final = ", ".join(DAY)
_REASONS: Final = ", ".join(REASON)


def _of(row: str, *columns: str, before: str = "") -> str:
    """*columns* of *row*, all that is counted by default, with what they were called before."""
    return ", ".join(f"{row}.{before}{column}" for column in columns or COUNTED)


def _moved(*columns: str) -> str:
    """A row of *columns* as it is now (1) and one as it was counted (-1), where they differ."""
    now, before = _of("c", *columns), _of("c", *columns, before="was_")
    return f"""(
        SELECT v.* FROM changed AS c
        CROSS JOIN LATERAL (VALUES ({now}, 1), ({before}, -1)) AS v ({", ".join(columns)}, messages)
        WHERE ({now}) IS DISTINCT FROM ({before})
    )"""  # noqa: S608 (made of constants)


#: Counts the messages that are `touched` anew: what each was counted as is subtracted first.
_RECOUNTED: Final = f"""
-- OFFSET 0: one lookup for each message, also where the statistics of tables that grow are stale.
changed AS MATERIALIZED (
    SELECT f.*, {", ".join(f"c.{it} AS was_{it}" for it in COUNTED)}
    FROM touched AS t
    CROSS JOIN LATERAL (
        SELECT * FROM bi_message_facts WHERE message_tracking_id = t.message_tracking_id
        OFFSET 0
    ) AS f
    LEFT JOIN LATERAL (
        SELECT * FROM bi_counted_messages WHERE message_tracking_id = t.message_tracking_id
        OFFSET 0
    ) AS c ON true
    WHERE ({_of("f")}) IS DISTINCT FROM ({_of("c")})
),
counted AS (
    INSERT INTO bi_counted_messages (message_tracking_id, {", ".join(COUNTED)})
    SELECT message_tracking_id, {", ".join(COUNTED)} FROM changed
    ON CONFLICT (message_tracking_id) DO UPDATE SET
        {", ".join(f"{it} = excluded.{it}" for it in COUNTED)}
),
days AS (
    INSERT INTO bi_daily_messages AS d (identity, {_DAYS}, messages)
    SELECT md5(jsonb_build_array({_DAYS})::text)::uuid, {_DAYS}, sum(messages)
    FROM {_moved(*DAY)} AS moved
    WHERE day IS NOT NULL
    GROUP BY {_DAYS}
    HAVING sum(messages) <> 0
    ON CONFLICT (identity) DO UPDATE SET messages = d.messages + excluded.messages
),
spends AS (
    INSERT INTO bi_spends AS s (campaign_key, price, messages)
    SELECT campaign_key, sum(price * messages), sum(messages)
    FROM {_moved("campaign_key", "price")} AS moved
    WHERE campaign_key IS NOT NULL AND price IS NOT NULL
    GROUP BY campaign_key
    HAVING sum(messages) <> 0 OR sum(price * messages) <> 0
    ON CONFLICT (campaign_key) DO UPDATE SET
        price = s.price + excluded.price, messages = s.messages + excluded.messages
),
durations AS (
    INSERT INTO bi_durations AS d (campaign_key, measure, bucket, messages)
    SELECT campaign_key, measure, bucket, sum(messages)
    FROM (
        SELECT campaign_key, 1 AS measure, deliver_bucket AS bucket, messages
        FROM {_moved("campaign_key", "deliver_bucket")} AS delivered
        UNION ALL
        SELECT campaign_key, 2, see_bucket, messages
        FROM {_moved("campaign_key", "see_bucket")} AS seen
    ) AS moved
    WHERE campaign_key IS NOT NULL AND bucket IS NOT NULL
    GROUP BY campaign_key, measure, bucket
    HAVING sum(messages) <> 0
    ON CONFLICT (campaign_key, measure, bucket) DO UPDATE SET
        messages = d.messages + excluded.messages
),
reasons AS (
    INSERT INTO bi_failure_reasons AS r (identity, {_REASONS}, messages)
    SELECT md5(jsonb_build_array({_REASONS})::text)::uuid, {_REASONS}, sum(messages)
    FROM {_moved(*REASON)} AS moved
    WHERE failure IS NOT NULL
    GROUP BY {_REASONS}
    HAVING sum(messages) <> 0
    ON CONFLICT (identity) DO UPDATE SET messages = r.messages + excluded.messages
)
"""  # noqa: S608 (made of constants)

#: Counts the messages `:ids` anew. How many of them had been counted otherwise.
RECOUNT: Final = f"""
WITH touched AS MATERIALIZED (
    SELECT message_tracking_id COLLATE "C" AS message_tracking_id
    FROM unnest(CAST(:ids AS text[])) AS given (message_tracking_id)
),
{_RECOUNTED}
SELECT count(*) FROM changed
"""  # noqa: S608 (made of constants)


def roll_up(most: int) -> str:
    """
    The statement for at most *most* events and as many corrections.

    It has no parameters: PostgreSQL plans it once for each connection, which takes it longer than
    rolling up a few hundred events.
    """
    return f"""
WITH taken AS MATERIALIZED (
    SELECT * FROM bi_event_keys
    WHERE (feed_epoch, xid, id) > {_STATE}
        -- Nothing can appear any more below the oldest transaction that still runs.
        AND (feed_epoch, xid)
            < ((SELECT epoch FROM feed_state), pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY feed_epoch, xid, id
    LIMIT {most}
),
reached AS MATERIALIZED (
    SELECT feed_epoch, xid, id FROM taken ORDER BY feed_epoch DESC, xid DESC, id DESC LIMIT 1
),
dropped AS (
    DELETE FROM bi_event_corrections WHERE {_POSITION} > {_STATE} AND {_POSITION} <= {_REACHED}
),
applied AS (
    DELETE FROM bi_event_corrections WHERE id = ANY(ARRAY(
        SELECT id FROM bi_event_corrections WHERE {_POSITION} <= {_STATE}
        ORDER BY feed_epoch, xid, event_id LIMIT {most}
    ))
    RETURNING message_tracking_id, occurred_at, {_HOUR}, events
),
hours AS (
    INSERT INTO bi_rollup_hourly AS r (identity, {_HOUR}, events)
    SELECT
        md5(jsonb_build_array(campaign_key, country, sender, label, status)::text)::uuid,
        {_HOUR}, sum(events)
    FROM (
        SELECT {_HOUR}, 1 AS events FROM taken
        UNION ALL
        SELECT {_HOUR}, events::integer FROM applied
    ) AS moved
    GROUP BY {_HOUR}
    HAVING sum(events) <> 0
    ON CONFLICT (hour, identity) DO UPDATE SET events = r.events + excluded.events
),
reported AS MATERIALIZED (
    SELECT campaign_key, min(at) AS first_event_at, max(at) AS last_event_at,
        -- Nothing was created in the future: such a time would keep a campaign unfinished.
        max(created_at) FILTER (WHERE created_at <= now()) AS last_created_at, min(label) AS label
    FROM (
        SELECT campaign_key, nullif(occurred_at, 'epoch') AS at, created_at, label FROM taken
        UNION ALL
        SELECT campaign_key, nullif(occurred_at, 'epoch'), NULL, label FROM applied
        WHERE events > 0
    ) AS moved
    WHERE campaign_key IS NOT NULL
    GROUP BY campaign_key
),
facts AS (
    INSERT INTO bi_campaign_facts AS f (
        campaign_key, first_event_at, last_event_at, last_created_at, label, name
    )
    SELECT
        r.campaign_key, r.first_event_at, r.last_event_at, r.last_created_at, r.label,
        {NAME_OF_REPORTED}
    FROM reported AS r
    ON CONFLICT (campaign_key) DO UPDATE SET
        first_event_at = least(f.first_event_at, excluded.first_event_at),
        last_event_at = greatest(f.last_event_at, excluded.last_event_at),
        last_created_at = greatest(f.last_created_at, excluded.last_created_at),
        label = least(f.label, excluded.label),
        name = coalesce(f.name, excluded.name)
),
touched AS MATERIALIZED (
    SELECT message_tracking_id FROM taken UNION SELECT message_tracking_id FROM applied
),
{_RECOUNTED},
moved_on AS (
    UPDATE bi_rollup_state AS s SET
        feed_epoch = r.feed_epoch, xid = r.xid, id = r.id,
        newest_received_at = greatest(s.newest_received_at, n.received_at),
        newest_occurred_at = greatest(s.newest_occurred_at, n.occurred_at)
    FROM reached AS r, (
        SELECT max(received_at) AS received_at, max(nullif(occurred_at, 'epoch')) AS occurred_at
        FROM taken
    ) AS n
)
SELECT greatest((SELECT count(*) FROM taken), (SELECT count(*) FROM applied))
"""  # noqa: S608 (made of constants and a number)
