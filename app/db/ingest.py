"""
The statement with which a batch of events becomes durable, in two variants, and its siblings.

Everything about concurrency that the callback path promises rests on the order in here, which both
variants keep:

1. the campaign rows of callbacks that name no campaign (shared with other batches; learning a
   campaign's trackingId takes them exclusively);
2. the message rows, in the bytewise order of their ids. The row lock of even a losing upsert
   stays until the commit, so whatever follows for one message is serial;
3. the count deltas, which are only appended;
4. the events.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from app.db.forms import END_OF_USE, Forms, of_forms
from app.db.message_keys import message_key, plain_id
from app.db.payloads import PLAIN, compressed
from app.domain.event import UNKNOWN_TIME, DeliveryEvent, EventIdentity, merged_event
from app.domain.inbound_message import InboundMessage
from app.domain.merge import greatest, least
from app.domain.message import MERGES, STATUS_COLUMNS, Message
from app.domain.quarantine import Quarantined
from app.domain.status import FAILURES, Status

_SQL_OF_MERGE: Final[dict[Callable[..., object], str]] = {least: "LEAST", greatest: "GREATEST"}
_AGGREGATE_OF_MERGE: Final[dict[Callable[..., object], str]] = {least: "min", greatest: "max"}

#: The types of columns that are not `text`.
_TYPES: Final = {
    "campaign_id": "uuid",
    "created_at": "timestamptz",
    "identity": "bytea",
    "payload": "bytea",
    "payload_dictionary": "smallint",
    "payload_reserialised": "boolean",
    "sent_at": "timestamptz",
}


def _unnest(columns: Sequence[str], *, first: int) -> str:
    """Rows of *columns*, given as one array each, from parameter *first* on."""
    parameters = ", ".join(
        f"${number}::{_TYPES.get(column, 'text')}[]"
        for number, column in enumerate(columns, start=first)
    )
    return f"unnest({parameters}) AS given({', '.join(columns)})"


#: Under what names the fields of an event, or of a message, are columns.
_NAMED_OTHERWISE: Final = {"message_tracking_id": "message_key"}


def _columns_of(fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(_NAMED_OTHERWISE.get(field, field) for field in fields)


EVENT_COLUMNS: Final = _columns_of(DeliveryEvent._fields)
_GIVEN_COLUMNS: Final = (*EVENT_COLUMNS, "plain_id", "form_id")
MESSAGE_COLUMNS: Final = (*_columns_of(Message._fields), "plain_id")
#: What a packed event has in its form.
FORM_COLUMNS: Final = (
    "provider_status",
    "detailed_status",
    "description",
    "campaign_tracking_id",
    "sender",
    "country",
    "label",
    "price",
)
_UNTOLD: Final = (None,) * len(FORM_COLUMNS)
_INBOUND_COLUMNS: Final = InboundMessage._fields

#: Rows of ours that callbacks without a campaign id are bound to. FOR SHARE, so that learning the
#: trackingId either comes first, and is seen here, or waits, and then sees the rows written here.
_SCOPE: Final = """
scope AS (
    SELECT id, tracking_id FROM campaigns WHERE id = ANY({parameter}::uuid[]) ORDER BY id FOR SHARE
)"""

#: The greatest event decides these columns together. Texts count as '' where they are missing.
_NEWER: Final = """
    (excluded.status_rank, excluded.status_at, excluded.status_key, excluded.provider_status,
     coalesce(excluded.detailed_status, ''), coalesce(excluded.description, ''))
    > (m.status_rank, m.status_at, m.status_key, m.provider_status,
       coalesce(m.detailed_status, ''), coalesce(m.description, ''))"""

_MERGED: Final = {
    column: f"{_SQL_OF_MERGE[merge]}(m.{column}, excluded.{column})"
    for column, merge in MERGES.items()
}
_SET_MESSAGE: Final = ",\n        ".join(
    [
        f"{column} = CASE WHEN {_NEWER} THEN excluded.{column} ELSE m.{column} END"
        for column in STATUS_COLUMNS
    ]
    + [f"{column} = {merge}" for column, merge in _MERGED.items()]
)

_EVENT_MERGES: Final = {
    "campaign_tracking_id": "LEAST",
    "campaign_id": "LEAST",
    "recipient": "LEAST",
    "sender": "LEAST",
    "country": "LEAST",
    "label": "LEAST",
    "price": "GREATEST",
    "created_at": "LEAST",
}


def _of_form(column: str, row: str) -> str:
    # Another process may have stored the row, and its form, since this statement began.
    return f"(event_form({row}.form_id)).{column}"


def _told(column: str, row: str) -> str:
    """What *row*, packed or not, tells in *column*."""
    if column in FORM_COLUMNS:
        return f"coalesce({row}.{column}, {_of_form(column, row)})"
    return f"{row}.{column}"


def _telling(row: str) -> str:
    return (
        f"({_told('provider_status', row)}, coalesce({_told('detailed_status', row)}, ''),"
        f" coalesce({_told('description', row)}, ''))"
    )


_TOLD_MORE: Final = f"{_telling('excluded')} > {_telling('e')}"
_MERGED_EVENT: Final = {
    column: f"{merge}({_told(column, 'e')}, {_told(column, 'excluded')})"
    for column, merge in _EVENT_MERGES.items()
}
#: A packed event that gets to tell something else is unpacked.
_PAYLOAD: Final = f"""CASE
            WHEN e.form_id IS NULL OR e.payload IS NULL THEN e.payload
            ELSE form_payload(
                {_of_form("skeleton", "e")},
                CASE
                    WHEN octet_length(e.message_key) = 16
                    THEN encode(e.message_key, 'hex')::uuid::text
                    ELSE convert_from(ltrim(e.message_key, '\\x00'::bytea), 'UTF8')
                END,
                e.recipient, e.occurred_at, e.created_at
            )
        END"""
_SET_EVENT: Final = ",\n        ".join(
    [
        f"{column} = CASE WHEN {_TOLD_MORE} THEN {_told(column, 'excluded')}"
        f" ELSE {_told(column, 'e')} END"
        for column in ("provider_status", "detailed_status", "description")
    ]
    + [f"{column} = {merge}" for column, merge in _MERGED_EVENT.items()]
    + ["form_id = NULL", f"payload = {_PAYLOAD}"]
)
_ORIGINAL: Final = "campaign_id", "recipient", "created_at"


def _qualified(columns: Iterable[str], row: str) -> str:
    return ", ".join(f"{row}.{column}" for column in columns)


def _resolved(columns: Sequence[str], *, in_form: Sequence[str] = ()) -> str:
    """
    The given columns. What is *in_form* is not given with an event that names its form; the
    campaign is filled in from the token's where the callback names none.
    """

    def _sources(column: str) -> Iterator[str]:
        yield f"given.{column}"
        if column in in_form:
            yield f"form.{column}"
        if column == "campaign_tracking_id":
            yield "scope.tracking_id"

    return ", ".join(f"coalesce({', '.join(_sources(column))}) AS {column}" for column in columns)


_IS_OF_ANOTHER: Final = (
    "coalesce(m.campaign_tracking_id <> i.campaign_tracking_id, m.campaign_id <> i.campaign_id)"
)

#: A time that the provider told; the sentinel of an unknown one is none.
_KNOWN_TIME: Final = f"nullif(occurred_at, '{UNKNOWN_TIME.isoformat()}')"


def _time_of(*statuses: Status) -> str:
    """When a message reached one of *statuses*, as far as one event of it knows."""
    keys = ", ".join(f"'{status}'" for status in sorted(statuses))
    return f"CASE WHEN status_key IN ({keys}) THEN {_KNOWN_TIME} END"


def _packed_as(column: str) -> str:
    return f"CASE WHEN form_id IS NULL THEN {column} END" if column in FORM_COLUMNS else column


#: What a column of a message is, for one event of it, where it is not the event's own.
_TOLD_BY_EVENT: Final = {
    "status_at": "occurred_at",
    "queued_at": _time_of(Status.QUEUED),
    "sent_at": _time_of(Status.SENT),
    "delivered_at": _time_of(Status.DELIVERED),
    "seen_at": _time_of(Status.SEEN),
    "failed_at": _time_of(*FAILURES),
    "first_occurred_at": _KNOWN_TIME,
    "last_occurred_at": _KNOWN_TIME,
}
_FOLDED: Final = {
    column: f"{_AGGREGATE_OF_MERGE[merge]}({_TOLD_BY_EVENT.get(column, column)})"
    for column, merge in MERGES.items()
} | {
    "campaign_id": "any_value(campaign_id)",  # one batch has each message from one origin only
    "plain_id": "any_value(plain_id)",
}
_SINGLE: Final = ", ".join(
    f"{_TOLD_BY_EVENT.get(column, column)} AS {column}" for column in (*STATUS_COLUMNS, *_FOLDED)
)
_STATUS_TOLD: Final = ", ".join(_TOLD_BY_EVENT.get(column, column) for column in STATUS_COLUMNS)
_STATUS_ORDER: Final = ", ".join(
    f"coalesce({column}, '') DESC"
    if column in {"detailed_status", "description"}
    else f"{_TOLD_BY_EVENT.get(column, column)} DESC"
    for column in STATUS_COLUMNS
)

#: Each message as its events tell it. They are folded here, which costs less than to send both.
_FOLDED_MESSAGES: Final = f"""
folded AS (
    SELECT message_key,
        (array_agg(ROW({_STATUS_TOLD})::message_standing ORDER BY {_STATUS_ORDER}))[1] AS standing,
        {", ".join(f"{merge} AS {column}" for column, merge in _FOLDED.items())}
    FROM told
    GROUP BY message_key
),
incoming AS (
    SELECT message_key, (standing).*, {", ".join(_FOLDED)} FROM folded
)"""
#: The same where each has one event; with two, the upsert would touch a row twice, and be refused.
_SINGLE_MESSAGES: Final = f"""
incoming AS (
    SELECT message_key, {_SINGLE} FROM told
)"""

# The events come as one array of rows: the driver looks at each element of an array to see whether
# it is an array itself, which as one array for each column took 40 µs an event instead of 12.
_APPEND: Final = f"""
WITH {_SCOPE.format(parameter="$2")},
-- A form may have gone since it was stored, or be about to go: then nothing is stored, and the
-- events come again unpacked.
usable AS (
    SELECT count(*) = cardinality($3::bigint[]) AS are_all FROM event_forms
    WHERE id = ANY($3) AND skeleton IS NOT NULL AND {END_OF_USE} > now()
),
-- What a packed event has in its form is not given with it. In this very snapshot it is there.
told AS (
    SELECT {_resolved(_GIVEN_COLUMNS, in_form=FORM_COLUMNS)}
    FROM unnest($1::callback_event[]) AS given
    LEFT JOIN event_forms AS form ON form.id = given.form_id
    LEFT JOIN scope ON scope.id = given.campaign_id
    WHERE (SELECT are_all FROM usable)
),
{{incoming}},
-- What came through a campaign's token, but is known to belong to another campaign: by the
-- trackingIds, or by the tokens as long as a trackingId has not been learnt.
strangers AS (
    SELECT i.message_key
    FROM incoming i JOIN messages m ON m.message_key = i.message_key
    WHERE i.campaign_id IS NOT NULL AND {_IS_OF_ANOTHER}
),
upserted AS (
    INSERT INTO messages AS m ({", ".join(MESSAGE_COLUMNS)})
    SELECT {_qualified(MESSAGE_COLUMNS, "i")}
    FROM incoming i
    WHERE i.message_key NOT IN (SELECT message_key FROM strangers)
    ORDER BY i.message_key
    ON CONFLICT (message_key) DO UPDATE SET
        {_SET_MESSAGE},
        updated_at = now()
    WHERE {_NEWER}
        OR ({_qualified(_MERGED, "m")}) IS DISTINCT FROM ({", ".join(_MERGED.values())})
    RETURNING old.campaign_tracking_id AS old_campaign, old.status AS old_status,
        new.campaign_tracking_id AS new_campaign, new.status AS new_status
),
deltas AS (
    INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
    SELECT campaign, status, sum(messages)
    FROM (
        SELECT old_campaign, old_status, -1 FROM upserted WHERE old_campaign IS NOT NULL
        UNION ALL
        SELECT new_campaign, new_status, 1 FROM upserted WHERE new_campaign IS NOT NULL
    ) AS transitions (campaign, status, messages)
    GROUP BY campaign, status
    HAVING sum(messages) <> 0
),
stored AS (
    INSERT INTO packed_events AS e ({", ".join(EVENT_COLUMNS)}, form_id)
    SELECT {", ".join(map(_packed_as, EVENT_COLUMNS))}, form_id
    FROM told
    -- Counting what was upserted makes sure that all message rows are locked before.
    WHERE (SELECT count(*) FROM upserted) >= 0
        AND message_key NOT IN (SELECT message_key FROM strangers)
    ON CONFLICT (message_key, status_key, occurred_at) DO UPDATE SET
        {_SET_EVENT}
    WHERE (
        e.form_id IS NULL OR e.form_id IS DISTINCT FROM excluded.form_id
        OR ({_qualified(_ORIGINAL, "e")}) IS DISTINCT FROM ({_qualified(_ORIGINAL, "excluded")})
    ) AND (
        {_TOLD_MORE}
        OR ({", ".join(_told(column, "e") for column in _MERGED_EVENT)})
            IS DISTINCT FROM ({", ".join(_MERGED_EVENT.values())})
    )
    RETURNING old.id IS NULL AS fresh
)
SELECT (SELECT count(*) FROM stored WHERE fresh) AS fresh,
    (SELECT array_agg(message_key) FROM strangers) AS strangers,
    (SELECT are_all FROM usable) AS were_usable
