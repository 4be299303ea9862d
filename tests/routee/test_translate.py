import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.campaign_progress import CampaignProgress
from app.domain.event import UNKNOWN_TIME, DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.quarantine import Reason
from app.routee.lenient import MAX_LEGS, PIECE_ELEMENTS, Record
from app.routee.translate import translate, translate_in_pieces

PAYLOADS = Path(__file__).parents[1] / "payloads"
PROGRESS = (PAYLOADS / "progress.json").read_bytes()
INBOUND = (PAYLOADS / "inbound.json").read_bytes()
CAMPAIGN = (PAYLOADS / "campaign_progress.json").read_bytes()
FAILOVER = (PAYLOADS / "failover.json").read_bytes()


def _event(payload: dict[str, Any]) -> DeliveryEvent:
    record = _only(json.dumps(payload).encode())
    assert isinstance(record, DeliveryEvent)
    return record


def _inbound(payload: dict[str, Any]) -> InboundMessage:
    record = _only(json.dumps(payload).encode())
    assert isinstance(record, InboundMessage)
    return record


def _progress(payload: dict[str, Any]) -> CampaignProgress:
    record = _only(json.dumps(payload).encode())
    assert isinstance(record, CampaignProgress)
    return record


def _only(body: bytes) -> Record:
    translation = translate(body)
    assert translation.reason is None
    [record] = translation.records
    return record


def test_the_documented_progress_callback_is_read_whole() -> None:
    event = _only(PROGRESS)
    assert isinstance(event, DeliveryEvent)
    assert event.message_tracking_id == "0a047b46-a4dd-4ca8-b817-a6a134dd1234"
    assert event.campaign_tracking_id == "ef03cac2-c03c-4554-b1ce-aabdc1dfc186"
    assert (event.status_key, event.provider_status) == ("DELIVERED", "DELIVERED")
    assert event.detailed_status == "Delivered"
    assert event.description == "The message was delivered to its recipient."
    assert event.occurred_at == datetime(2019, 7, 5, 10, 28, 44, 996_000, tzinfo=UTC)
    assert event.created_at == datetime(2019, 7, 5, 10, 28, 44, 566_000, tzinfo=UTC)
    assert (event.recipient, event.sender) == ("+306912345678", "Routeetest")
    assert (event.country, event.label, event.price) == ("GR", "labelName", Decimal("0.035"))
    assert event.payload == PROGRESS
    assert not event.payload_reserialised


def test_the_documented_inbound_message_is_read_whole() -> None:
    message = _only(INBOUND)
    assert isinstance(message, InboundMessage)
    assert (message.sender, message.recipient) == ("+306900000000", "your_sender_id")
    assert message.message == "This is the body of the inbound message"
    assert (message.media, message.filename) == ("https//fileurlxx.xx", "Viber file")
    assert message.sent_at == datetime(2017, 8, 11, 12, 36, 45, 393_000, tzinfo=UTC)
    assert message.reference_tracking_id == "dcfa62e1-13af-459a-a6ca-f15727a0b830"
    assert message.campaign_tracking_id == "62d4a3cc-6f32-4ba2-b99a-b661fb27fdd5"
    assert message.campaign_name == "NameOfCampaign"
    assert message.label == "Label of the campaign"


@pytest.mark.parametrize(
    "status",
    [{"name": "Seen"}, {"status": "Seen"}, "Seen"],
    ids=["status.name", "status.status", "status"],
)
def test_a_status_is_read_in_every_spelling_and_case(status: object) -> None:
    event = _event({"trackingId": "m", "status": status})
    assert (event.status_key, event.provider_status, event.status_rank) == ("SEEN", "Seen", 5)


BLANKS = [" ", "\t", "\r\n", "\u00a0", "\u200b", "\ufeff", "\u202e", "\u2069", "\u3000", "\u00ad"]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("template", ["{}x", "x{}", "{0}x{0}"])
def test_words_lose_blanks_of_every_kind_before_they_are_looked_up_and_stored(
    template: str, blank: str
) -> None:
    reason = {"detailedStatus": "Opted Out", "description": "The user left."}
    status = {"name": "Seen", "reason": reason}
    clean = _event({"trackingId": "m", "status": status})
    spelt = {
        name: template.replace("x", word).format(blank)
        for name, word in {"name": "Seen", **reason}.items()
    }
    event = _event({"trackingId": "m", "status": {"name": spelt.pop("name"), "reason": spelt}})
    assert (
        event[1:2] + event[4:7]
        == clean[1:2] + clean[4:7]
        == (
            "SEEN",
            "Seen",
            "Opted Out",
            "The user left.",
        )
    )
    plain = _event({"trackingId": "m", "status": {"name": "Seen", "reason": blank + "Why "}})
    assert plain.detailed_status == "Why"


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_word_is_none(blank: str) -> None:
    event = _event(
        {"trackingId": "m", "status": {"name": blank, "reason": {"detailedStatus": blank}}}
    )
    assert (event.status_key, event.provider_status, event.detailed_status) == ("", "", None)


