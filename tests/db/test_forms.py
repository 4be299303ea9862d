"""What is packed is told as it came, and what others cannot share is not packed."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from app.db.forms import MIN_MESSAGES, Form, Forms
from app.db.ingest import EVENT_COLUMNS, FORM_COLUMNS, append_events, rows_of
from app.db.ingest_session import IngestSession
from app.db.payloads import opened
from app.domain.event import UNKNOWN_TIME, DeliveryEvent
from app.domain.likeness import MAX_PAYLOAD_BYTES, LikeEvent, likeness_of, shared_of
from app.domain.message import Message, project
from tests.db.feed_stage import START, event

FIELDS = [
    field for field in DeliveryEvent._fields if field not in ("payload", "payload_dictionary")
]
AT = START + timedelta(milliseconds=17)
CAMPAIGN = UUID(int=9)

Told = dict[tuple[str, str], tuple[object, ...]]


def _spelt(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _callback(
    message: str, status: str = "SENT", *, text: str = "Hello", number: str = "+306912345678"
) -> DeliveryEvent:
    """As Routee would tell it of a message of the campaign `c`."""
    document = {
        "trackingId": message,
        "campaignTrackingId": "c",
        "to": number,
        "status": {"name": status, "updatedDate": _spelt(AT)},
        "body": {"text": text},
        "createdAt": _spelt(START),
    }
    payload = json.dumps(document, ensure_ascii=False).encode()
    told = event(message, status, at=AT)
    return told._replace(recipient=number, price=Decimal("0.035"), payload=payload)


def _many(items: int, status: str = "SENT", *, text: str = "Hello") -> list[DeliveryEvent]:
    return [
        _callback(str(UUID(int=at)), status, text=text, number=f"+3069{at:08}")
        for at in range(1, items + 1)
    ]


def _eager() -> Forms:
    return Forms(min_messages=1)


async def _told(connection: asyncpg.Connection) -> Told:
    """What is stored of each event, its payload opened."""
    rows = await connection.fetch(
        f"SELECT {', '.join(FIELDS)}, payload, payload_dictionary FROM events"  # noqa: S608
    )
    return {
        (row["message_tracking_id"], row["status_key"]): (
            *(row[field] for field in FIELDS),
            row["payload"] and opened(row["payload"], row["payload_dictionary"]),
        )
        for row in rows
    }


def _as_given(events: Sequence[DeliveryEvent]) -> Told:
    return {
        (one.message_tracking_id, one.status_key): (
            *(getattr(one, field) for field in FIELDS),
            one.payload,
        )
        for one in events
    }


async def _packed(connection: asyncpg.Connection) -> int:
    return int(
        await connection.fetchval("SELECT count(*) FROM packed_events WHERE form_id IS NOT NULL")
    )


async def _form_count(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM event_forms"))


async def test_a_packed_event_is_told_as_it_came(connection: asyncpg.Connection) -> None:
    events = _many(MIN_MESSAGES + 20)
    await append_events(connection, events, Forms())
    assert await _told(connection) == _as_given(events)
    assert await _packed(connection) == 21
    assert await _form_count(connection) == 1
    bytes_of_payloads = "SELECT sum(octet_length(payload)) FROM packed_events WHERE form_id <> 0"
    assert await connection.fetchval(bytes_of_payloads) == 0


@pytest.mark.parametrize(
    "statuses", [["SENT"], ["SENT", "SEEN"]], ids=["each message once", "each message twice"]
)
async def test_a_message_knows_what_the_form_of_its_events_tells(
    connection: asyncpg.Connection, statuses: list[str]
) -> None:
    events = [
        one._replace(detailed_status="Delivered", description="all", label="spring")
        for status in statuses
        for one in _many(3, status)
    ]
    await append_events(connection, events, _eager())
    assert await _packed(connection) == len(events)
    rows = await connection.fetch(f"SELECT {', '.join(Message._fields)} FROM messages")  # noqa: S608
    assert {row["message_tracking_id"]: Message._make(row.values()) for row in rows} == {
        message: project([one for one in events if one.message_tracking_id == message])
        for message in {one.message_tracking_id for one in events}
    }


def test_what_a_form_tells_is_not_given_with_its_events() -> None:
    (told,) = _many(1)
    (whole,), (packed,) = rows_of([told], [None]), rows_of([told], [7])
    columns = (*EVENT_COLUMNS, "plain_id", "form_id")
    assert len(columns) == len(whole) == len(packed)
    assert Form._fields[2:] == FORM_COLUMNS
    for column, one, other in zip(columns, whole, packed, strict=True):
        if column in FORM_COLUMNS:
            assert other is None, column
        elif column not in {"payload", "payload_dictionary", "form_id"}:
            assert other == one, column
    assert (whole[-1], packed[-1]) == (None, 7)


async def test_what_comes_without_forms_is_not_packed(connection: asyncpg.Connection) -> None:
    events = _many(30)
    await append_events(connection, events)
    assert await _told(connection) == _as_given(events)
    assert await _packed(connection) == 0


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(
            [_callback(f"m{at}", text=f"Dear number {at}") for at in range(50)],
            id="each has a text of its own",
        ),
        pytest.param(
            [_callback("m", text="Dear Maria")] * 50, id="one message, told again and again"
        ),
        pytest.param(
            [_callback("m", f"STATUS {at}") for at in range(50)], id="one message, many statuses"
        ),
        pytest.param([_callback(f"m{at}") for at in range(50)], id="all are to one recipient"),
        pytest.param(
            [one._replace(campaign_tracking_id=None) for one in _many(50)],
            id="they name no campaign",
        ),
        pytest.param([one._replace(payload=b"") for one in _many(50)], id="they have no payload"),
        pytest.param(
            _many(50, text="x" * MAX_PAYLOAD_BYTES), id="they are too large to be remembered"
        ),
        pytest.param(_many(50, text="\ufdd2"), id="a mark stands in them already"),
        pytest.param(
            [one._replace(payload=b"\xff" + one.payload) for one in _many(50)],
            id="they are no UTF-8",
        ),
        pytest.param(
            [one._replace(payload=b"\0" + one.payload) for one in _many(50)],
            id="they have a NUL",
        ),
    ],
)
async def test_what_others_cannot_share_is_not_packed(
    connection: asyncpg.Connection, events: list[DeliveryEvent]
) -> None:
    forms = Forms()
    for one in events:
        await append_events(connection, [one], forms)
    assert await _packed(connection) == await _form_count(connection) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"recipient": None},
        {"recipient": ""},
        {"recipient": "+"},
        {"recipient": "3"},
        {"recipient": "++306900000001"},
        {"recipient": "2026-03-01"},
        {"recipient": "trackingId"},
        {"occurred_at": UNKNOWN_TIME},
        {"occurred_at": AT.replace(microsecond=17_001)},
        {"occurred_at": AT.astimezone(timezone(timedelta(hours=2)))},
        {"created_at": None},
        {"created_at": AT},
        {"created_at": datetime(2, 1, 1, tzinfo=UTC)},
        {"campaign_id": CAMPAIGN},
        {"payload_reserialised": True},
        {"price": None, "label": "spring", "detailed_status": "", "description": "Ω"},
        {"payload": b'{"trackingId":"\xef\xbb\xbf"}'},
        {"payload": b"2010-01-01T00:00:00.000Z " * 3},
    ],
    ids=str,
)
async def test_whatever_an_event_tells_it_comes_back_exactly(
    connection: asyncpg.Connection, change: dict[str, object]
) -> None:
    messages = ("0a047b46-a4dd-4ca8-b817-a6a134dd1234", "m", "m" * 15, '"', "0", "é")
    events = [
        _callback(message)._replace(**change)  # type: ignore[arg-type]
        for message in messages
    ]
    for one in events:
        await append_events(connection, [one], _eager())
    assert await _told(connection) == _as_given(events)


async def test_a_number_without_its_sign_is_taken_out_too(connection: asyncpg.Connection) -> None:
    events = [
        one._replace(payload=one.payload.replace(b'"+30', b'"30')) for one in _many(MIN_MESSAGES)
    ]
    await append_events(connection, events, Forms())
    assert await _told(connection) == _as_given(events)
    assert await _packed(connection) == 1


async def test_the_same_again_changes_nothing(connection: asyncpg.Connection) -> None:
    events = _many(3)
    assert (await append_events(connection, events, _eager())).fresh == 3
    before = await connection.fetch("SELECT ctid, * FROM packed_events ORDER BY id")
    assert (await append_events(connection, events, _eager())).fresh == 0
    assert (await append_events(connection, events)).fresh == 0
    assert await connection.fetch("SELECT ctid, * FROM packed_events ORDER BY id") == before


TWINS = [
    {"description": "Somebody knew more"},
    {"detailed_status": "Delivered", "provider_status": "sent"},
    {"recipient": "+1"},
    {"created_at": START - timedelta(days=1)},
    {"campaign_tracking_id": "a"},
    {"campaign_id": CAMPAIGN},
    {"sender": "A", "country": "AA", "label": "A"},
    {"price": Decimal("0.036")},
]


@pytest.mark.parametrize("twin", TWINS, ids=str)
@pytest.mark.parametrize("packing", ["first", "second", "both"])
async def test_an_event_that_is_told_otherwise_is_unpacked(
    connection: asyncpg.Connection, twin: dict[str, object], packing: str
) -> None:
    first = _callback("m")
    second = first._replace(payload=b'{"told":"again"}', **twin)  # type: ignore[arg-type]
    await append_events(connection, [first], _eager() if packing != "second" else None)
    await append_events(connection, [second], _eager() if packing != "first" else None)
    merged = first._replace(**twin)  # type: ignore[arg-type]
    assert await _told(connection) == _as_given([merged])
    assert await _packed(connection) == 0


@pytest.mark.parametrize("packing", [False, True])
async def test_what_an_event_knew_is_not_lost_when_less_is_told(
    connection: asyncpg.Connection, *, packing: bool
) -> None:
    first = _callback("m")._replace(description="all", label="spring")
    less = first._replace(
        description=None, label=None, sender=None, country=None, price=None, payload=b"{}"
    )
    await append_events(connection, [first], _eager())
    await append_events(connection, [less], _eager() if packing else None)
    assert await _told(connection) == _as_given([first])


async def test_unpacking_keeps_that_a_payload_was_removed(connection: asyncpg.Connection) -> None:
    first = _callback("m")
    await append_events(connection, [first], _eager())
    await connection.execute("UPDATE packed_events SET payload = NULL")
    await append_events(connection, [first._replace(label="spring")])
    (told,) = (await _told(connection)).values()
    assert told[-1] is None


async def test_analysts_count_an_unpacked_event_as_it_is_told_now(
    connection: asyncpg.Connection,
) -> None:
    first = _callback("m")
    await append_events(connection, [first], _eager())
    await append_events(connection, [first._replace(price=Decimal(1))], _eager())
    await append_events(connection, [first._replace(country="DE")], _eager())
    rows = await connection.fetch(
        "SELECT country, sum(events) FROM bi_event_corrections GROUP BY country ORDER BY country"
    )
    assert [tuple(row) for row in rows] == [("DE", 1), ("GR", -1)]


async def test_a_form_is_stored_again_where_it_is_not_known(
    connection: asyncpg.Connection,
) -> None:
    forms = _eager()
    await append_events(connection, _many(1), forms)
    await connection.execute("DELETE FROM packed_events")
    await connection.execute("DELETE FROM event_forms")
    events = _many(2)
    await append_events(connection, events, forms)
    assert await _told(connection) == _as_given(events)
    assert await _packed(connection) == 0
    more = [_callback("other"), _callback("another")]
    await append_events(connection, more, forms)
    assert await _told(connection) == _as_given(events + more)
    assert await _packed(connection) == 2


async def test_a_form_without_its_skeleton_is_not_used(connection: asyncpg.Connection) -> None:
    forms = _eager()
    await append_events(connection, _many(1), forms)
    await connection.execute("UPDATE event_forms SET skeleton = NULL")
    events = [_callback("other"), _callback("another")]
    await append_events(connection, events[:1], forms)
    await append_events(connection, events[1:], forms)
    told = await _told(connection)
    assert {key: told[key] for key in _as_given(events)} == _as_given(events)
    assert await _packed(connection) == 1


async def test_forms_of_the_same_hash_are_told_apart(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Form, "id", property(lambda _: 7))
    events = [_callback("m", "SENT"), _callback("m", "DELIVERED")]
    forms = _eager()
    for one in events:
        await append_events(connection, [one], forms)
    assert await _told(connection) == _as_given(events)
    assert await _packed(connection) == 1


async def test_another_connection_asks_before_it_names_a_form(
    connection: asyncpg.Connection, url: str
) -> None:
    session = IngestSession(url, statement_timeout_seconds=20)
    events = _many(MIN_MESSAGES + 4)
    for first, beyond in ((0, MIN_MESSAGES + 2), (MIN_MESSAGES + 2, len(events))):
        async with session.connected() as ingest:
            await ingest.append_events(events[first:beyond])
        await session.close()
    assert await _told(connection) == _as_given(events)
    assert await _packed(connection) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"description": "Another"},
        {"sender": "Another"},
        {"price": Decimal("0.036")},
        {"payload": b"x"},
        {"message_tracking_id": "é"},
        {"recipient": "٣"},
        {"recipient": None},
        {"created_at": None},
        {"occurred_at": AT.astimezone(timezone(timedelta(hours=2)))},
        {"occurred_at": AT + timedelta(microseconds=1)},
    ],
    ids=str,
)
async def test_what_resembles_the_event_before_is_told_as_it_came_too(
    connection: asyncpg.Connection, change: dict[str, object]
) -> None:
    forms = _eager()
    first, like, other = _many(3)
    told = other._replace(**change)  # type: ignore[arg-type]
    if "payload" in change:
        told = told._replace(payload=first.payload[:-1] + b" ")
    events = [first, like, told]
    for one in events:
        await append_events(connection, [one], forms)
    assert await _told(connection) == _as_given(events)


async def test_what_is_known_to_be_alike_is_packed_without_looking(
    connection: asyncpg.Connection,
) -> None:
    def _alike(events: Sequence[DeliveryEvent]) -> list[DeliveryEvent]:
        found = [LikeEvent._make(one) for one in events]
        for one in found:
            one.likeness = likeness
        return [*found]

    events = _many(MIN_MESSAGES + 4)
    likeness = likeness_of(events[0])
    forms = Forms()
    await append_events(connection, _alike(events[:-2]), forms)
    await append_events(connection, _alike(events[-2:]), forms)
    assert await _told(connection) == _as_given(events)
    assert await _packed(connection) == 5


async def test_many_forms_are_stored_at_once(connection: asyncpg.Connection) -> None:
    events = [
        _callback(f"m{at}", text=f"Text {at % 40}", number=f"+3069{at:08}") for at in range(400)
    ]
    await append_events(connection, events, Forms())
    assert await _told(connection) == _as_given(events)
    assert await _form_count(connection) == 40


def test_each_month_has_forms_of_its_own() -> None:
    told = _callback("m")
    march, april = (Form(date(2026, month, 1), told.payload, *shared_of(told)) for month in (3, 4))
    assert march.id != april.id
    assert -(2**63) <= march.id < 2**63