"""

#: For a batch in which a message has several events, and for one in which each has one: that
#: spares a twentieth of what the database does.
APPEND_EVENTS: Final = _APPEND.format(incoming=_FOLDED_MESSAGES)
APPEND_SINGLE_EVENTS: Final = _APPEND.format(incoming=_SINGLE_MESSAGES)

APPEND_INBOUND: Final = f"""
WITH {_SCOPE.format(parameter=f"${len(_INBOUND_COLUMNS) + 1}")},
incoming AS (
    SELECT {_resolved(_INBOUND_COLUMNS)}
    FROM {_unnest(_INBOUND_COLUMNS, first=1)}
    LEFT JOIN scope ON scope.id = given.campaign_id
),
strangers AS (
    SELECT i.identity
    FROM incoming i JOIN messages m ON m.message_key = message_key(i.reference_tracking_id)
    WHERE i.campaign_id IS NOT NULL AND {_IS_OF_ANOTHER}
),
stored AS (
    INSERT INTO inbound_messages ({", ".join(_INBOUND_COLUMNS)})
    SELECT {_qualified(_INBOUND_COLUMNS, "i")}
    FROM incoming i
    WHERE i.identity NOT IN (SELECT identity FROM strangers)
    ORDER BY i.identity
    ON CONFLICT (identity) DO NOTHING
    RETURNING id
)
SELECT (SELECT count(*) FROM stored) AS fresh,
    (SELECT array_agg(identity) FROM strangers) AS strangers