def test_a_word_is_trimmed_before_it_is_cut() -> None:
    word = " " * 100 + "w" * 64 + " "
    event = _event({"trackingId": "m", "status": word, "updatedDate": "2026-03-04T05:06:07Z"})
    assert (event.provider_status, event.status_key) == ("w" * 64, "W" * 64)
    assert event.digest == b""


@pytest.mark.parametrize("blank", ["", *BLANKS])
def test_ids_are_trimmed_and_a_uuid_is_the_same_in_capitals(blank: str) -> None:
    documented = json.loads(PROGRESS)
    ids = [documented["trackingId"], documented["campaignTrackingId"]]
    spelt = [f"{blank}{one.upper()}{blank}" for one in ids]
    event = _event({**documented, "trackingId": spelt[0], "campaignTrackingId": spelt[1]})
    assert [event.message_tracking_id, event.campaign_tracking_id] == ids
    reply = {**json.loads(INBOUND), "referenceTrackingId": spelt[0], "campaignTrackingId": spelt[1]}
    message = _inbound(reply)
    assert [message.reference_tracking_id, message.campaign_tracking_id] == ids
    own = {"direction": "Inbound", "messageId": spelt[0]}
    assert _inbound(own).identity == _inbound({**own, "messageId": ids[0]}).identity


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_id_is_none(blank: str) -> None:
    assert (
        _event({"trackingId": blank, "messageId": "m", "status": "SEEN"}).message_tracking_id == "m"
    )
    assert _event({"trackingId": "m", "status": "", "campaignTrackingId": blank})[7] is None
    body = json.dumps({"trackingId": blank, "status": "SEEN"}).encode()
    assert translate(body).reason is Reason.NO_MESSAGE_ID


AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "payload",
    [
        {"status": {"name": "SEEN", "updatedDate": "2026-03-04T05:06:07Z"}},
        {"status": {"name": "SEEN", "date": "2026-03-04T07:06:07+02:00"}},
        {"status": "SEEN", "updatedDate": "2026-03-04T05:06:07.000000000Z"},
        {"status": {"name": "SEEN", "updatedDate": 1772600767000}},
        {"status": {"name": "SEEN", "updatedDate": "1772600767000"}},
        {"status": {"name": "SEEN", "updatedDate": "2026-03-04T05:06:07"}},
        {"status": {"name": "SEEN", "updatedDate": "2026-03-04T05:06:07+0000"}},
        {"status": {"name": "SEEN", "updatedDate": "2026-03-04 07:06:07 02:00"}},
        {"status": {"name": "SEEN", "updatedDate": "\u00a020260304T050607z"}},
        {"status": {"name": "SEEN", "updatedDate": "2026-03-04T07:06:07+02:00[Europe/Athens]"}},
        {"status": {"name": "SEEN", "updatedDate": "Wed, 04 Mar 2026 05:06:07 GMT"}},
        {"status": {"name": "SEEN", "updatedDate": 1772600767}},
        {"status": {"name": "SEEN", "updatedDate": "1772600767"}},
        {"status": {"name": "SEEN", "updatedDate": " 1772600767.000 "}},
        {"status": {"name": "SEEN", "updatedDate": 1772600767000000}},
        {"status": {"name": "SEEN", "updatedDate": "1772600767000000"}},
        {"status": {"name": "SEEN", "updatedDate": 1772600767000000000}},
        {"status": {"name": "SEEN", "updatedDate": 1.772600767e12}},
        {"status": {"name": "SEEN", "updatedDate": "1.772600767E12"}},
        {"status": {"name": "QUEUED"}, "createdAt": "2026-03-04T05:06:07Z"},
        {"status": {"name": "SEEN", "updatedDate": "soon"}, "updatedDate": "2026-03-04T05:06:07Z"},
    ],
)
def test_the_time_of_a_status_is_read_in_every_spelling(payload: dict[str, Any]) -> None:
    assert _event({"trackingId": "m", **payload}).occurred_at == AT


@pytest.mark.parametrize(
    ("time", "microsecond"),
    [
        ("1772600767.25", 250_000),
        ("1772600767,25", 250_000),
        ("1772600767250", 250_000),
        ("1772600767250.5", 250_500),
        ("1772600767250500.999", 250_500),
        ("1772600767250500999", 250_500),
        ("2026-03-04T05:06:07.25Z", 250_000),
        ("2026-03-04T05:06:07.250500999Z", 250_500),
    ],
)
def test_a_fraction_counts_up_to_its_microseconds(time: str, microsecond: int) -> None:
    event = _event({"trackingId": "m", "status": {"name": "SEEN", "updatedDate": time}})
    assert event.occurred_at == AT.replace(microsecond=microsecond)
    if time.replace(".", "").isdecimal():
        body = b'{"trackingId":"m","status":{"name":"SEEN","updatedDate":%b}}' % time.encode()
        assert _only(body)[2] == event.occurred_at


@pytest.mark.parametrize("number", [2010, 2099])
def test_a_time_is_known_from_2010_to_2099(number: int) -> None:
    for written in (f"{number}-01-01T00:00:00Z", f"{number}-12-31T23:59:59.999Z"):
        event = _event({"trackingId": "m", "status": "SEEN", "updatedDate": written})
        assert event.occurred_at.year == number
        assert event.digest == b""


