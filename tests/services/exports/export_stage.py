"""Rows that are hard to export, and what PostgreSQL itself says they are."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from app.db.exports import ExportTable

T0 = datetime(2026, 7, 5, 10, 28, 44, 566001, tzinfo=UTC)
CAMPAIGN = "c-exported"
OWN_ID = UUID("01982f6e-5b1c-7c3a-9d35-0c9f6b1e2a47")
NUMBER = "+306900000123"

#: Each as a label, a description, a text of somebody's.
HARD_TEXTS = (
    "",
    " ",
    "plain",
    'say "hi", then\r\ngo\non',
    "Καλημέρα 👋 \u202e\u2028",
    "null",
    "NULL",
    "\\N",
    "'quoted'",
    "a\tb",
    "\x01\x7f",
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    NUMBER,
    None,
)

_MESSAGE_COLUMNS = (
    "message_tracking_id campaign_tracking_id recipient sender country label status status_key "
    "provider_status detailed_status description status_at status_rank price created_at updated_at "
    "first_occurred_at last_occurred_at delivered_at"
)
_EVENT_COLUMNS = (
    "message_tracking_id campaign_tracking_id recipient sender country label status_key "
    "provider_status detailed_status description occurred_at price created_at "
    "received_at source payload"
)
_REPLY_COLUMNS = (
    "identity sender recipient message media filename sent_at received_at campaign_tracking_id "
    "campaign_name reference_tracking_id label"
)


async def fill(connection: asyncpg.Connection) -> None:
    """Messages, events and replies with every hard text, over several days, and two campaigns."""
    for at, text in enumerate(HARD_TEXTS):
        await _add_message(connection, at, text)
        await _add_reply(connection, at, text)
    await _add_campaigns(connection)


async def _add_message(connection: asyncpg.Connection, at: int, text: str | None) -> None:
    when = T0 + timedelta(hours=7 * at)
    known = None if at % 3 == 0 else when
    price = (Decimal("0.0350"), Decimal(-12), Decimal("1E+15"), Decimal("1E-18"), None)[at % 5]
    name, campaign = f"m-{at}", CAMPAIGN if at % 2 == 0 else f"c-{at}"
    status = ("DELIVERED", "SOMETHING NEW")[at % 7 == 3]
    of_message = (
        *(name, campaign, NUMBER if at else None, "Acme", "GR", text),
        *("UNKNOWN" if at % 7 == 3 else status, status, "" if at % 4 == 1 else status),
        *(text, text, known or datetime(1970, 1, 1, tzinfo=UTC), 0 if at % 7 == 3 else 4, price),
        *(None, when, known, known, known),
    )
    await _insert(connection, "messages", _MESSAGE_COLUMNS, of_message)
    of_event = (
        *(name, None if at % 4 == 0 else campaign, NUMBER, "Acme", None, text, status, status),
        *(text, text, known or datetime(1970, 1, 1, tzinfo=UTC), price, when, when, at % 2),
        b"never exported",
    )
    await _insert(connection, "events", _EVENT_COLUMNS, of_event)


async def _add_reply(connection: asyncpg.Connection, at: int, text: str | None) -> None:
    when = T0 + timedelta(hours=5 * at)
    campaign, answered = (CAMPAIGN, None) if at % 3 == 0 else (None, f"m-{at}")
    values = (
        *(b"%d" % at, NUMBER, "Acme", text, text, text, None if at % 2 else when, when),
        *(campaign, text, answered, text),
    )
    await _insert(connection, "inbound_messages", _REPLY_COLUMNS, values)


async def _add_campaigns(connection: asyncpg.Connection) -> None:
    answer = {
        "type": "Viber",
        "to": [NUMBER, "+306900000124"],
        "body": {"text": "=1+1"},
        "ttl": 120,
        "callbackUrl": "https://receiver.example/callbacks/a-secret-token-of-32-characters/status",
    }
    columns = (
        "id tracking_id name submission submission_reason billing cost expected_messages answer "
        "warnings created_at updated_at"
    )
    launched = (
        *(OWN_ID, CAMPAIGN, "Spring", "launched", None, "promotional", Decimal("0.070"), 50),
        *(json.dumps(answer).encode(), '[{"field": "ttl", "code": "x", "message": "y"}]', T0, T0),
    )
    await _insert(connection, "campaigns", columns, launched)
    reason = f"Routee refused {NUMBER}"
    rejected = (
        *(UUID(int=7), None, None, "rejected", reason, None, None, None, None, "[]"),
        *(T0 + timedelta(days=2), T0 + timedelta(days=2)),
    )
    await _insert(connection, "campaigns", columns, rejected)
    await connection.execute(
        "INSERT INTO campaign_counts (campaign_tracking_id, status, messages) "
        "VALUES ($1, 'DELIVERED', 7), ($1, 'QUEUED', 3)",
        CAMPAIGN,
    )
    await connection.execute(
        "INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages) "
        "VALUES ($1, 'DELIVERED', 2), ($1, 'QUEUED', -2)",
        CAMPAIGN,
    )


async def _insert(
    connection: asyncpg.Connection, table: str, columns: str, values: Sequence[Any]
) -> None:
    parameters = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    names = ", ".join(columns.split())
    query = f"INSERT INTO {table} ({names}) VALUES ({parameters})"  # noqa: S608
    await connection.execute(query, *values)


_OF_MESSAGE = "(SELECT campaign_tracking_id FROM messages m WHERE m.message_tracking_id = {})"
_ANSWERED = "convert_from(t.answer, 'UTF8')::jsonb"
_COUNTS = (
    "(SELECT sum(messages) FROM (SELECT * FROM campaign_counts c UNION ALL "
    "SELECT campaign_tracking_id, status, messages FROM campaign_count_deltas) AS c "
    "WHERE c.campaign_tracking_id = t.tracking_id{})"
)
_DELIVERED = " AND status = 'DELIVERED'"
#: By table: its name in SQL, and for each column of the export what SQL has for it. Of campaigns
#: only some columns, the others are as Routee sent them.
STORED: dict[ExportTable, tuple[str, dict[str, str]]] = {
    ExportTable.MESSAGES: (
        "messages",
        {
            "trackingId": "t.message_tracking_id",
            "campaignTrackingId": "t.campaign_tracking_id",
            "to": "t.recipient",
            "from": "t.sender",
            "country": "t.country",
            "label": "t.label",
            "status": "t.status",
            "providerStatus": "CASE WHEN t.provider_status <> '' THEN t.provider_status END",
            "detailedStatus": "t.detailed_status",
            "description": "t.description",
            "statusAt": "CASE WHEN t.status_at <> '1970-01-01Z' THEN t.status_at END",
            "final": "t.status_rank >= 3",
            "overdue": "t.status_rank < 3 AND EXISTS (SELECT FROM campaigns AS c"
            " WHERE c.tracking_id = t.campaign_tracking_id AND c.finished_at IS NOT NULL)",
            "queuedAt": "t.queued_at",
            "sentAt": "t.sent_at",
            "deliveredAt": "t.delivered_at",
            "seenAt": "t.seen_at",
            "failedAt": "t.failed_at",
            "price": "t.price",
            "createdAt": "t.created_at",
            "updatedAt": "t.updated_at",
        },
    ),
    ExportTable.EVENTS: (
        "events",
        {
            "id": "t.id::text",
            "trackingId": "t.message_tracking_id",
            "campaignTrackingId": "CASE WHEN t.campaign_tracking_id IS NULL THEN "
            f"{_OF_MESSAGE.format('t.message_tracking_id')} ELSE t.campaign_tracking_id END",
            "status": "CASE t.status_key WHEN 'DELIVERED' THEN 'DELIVERED' ELSE 'UNKNOWN' END",
            "providerStatus": "t.provider_status",
            "detailedStatus": "t.detailed_status",
            "description": "t.description",
            "occurredAt": "CASE WHEN t.occurred_at <> '1970-01-01Z' THEN t.occurred_at END",
            "receivedAt": "t.received_at",
            "source": "CASE t.source WHEN 0 THEN 'callback' ELSE 'tracking' END",
            "to": "t.recipient",
            "from": "t.sender",
            "country": "t.country",
            "label": "t.label",
            "price": "t.price",
            "createdAt": "t.created_at",
        },
    ),
    ExportTable.INBOUND_MESSAGES: (
        "inbound_messages",
        {
            "id": "t.id::text",
            "from": "t.sender",
            "to": "t.recipient",
            "message": "t.message",
            "media": "t.media",
            "filename": "t.filename",
            "sentAt": "t.sent_at",
            "receivedAt": "t.received_at",
            "campaignTrackingId": "CASE WHEN t.campaign_tracking_id IS NULL THEN "
            f"{_OF_MESSAGE.format('t.reference_tracking_id')} ELSE t.campaign_tracking_id END",
            "campaignName": "t.campaign_name",
            "referenceTrackingId": "t.reference_tracking_id",
            "label": "t.label",
        },
    ),
    ExportTable.CAMPAIGNS: (
        "campaigns",
        {
            "id": "t.id::text",
            "trackingId": "t.tracking_id",
            "submission": "t.submission",
            "submissionReason": "t.submission_reason",
            "billing": "t.billing",
            "campaignName": "t.name",
            "cost": "t.cost",
            "type": f"{_ANSWERED}->>'type'",
            "to": f"({_ANSWERED}->'to')::text",
            "body": f"({_ANSWERED}->'body')::text",
            "ttl": f"({_ANSWERED}->'ttl')::text",
            "total": f"coalesce({_COUNTS.format('')}, 0)::bigint",
            "finalCount": f"coalesce({_COUNTS.format(_DELIVERED)}, 0)::bigint",
            "awaiting": f"t.expected_messages - coalesce({_COUNTS.format('')}, 0)::bigint",
            "warnings": "t.warnings::text",
            "recordedAt": "t.created_at",
            "updatedAt": "t.updated_at",
        },
    ),
}
_CANONICAL = """
CREATE FUNCTION pg_temp.said(text) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT coalesce(octet_length($1) || ':' || $1, '-') $$;
CREATE FUNCTION pg_temp.said(timestamptz) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT pg_temp.said(to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')) $$;
CREATE FUNCTION pg_temp.said(numeric) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT pg_temp.said(trim_scale($1)::text) $$;
CREATE FUNCTION pg_temp.said(bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT pg_temp.said($1::text) $$;
CREATE FUNCTION pg_temp.said(boolean) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT pg_temp.said($1::text) $$;
"""


async def stored_checksum(
    connection: asyncpg.Connection, table: ExportTable, condition: str = "true"
) -> tuple[int, str]:
    """How many rows PostgreSQL has, and a SHA-256 over all their cells that it makes itself."""
    await connection.execute("DISCARD TEMP;" + _CANONICAL)
    name, columns = STORED[table]
    line = " || ',' || ".join(f"pg_temp.said({cell})" for cell in columns.values())
    query = (
        f"SELECT count(*), encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' "  # noqa: S608
        f"ORDER BY line COLLATE \"C\"), ''), 'UTF8')), 'hex') "
        f"FROM (SELECT {line} AS line FROM {name} AS t WHERE {condition}) AS lines"
    )
    (row,) = await connection.fetch(query)
    return row[0], row[1]


def checksum(table: ExportTable, rows: Iterable[dict[str, object]]) -> tuple[int, str]:
    """The same of rows that were read out of an export."""
    columns = STORED[table][1]
    lines = sorted(",".join(_said(row[name]) for name in columns).encode() for row in rows)
    return len(lines), hashlib.sha256(b"\n".join(lines)).hexdigest()


def _said(cell: object) -> str:
    if cell is None:
        return "-"
    text = _text(cell)
    return f"{len(text.encode())}:{text}"


def _text(cell: object) -> str:
    match cell:
        case str():
            return cell
        case datetime():
            return f"{cell.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
        case Decimal():
            return format(cell.normalize(), "f")
        case bool() | int():
            return json.dumps(cell)
    return json.dumps(cell, ensure_ascii=False)


_INSTANTS = re.compile(r"\w+At")
_CELL = re.compile(r'("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)')


def read_ndjson(content: bytes) -> list[dict[str, Any]]:
    """The rows of an NDJSON."""
    return [_typed(json.loads(line)) for line in content.decode().split("\n")[:-1]]


def read_csv(content: bytes) -> list[dict[str, Any]]:
    """The rows of a CSV, by RFC 4180 and nothing else; what is not there at all is None."""
    text = content.decode()
    lines: list[list[str | None]] = [[]]
    at = 0
    while at < len(text):
        match = _CELL.match(text, at)
        assert match, text[at : at + 80]
        raw, end = match.groups()
        lines[-1].append(raw[1:-1].replace('""', '"') if raw[:1] == '"' else raw or None)
        at = match.end()
        if end != ",":
            lines.append([])
    assert lines.pop() == []
    names, *rows = lines
    assert [len(row) for row in rows] == [len(names)] * len(rows)
    _as_the_standard_library_has_it(text, lines)
    return [_typed(dict(zip(map(str, names), row, strict=True))) for row in rows]


def _as_the_standard_library_has_it(text: str, lines: list[list[str | None]]) -> None:
    known = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert known == [[cell or "" for cell in line] for line in lines]


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    for name, cell in row.items():
        if cell is None or (name == "createdAt" and "submission" in row):
            continue
        if _INSTANTS.fullmatch(name):
            assert cell.endswith("Z")
            row[name] = datetime.fromisoformat(cell)
        elif name in {"price", "cost"}:
            assert isinstance(cell, str)
            row[name] = Decimal(cell)
    return row