"""

APPEND_QUARANTINED: Final = """
INSERT INTO quarantine AS q (sha256, reason, body, path, campaign_id, times)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::uuid[], $6::bigint[])
    AS given(sha256, reason, body, path, campaign_id, times)
ORDER BY sha256
ON CONFLICT (sha256) DO UPDATE SET
    times = q.times + excluded.times,
    last_received_at = now()
"""


class Appended(NamedTuple):
    """What became of a batch."""

    #: How many were not known before; the others were absorbed as duplicates.
    fresh: int
    #: The places, in the sequence given, of what belongs to another campaign than its token's.
    #: Nothing of that was stored.
    strangers: frozenset[int]


async def append_events(
    connection: asyncpg.Connection,
    events: Sequence[DeliveryEvent],
    forms: Forms | None = None,
) -> Appended:
    """
    Make *events* and all that follows from them durable, in one transaction of one round trip.

    All events of one message came through the same token, or none through any. Those that are of
    one of *forms* are packed; a form that is new takes a round trip of its own.
    """
    distinct = _distinct(events)
    ids: Sequence[int | None] = [None] * len(distinct)
    if forms is not None:
        ids = await forms.ids_of(connection, distinct)
    row = await _append(connection, distinct, ids)
    if forms is not None and not row["were_usable"]:
        forms.forget_stored()
        row = await _append(connection, distinct, [None] * len(distinct))
    return _appended(row, lambda: [message_key(event.message_tracking_id) for event in events])


async def _append(
    connection: asyncpg.Connection, events: Sequence[DeliveryEvent], forms: Sequence[int | None]
) -> asyncpg.Record:
    messages = {event.message_tracking_id for event in events}
    statement = APPEND_SINGLE_EVENTS if len(messages) == len(events) else APPEND_EVENTS
    (row,) = await connection.fetch(
        statement, rows_of(events, forms), _unnamed(events), of_forms(forms)
    )
    return row


async def append_inbound(
    connection: asyncpg.Connection, messages: Sequence[InboundMessage]
) -> Appended:
    """Make replies durable; one that is known already is absorbed."""
    row = await connection.fetchrow(APPEND_INBOUND, *_columns(messages), _unnamed(messages))
    return _appended(row, lambda: [message.identity for message in messages])


async def append_quarantined(connection: asyncpg.Connection, bodies: Sequence[Quarantined]) -> None:
    """Set bodies aside; the same bytes again only count up."""
    times: dict[bytes, int] = {}
    for body in bodies:
        times[body.sha256] = times.get(body.sha256, 0) + 1
    distinct = list({body.sha256: body for body in reversed(bodies)}.values())
    columns = [list(column) for column in zip(*distinct, strict=True)]
    await connection.execute(
        APPEND_QUARANTINED, *columns, [times[body.sha256] for body in distinct]
    )


def _appended(row: asyncpg.Record | None, keys: Callable[[], Sequence[bytes]]) -> Appended:
    fresh, strangers, *_ = row or (0, None)
    if not strangers:
        return Appended(fresh, frozenset())
    return Appended(fresh, frozenset(at for at, key in enumerate(keys()) if key in strangers))


def _distinct(events: Sequence[DeliveryEvent]) -> list[DeliveryEvent]:
    """Each event once: one statement cannot upsert the same row twice."""
    distinct: dict[EventIdentity, DeliveryEvent] = {}
    for event in events:
        identity = event[:3]
        twin = distinct.get(identity)
        distinct[identity] = event if twin is None else merged_event(twin, event)
    return list(distinct.values())


def rows_of(events: Sequence[DeliveryEvent], forms: Sequence[int | None]) -> list[tuple[Any, ...]]:
    """
    *events* as rows of the type `callback_event`, packed where they have one of *forms*.

    What is in the form, the database knows: to encode it for each event took 5 of 9 µs.
    """
    return [
        _row(event) if form is None else _packed_row(event, form)
        for event, form in zip(events, forms, strict=True)
    ]


def _row(event: DeliveryEvent) -> tuple[Any, ...]:
    message = event.message_tracking_id
    key = message_key(message)
    payload = _stored(event.payload)
    return (key, *event[1:-3], *payload, event.payload_reserialised, plain_id(message, key), None)


def _packed_row(event: DeliveryEvent, form: int) -> tuple[Any, ...]:
    message, status_key, occurred_at, rank, *_ = event
    key = message_key(message)
    return (
        *(key, status_key, occurred_at, rank),
        *_UNTOLD[:4],
        *(event.campaign_id, event.recipient),
        *_UNTOLD[4:],
        *(event.created_at, event.source, b"", PLAIN, event.payload_reserialised),
        *(plain_id(message, key), form),
    )


def _stored(payload: bytes) -> tuple[bytes | None, int]:
    """A payload and its dictionary. An empty one, that of an erased recipient, is none."""
    stored, dictionary = compressed(payload)
    return stored or None, dictionary


def _columns(messages: Sequence[InboundMessage]) -> Iterable[tuple[Any, ...]]:
    rows = ((*one[:-3], *_stored(one.payload), one.payload_reserialised) for one in messages)
    return zip(*rows, strict=True)


def _unnamed(records: Iterable[DeliveryEvent | InboundMessage]) -> list[UUID]:
    return sorted(
        {
            record.campaign_id
            for record in records
            if record.campaign_id is not None and record.campaign_tracking_id is None
        }
    )