@pytest.mark.parametrize(
    "time",
    [
        None,
        "",
        "yesterday",
        "2026-03-04T05:06:07.250000999GMZ",
        "2026-03-04T05:06:07.250000xZ",
        "2026-03-04T05:06:07.250xZ",
        "2026-03-04T05:06:07ZZ",
        "2026-03-04T05:06:07.2+00.00",
        "05/07/2026",
        "05/07/2026 10:00",
        "2009-12-31T23:59:59.999Z",
        "2100-01-01T00:00:00Z",
        1262303999,
        1262303999999,
        4102444800,
        "4102444800000",
        177260076,
        17726007670,
        177260076700000,
        "2026-03-04T05:06:07[Mars/Phobos]",
        "0000-00-00T00:00:00Z",
        "1999-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z",
        -1,
        10**400,
        1e300,
        True,
        [],
        {"at": 1},
        "9" * 5000,
    ],
)
def test_a_missing_or_absurd_time_is_the_sentinel_and_never_our_clock(time: object) -> None:
    event = _event({"trackingId": "m", "status": {"name": "SEEN", "updatedDate": time}})
    assert event.occurred_at == UNKNOWN_TIME


def test_only_queued_falls_back_to_the_time_of_creation() -> None:
    payload = {"trackingId": "m", "status": "DELIVERED", "createdAt": "2026-03-04T05:06:07Z"}
    assert _event(payload).occurred_at == UNKNOWN_TIME


@pytest.mark.parametrize(
    ("price", "read"),
    [
        ("0.0350", "0.035"),
        ('"0.035"', "0.035"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("0", "0"),
        ("-0.0", "0"),
        ("3.5e-2", "0.035"),
        ("null", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e400", None),
        ("1e400000000", None),
        ("9" * 400, None),
        ("9" * 5000, None),
        ("true", None),
        ('"cheap"', None),
        ("[]", None),
    ],
)
def test_a_price_is_exact_or_nothing(price: str, read: str | None) -> None:
    event = _only(f'{{"trackingId":"m","status":"SEEN","price":{price}}}'.encode())
    assert isinstance(event, DeliveryEvent)
    assert event.price == (None if read is None else Decimal(read))
    assert str(event.price) == str(None if read is None else Decimal(read))


@pytest.mark.parametrize("number", ["+306912345678", "306912345678", 306912345678])
def test_a_number_is_the_same_with_and_without_plus(number: object) -> None:
    assert _event({"trackingId": "m", "status": "SEEN", "to": number}).recipient == "+306912345678"


@pytest.mark.parametrize(
    "number",
    [
        '"00306912345678"',
        '" 306912345678"',
        '"+30 691-234.5678"',
        '"\\u202a+30\\u00a06912345678\\u202c"',
        '"\\u0663\\u0660\\u0666\\u0669\\u0661\\u0662\\u0663\\u0664\\u0665\\u0666\\u0667\\u0668"',
        '"tel:+306912345678"',
        '["+306912345678"]',
        "[306912345678]",
        "306912345678.0",
        "306912345678.000",
        "3.06912345678E+11",
        '"3.06912345678E+11"',
        '"+30' + " " * 40 + '6912345678"',
    ],
)
def test_a_number_is_the_same_in_every_spelling(number: str) -> None:
    event = _only(f'{{"trackingId":"m","status":"SEEN","to":{number}}}'.encode())
    assert isinstance(event, DeliveryEvent)
    assert event.recipient == "+306912345678"
    reply = _only(f'{{"direction":"Inbound","from":{number}}}'.encode())
    assert isinstance(reply, InboundMessage)
    assert reply.sender == "+306912345678"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ('" Routee\\u00a0"', "Routee"),
        ('"\\u200e \\u00a0"', None),
        ("3069123.45678", "3069123.45678"),
        ("-306912345678", "-306912345678"),
        ("1E+400", "1E+400"),
        ("NaN", "NaN"),
        ('["+306912345678", "+306912345679"]', None),
        ("[]", None),
        ("[[306912345678]]", None),
        ('{"number": 306912345678}', None),
        ('"12345"', "12345"),
    ],
)
def test_what_is_no_number_stays_a_trimmed_text(value: str, read: str | None) -> None:
    event = _only(f'{{"trackingId":"m","status":"SEEN","to":{value}}}'.encode())
    assert isinstance(event, DeliveryEvent)
    assert event.recipient == read


def test_columns_cut_long_texts_and_replace_unstorable_characters_and_the_payload_keeps_both() -> (
    None
):
    body = json.dumps(
        {"trackingId": "m", "label": "l\0\ud800" * 200, "status": "s" * 100, "to": "9" * 100}
    ).encode()
    event = _only(body)
    assert isinstance(event, DeliveryEvent)
    assert event.label is not None
    assert len(event.label) == 350
    assert event.label.startswith("l\ufffd\ufffdl")
    assert (len(event.provider_status), len(event.status_key)) == (64, 64)
    assert event.recipient == "9" * 32
    assert event.payload == body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"hello", Reason.NOT_JSON),
        (b'{"trackingId":"m"', Reason.NOT_JSON),
        (b"[" * 3000 + b"]" * 3000, Reason.NOT_JSON),
        (b'{"trackingId":"\xff"', Reason.NOT_UTF8),
        (b'{"trackingId":"\xff"}', Reason.UNUSABLE_ID),
        ('{"trackingId":1'.encode("utf-16"), Reason.NOT_JSON),
        (b"42", Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
        (b"[]", Reason.NOT_AN_OBJECT),
        (b"{}", Reason.NO_MESSAGE_ID),
        (b'{"trackingId":""}', Reason.NO_MESSAGE_ID),
        (b'{"trackingId":null,"status":"SEEN"}', Reason.NO_MESSAGE_ID),
        (b'{"trackingId":true}', Reason.NO_MESSAGE_ID),
        (b'{"trackingId":{"id":"m"}}', Reason.NO_MESSAGE_ID),
        (b'{"trackingId":"a\\u0000b"}', Reason.UNUSABLE_ID),
        (b'{"trackingId":"\\ud800"}', Reason.UNUSABLE_ID),
        (b'{"trackingId":"' + b"x" * 513 + b'"}', Reason.UNUSABLE_ID),
        (b'{"trackingId":"m","campaignTrackingId":"' + b"x" * 513 + b'"}', Reason.UNUSABLE_ID),
    ],
)
def test_an_unreadable_body_has_a_reason(body: bytes, reason: Reason) -> None:
    translation = translate(body)
    assert translation.records == ()
    assert translation.reason is reason


def test_an_id_of_512_bytes_and_a_whole_number_are_ids() -> None:
    seen = {"status": "SEEN"}
    assert _event({"trackingId": "é" * 256, **seen}).message_tracking_id == "é" * 256
    assert _event({"messageId": 17, **seen}).message_tracking_id == "17"


def test_a_byte_order_mark_does_not_matter() -> None:
    assert _only(b"\xef\xbb\xbf" + PROGRESS)[:14] == _only(PROGRESS)[:14]


@pytest.mark.parametrize("status", ["", " ", False, 0, [], {}, {"name": None}, [{"name": "SEEN"}]])
def test_a_status_of_any_type_without_a_word_is_progress_of_unknown_status(status: object) -> None:
    event = _event({"trackingId": "m", "status": status})
    assert event.status_rank == 0


@pytest.mark.parametrize("rest", [{}, {"to": "+306912345678", "price": 1}, {"messages": []}])
@pytest.mark.parametrize("known_id", [{"trackingId": "m"}, {"messageId": 1}])
@pytest.mark.parametrize("status", [{}, {"status": None}])
def test_an_id_alone_is_no_message(
    known_id: dict[str, Any], status: dict[str, Any], rest: dict[str, Any]
) -> None:
    body = json.dumps({**known_id, **status, **rest}).encode()
    assert translate(body) == ((), Reason.NO_STATUS, frozenset())


def test_the_documented_progress_of_a_campaign_is_read_whole() -> None:
    progress = _only(CAMPAIGN)
    assert isinstance(progress, CampaignProgress)
    assert progress.campaign_tracking_id == "ef03cac2-c03c-4554-b1ce-aabdc1dfc186"
    assert (progress.status, progress.name) == ("Running", "Spring sale")
    assert (progress.total_recipients, progress.reported_at) == (3, None)
    counts = json.loads(progress.message_statuses)
    assert counts == {"Queued": 1, "Delivered": 2}
    assert (progress.payload, progress.payload_reserialised) == (CAMPAIGN, False)


@pytest.mark.parametrize(
    ("payload", "status", "counts"),
    [
        ({"campaignStatus": "Finished"}, "Finished", {}),
        ({"messageStatuses": {"Queued": 1}}, None, {"Queued": 1}),
        ({"messageStatuses": {}, "status": None}, None, {}),
        ({"messageStatuses": [1], "campaignStatus": 7}, "7", {}),
        ({"campaignStatus": {"x": 1}}, None, {}),
        (
            {"messageStatuses": {"Sent": "2", "x": -1, "y": 1.5, "z": None, "": 3, "w": 10**30}},
            None,
            {"Sent": 2},
        ),
        ({"messageStatuses": {"a\0\ud800": True, "b\0": 2.0}}, None, {"b\ufffd": 2}),
        ({"campaignStatus": "Sending", "direction": "Inbound"}, "Sending", {}),
        ({"campaignStatus": "Sending", "sentDate": "2026-03-04T05:06:07Z"}, "Sending", {}),
    ],
)
def test_progress_of_a_campaign_is_recognised_by_its_fields(
    payload: dict[str, Any], status: str | None, counts: dict[str, int]
) -> None:
    progress = _progress({"trackingId": "c", **payload})
    assert (progress.campaign_tracking_id, progress.status) == ("c", status)
    assert json.loads(progress.message_statuses) == counts


def test_a_status_makes_it_progress_of_a_message_whatever_it_says_of_a_campaign() -> None:
    event = _event({"trackingId": "m", "status": "SEEN", "campaignStatus": "Running"})
    assert event.message_tracking_id == "m"


@pytest.mark.parametrize("total", [None, "many", -1, 1.5, 2**63, [], True])
def test_a_total_that_is_no_number_of_recipients_is_unknown(total: object) -> None:
    payload = {"trackingId": "c", "campaignStatus": "Running", "totalRecipients": total}
    assert _progress(payload).total_recipients is None


def test_the_time_of_a_campaigns_progress_is_its_own_or_none() -> None:
    payload = {"trackingId": "c", "campaignStatus": "Running", "createdAt": "2026-03-04T05:06:07Z"}
    assert _progress(payload).reported_at is None
    assert _progress({**payload, "updatedDate": "2026-03-04T05:06:07Z"}).reported_at == AT


def test_the_same_progress_alone_and_in_an_array_is_one_and_another_is_not() -> None:
    payload = {"trackingId": "c", "campaignStatus": "Running", "messageStatuses": {"Queued": 1}}
    alone = _progress(payload)
    [element] = translate(json.dumps([payload], indent=1).encode()).records
    assert isinstance(element, CampaignProgress)
    assert element.identity == alone.identity
    for change in ({"messageStatuses": {"Queued": 2}}, {"trackingId": "d"}, {"new": 1}):
        assert _progress({**payload, **change}).identity != alone.identity


@pytest.mark.parametrize(
    "wrong", [{}, {"trackingId": ""}, {"trackingId": True}, {"messageId": "m"}]
)
def test_progress_of_no_campaign_is_unreadable(wrong: dict[str, Any]) -> None:
    body = json.dumps({"campaignStatus": "Running", **wrong}).encode()
    assert translate(body) == ((), Reason.NO_MESSAGE_ID, frozenset())


def test_progress_of_a_campaign_with_an_unusable_id_is_unreadable() -> None:
    body = json.dumps({"campaignStatus": "Running", "trackingId": "x" * 513}).encode()
    assert translate(body).reason is Reason.UNUSABLE_ID


LEG = {"trackingId": "m", "status": {"name": "SEEN", "updatedDate": "2026-03-04T05:06:07Z"}}


def _legs(envelope: dict[str, Any]) -> list[DeliveryEvent]:
    records = translate(json.dumps(envelope).encode()).records
    assert all(isinstance(record, DeliveryEvent) for record in records)
    return [record for record in records if isinstance(record, DeliveryEvent)]


def test_the_documented_envelope_is_its_messages() -> None:
    translation = translate(FAILOVER)
    viber, sms = translation.records
    assert isinstance(viber, DeliveryEvent)
    assert isinstance(sms, DeliveryEvent)
    assert (viber.message_tracking_id, viber.status_key) == (
        "0a047b46-a4dd-4ca8-b817-a6a134dd1234", "UNDELIVERED",
    )  # fmt: skip
    assert (sms.message_tracking_id, sms.status_key) == (
        "82a91dc3-e842-41eb-86e5-07d55eb51234", "DELIVERED",
    )  # fmt: skip
    assert (viber.recipient, sms.recipient) == ("+306912345678", "+306912345678")
    assert translation.reason is None


def test_a_leg_has_from_its_envelope_what_it_lacks() -> None:
    envelope = {
        "trackingId": "flow",
        "campaignTrackingId": "c",
        "label": "spring",
        "to": "+306912345678",
        "country": None,
        "price": 9,
        "createdAt": "2026-03-04T05:06:07Z",
        "messages": [
            LEG,
            {**LEG, "trackingId": "n", "campaignTrackingId": "d", "label": None, "to": ""},
        ],
    }
    one, other = _legs(envelope)
    assert (one.message_tracking_id, other.message_tracking_id) == ("m", "n")
    assert (one.campaign_tracking_id, other.campaign_tracking_id) == ("c", "d")
    assert (one.label, other.label) == ("spring", "spring")
    assert (one.recipient, other.recipient) == ("+306912345678", None)
    assert (one.price, one.created_at, one.country) == (None, None, None)
    assert one.payload_reserialised
    assert translate(one.payload).records[0][:3] == one[:3]


def test_replies_and_progress_of_campaigns_in_an_envelope_are_read_too() -> None:
    envelope = {
        "direction": "Inbound",
        "messages": [{"from": "+306900000000", "message": "yes"}, json.loads(CAMPAIGN)],
    }
    answer, progress = translate(json.dumps(envelope).encode()).records
    assert isinstance(answer, InboundMessage)
    assert isinstance(progress, CampaignProgress)


def test_a_report_of_a_campaign_with_its_messages_is_both() -> None:
    envelope = {**json.loads(CAMPAIGN), "messages": [LEG]}
    progress, event = translate(json.dumps(envelope).encode()).records
    assert isinstance(progress, CampaignProgress)
    assert isinstance(event, DeliveryEvent)
    assert progress.identity == _progress(json.loads(CAMPAIGN)).identity


@pytest.mark.parametrize("wrong", [1, None, [LEG], {}, {"trackingId": "n"}, {"status": "SEEN"}])
def test_a_leg_that_cannot_be_read_makes_an_envelope_partly_unreadable(wrong: object) -> None:
    translation = translate(json.dumps({"trackingId": "flow", "messages": [LEG, wrong]}).encode())
    assert len(translation.records) == 1
    assert translation.reason is Reason.PARTLY_UNREADABLE


def test_an_envelope_without_a_leg_that_can_be_read_has_the_reason_of_the_first() -> None:
    envelope = {"trackingId": "flow", "messages": [{"trackingId": "n"}, 1]}
    assert translate(json.dumps(envelope).encode())[:2] == ((), Reason.NO_STATUS)


@pytest.mark.parametrize(
    ("status", "messages"),
    [({"name": "SEEN"}, [LEG]), ("SEEN", [{"text": "x"}]), ("SEEN", "x"), ("SEEN", [])],
)
def test_a_message_with_a_status_of_its_own_is_no_envelope(
    status: object, messages: object
) -> None:
    event = _event({"trackingId": "outer", "status": status, "messages": messages})
    assert event.message_tracking_id == "outer"


def test_an_id_of_an_envelope_that_is_too_long_is_no_other_id_in_its_legs() -> None:
    envelope = {"campaignTrackingId": "x" * 600, "messages": [LEG]}
    assert translate(json.dumps(envelope).encode())[:2] == ((), Reason.UNUSABLE_ID)


def test_envelopes_in_an_array_count_by_their_legs() -> None:
    envelope = {"campaignTrackingId": "c", "messages": [LEG, {**LEG, "trackingId": "n"}]}
    translation = translate(json.dumps([envelope, LEG]).encode())
    assert translation.reason is None
    assert len(translation.records) == 3
    many = translate(json.dumps([{"messages": [LEG] * 501}] * 2).encode())
    assert (len(many.records), many.reason) == (1002, None)
    one = {"messages": [LEG] * (MAX_LEGS + 1)}
    assert translate(json.dumps(one).encode())[:2] == ((), Reason.TOO_MANY_ELEMENTS)
    assert len(translate(json.dumps(one | {"messages": [LEG] * MAX_LEGS}).encode())[0]) == 1000
    among = translate(json.dumps([one, LEG]).encode())
    assert (len(among.records), among.reason) == (1, Reason.PARTLY_UNREADABLE)


@pytest.mark.parametrize(
    "payload",
    [
        {"direction": "Inbound"},
        {"sentDate": "2026-03-04T05:06:07Z"},
        {"referenceTrackingId": "m"},
        {"trackingId": "m", "direction": "inbound"},
    ],
)
def test_replies_are_recognised_by_their_fields(payload: dict[str, Any]) -> None:
    _inbound(payload)


_INBOUND_PATH = "/callbacks/***/inbound"
_STATUS_PATH = "/callbacks/***/status"
_STATUSES: tuple[object, ...] = (None, "", " ", {}, "SEEN", {"name": "RECEIVED"})


@pytest.mark.parametrize("path", [_INBOUND_PATH, _STATUS_PATH])
@pytest.mark.parametrize("status", _STATUSES)
@pytest.mark.parametrize("direction", ["Inbound", "INBOUND", " inbound\n"])
def test_what_calls_itself_inbound_is_a_reply_with_any_status_at_either_address(
    direction: str, status: object, path: str
) -> None:
    payload = {"trackingId": "m", "status": status, "direction": direction, "message": "yes"}
    assert isinstance(_kind_of(payload, path), InboundMessage)


_ANSWERS = [{"sentDate": "2026-03-04T05:06:07Z"}, {"referenceTrackingId": "m"}]


@pytest.mark.parametrize("answer", _ANSWERS)
@pytest.mark.parametrize("status", _STATUSES)
def test_at_the_address_for_replies_a_status_does_not_make_it_progress(
    status: object, answer: dict[str, str]
) -> None:
    payload = {"trackingId": "m", "messageId": "x" * 600, "status": status, **answer}
    assert isinstance(_kind_of(payload, _INBOUND_PATH), InboundMessage)


@pytest.mark.parametrize("answer", _ANSWERS)
@pytest.mark.parametrize(
    ("path", "more"), [(_STATUS_PATH, {}), (_INBOUND_PATH, {"direction": "Outbound"})]
)
def test_a_status_makes_it_progress_at_the_other_address_or_if_it_is_outbound(
    path: str, more: dict[str, str], answer: dict[str, str]
) -> None:
    payload = {"trackingId": "m", "status": "SEEN", **answer, **more}
    assert isinstance(_kind_of(payload, path), DeliveryEvent)


@pytest.mark.parametrize("path", [_INBOUND_PATH, _STATUS_PATH])
def test_the_documented_payloads_are_told_apart_at_either_address(path: str) -> None:
    assert isinstance(_kind_of(json.loads(PROGRESS), path), DeliveryEvent)
    assert isinstance(_kind_of(json.loads(INBOUND), path), InboundMessage)
    assert isinstance(_kind_of({"trackingId": "m", "status": ""}, path), DeliveryEvent)


def _kind_of(payload: dict[str, Any], path: str) -> object:
    body = json.dumps(payload).encode()
    ([alone], [element]) = (
        translate(octets, path=path).records for octets in (body, b"[" + body + b"]")
    )
    assert type(alone) is type(element)
    return alone


def test_the_same_reply_has_the_same_identity_however_it_is_spelt() -> None:
    one = {"from": "306900000000", "message": "yes", "sentDate": "2026-03-04T05:06:07Z"}
    other = {"from": "+306900000000", "message": "yes", "sentDate": "2026-03-04T07:06:07.000+02:00"}
    assert _inbound(one).identity == _inbound(other).identity


LOST = {
    "no word": {"status": {"updatedDate": "2026-03-04T05:06:07Z"}},
    "a blank word": {"status": {"name": "", "updatedDate": "2026-03-04T05:06:07Z"}},
    "no time": {"status": {"name": "SEEN"}},
    "an absurd time": {"status": {"name": "SEEN", "updatedDate": "1999-01-01T00:00:00Z"}},
    "neither": {"status": {}},
    "a word that is cut": {"status": {"name": "w" * 65, "updatedDate": "2026-03-04T05:06:07Z"}},
    "a word that is replaced": {"status": {"name": "\0", "updatedDate": "2026-03-04T05:06:07Z"}},
}


@pytest.mark.parametrize("payload", LOST.values(), ids=LOST)
def test_the_bytes_tell_events_apart_where_word_or_time_do_not(payload: dict[str, Any]) -> None:
    one = {"trackingId": "m", **payload}
    other = {**one, "price": 1}
    assert _event(one).identity == _event(dict(one)).identity
    assert _event(one).identity != _event(other).identity
    assert len(_event(one).digest) == 32


def test_words_that_are_alike_in_their_column_are_two_events() -> None:
    at = "2026-03-04T05:06:07Z"
    words = ["\0", "\ud800", "\ufffd", "w" * 65, "w" * 66, "W" * 65]
    events = [
        _event({"trackingId": "m", "status": {"name": word, "updatedDate": at}}) for word in words
    ]
    assert len({event.identity for event in events}) == len(words)


def test_further_fields_do_not_make_another_event_where_word_and_time_are_known() -> None:
    one = {"trackingId": "m", "status": {"name": "CLICKED", "updatedDate": "2026-03-04T05:06:07Z"}}
    assert _event(one).digest == b""
    assert _event(one).identity == _event({**one, "price": 1}).identity


def test_an_element_without_a_word_is_the_same_event_in_every_array() -> None:
    alone, among = (
        translate(body).records
        for body in (
            b'[{"trackingId":"m","status":""}]',
            b'[{"trackingId": "n", "status":""}, {"trackingId": "m", "status":""}]',
        )
    )
    assert isinstance(alone[0], DeliveryEvent)
    assert isinstance(among[1], DeliveryEvent)
    assert alone[0].identity == among[1].identity


def test_one_person_may_send_the_same_words_twice() -> None:
    spelt = ("sentDate", "receivedDate", "timestamp")
    one, other = (
        [
            _inbound({"direction": "Inbound", "from": "1", "message": "OK", name: at})
            for name in spelt
        ]
        for at in ("2026-03-04T05:06:07Z", "2026-03-04T05:06:08Z")
    )
    assert len({reply.identity for reply in (*one, *other)}) == 2
    assert [reply.sent_at for reply in one] == [AT] * 3


def test_a_reply_is_known_by_its_own_id_whatever_else_is_told() -> None:
    one: dict[str, Any] = {"direction": "Inbound", "message": "OK", "messageId": "r1"}
    again = {**one, "sentDate": "2026-03-04T05:06:07Z", "label": "x"}
    assert _inbound(one).identity == _inbound(again).identity
    assert _inbound({**one, "id": 7}).identity == _inbound(one).identity
    others = [
        {**one, "messageId": "r2"},
        {**one, "messageId": None, "id": "r1"},
        {**one, "messageId": 1},
    ]
    assert len({_inbound(reply).identity for reply in (one, *others)}) == 4


@pytest.mark.parametrize("own", ["", None, True, 1.5, [], {}])
def test_what_is_no_id_does_not_make_replies_equal(own: object) -> None:
    one = {"direction": "Inbound", "id": own, "message": "yes"}
    assert _inbound(one).identity != _inbound({**one, "message": "no"}).identity


def test_the_bytes_decide_where_a_reply_has_neither_id_nor_time() -> None:
    one = {"direction": "Inbound", "from": "1", "message": "OK"}
    assert _inbound(one).identity == _inbound(dict(one)).identity
    assert _inbound(one).identity != _inbound({**one, "label": "x"}).identity
    assert _inbound(one).identity != _inbound({**one, "sentDate": ""}).identity


def test_the_bytes_decide_where_a_reply_has_what_no_column_can_hold() -> None:
    one = {"sentDate": "2026-03-04T05:06:07Z", "from": "1"}
    texts = ["\0", "\ud800", "\udfff", "\ufffd"]
    assert len({_inbound({**one, "message": text}).identity for text in texts}) == len(texts)


def test_an_unreadable_time_tells_replies_apart_as_it_arrived() -> None:
    one = {"direction": "Inbound", "from": "1", "message": "OK", "sentDate": "05/07/2026 10:00"}
    assert _inbound(one).identity == _inbound({**one, "label": "x"}).identity
    assert _inbound(one).identity != _inbound({**one, "sentDate": "05/07/2026 10:01"}).identity


@pytest.mark.parametrize(
    "change",
    [
        {"from": "+306900000001"},
        {"to": "x"},
        {"referenceTrackingId": "x"},
        {"sentDate": "2018-08-11T12:36:45.393Z"},
        {"sentDate": "unreadable"},
        {"message": "x"},
        {"media": "x"},
        {"filename": "x"},
    ],
)
def test_replies_that_differ_have_different_identities(change: dict[str, Any]) -> None:
    assert (
        _inbound({**json.loads(INBOUND), **change}).identity
        != _inbound(json.loads(INBOUND)).identity
    )


def test_fields_beside_the_content_do_not_make_another_reply() -> None:
    changed = {**json.loads(INBOUND), "label": None, "campaignName": None, "new": 1}
    assert _inbound(changed).identity == _inbound(json.loads(INBOUND)).identity


def test_each_element_of_an_array_is_serialised_again() -> None:
    translation = translate(b"[" + PROGRESS + b"," + INBOUND + b"]")
    event, message = translation.records
    assert isinstance(event, DeliveryEvent)
    assert isinstance(message, InboundMessage)
    assert event.payload_reserialised
    assert event.price == Decimal("0.035")
    assert json.loads(event.payload, parse_float=Decimal) == json.loads(
        PROGRESS, parse_float=Decimal
    )
    assert translation.reason is None


def test_an_array_with_invalid_elements_keeps_the_valid_ones_and_has_a_reason() -> None:
    translation = translate(b"[" + PROGRESS + b',{},"x",[1]]')
    assert len(translation.records) == 1
    assert translation.reason is Reason.PARTLY_UNREADABLE


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 1001, 5000])
def test_a_large_array_is_read_in_pieces_that_come_to_the_same(size: int) -> None:
    elements = [{"trackingId": f"m{at}", "status": "SEEN"} for at in range(size)]
    body = json.dumps(elements).encode()
    pieces = list(translate_in_pieces(body))
    assert max(len(piece.records) for piece in pieces) <= PIECE_ELEMENTS
    whole = translate(body)
    assert [record for piece in pieces for record in piece.records] == list(whole.records)
    assert len(whole.records) == size
    assert whole.reason is None
    # What the strict parser refuses is read in pieces as well.
    marked = translate(b"\xef\xbb\xbf" + body)
    assert marked == whole


@pytest.mark.parametrize("at", [0, 63, 64, 199])
def test_the_last_piece_says_what_is_wrong_with_any(at: int) -> None:
    elements: list[Any] = [{"trackingId": f"m{number}", "status": "SEEN"} for number in range(200)]
    elements[at] = None
    *others, last = translate_in_pieces(json.dumps(elements).encode())
    assert {piece.reason for piece in others} == {None}
    assert last.reason is Reason.PARTLY_UNREADABLE
    nothing = translate(json.dumps([None] * 200).encode())
    assert (nothing.records, nothing.reason) == ((), Reason.NOT_AN_OBJECT)


def test_an_array_that_is_cut_off_has_no_records() -> None:
    body = json.dumps([{"trackingId": f"m{at}"} for at in range(200)]).encode()
    for octets in (body[:-1], body[:-20], b"\xef\xbb\xbf" + body[:-1], body + b"]"):
        assert translate(octets) == ((), Reason.NOT_JSON, frozenset())


def test_the_campaign_of_the_token_is_in_each_record() -> None:
    campaign_id = uuid4()
    for body in (PROGRESS, INBOUND):
        [record] = translate(body, campaign_id=campaign_id).records
        assert record.campaign_id == campaign_id


@pytest.mark.parametrize(
    ("payload", "oddities"),
    [
        (PROGRESS, set()),
        (INBOUND, set()),
        (b'{"trackingId":"m","status":"CLICKED"}', {"unknown-status", "unknown-time"}),
        (b'{"trackingId":"m","status":"SEEN","new":1}', {"unknown-time", "unknown-field"}),
        (CAMPAIGN, set()),
        (b'{"trackingId":"c","campaignStatus":"x","new":1}', {"unknown-field"}),
    ],
)
def test_oddities_are_named_for_counting(payload: bytes, oddities: set[str]) -> None:
    assert translate(payload).oddities == oddities


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ODD_FIELDS = (
    "campaignStatus",
    "messageStatuses",
    "totalRecipients",
    "messages",
    "trackingId",
    "campaignTrackingId",
    "to",
    "from",
    "status",
    "country",
    "label",
    "price",
    "createdAt",
    "direction",
    "updatedDate",
    "sentDate",
    "referenceTrackingId",
    "message",
    "media",
    "filename",
    "campaignName",
)
odd_payloads = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(ODD_FIELDS, json_values),
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_nothing_makes_it_raise(body: bytes) -> None:
    translation = translate(body)
    assert translation.records or translation.reason


@given(odd_payloads)
def test_a_payload_with_a_usable_id_or_of_an_inbound_message_is_always_read(
    payload: dict[str, Any],
) -> None:
    payload = {**payload, "trackingId": "m", "campaignTrackingId": "c", "referenceTrackingId": None}
    if payload.get("status") is None:
        payload["status"] = {}
    translation = translate(json.dumps(payload).encode())
    assert translation.reason is None
    assert len(translation.records) == 1
