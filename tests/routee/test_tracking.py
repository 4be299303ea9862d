"""Items of tracking reads are read as callbacks are, in Routee's other spelling."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.event import UNKNOWN_TIME, DeliveryEvent, Source
from app.routee.tracking import Unusable, content_of, is_last, read_item
from app.routee.translate import translate
from app.routee.wire import serialise

_REASON = {"detailedStatus": "Delivered", "description": "It was delivered."}
_ITEM: dict[str, Any] = {
    "trackingId": "m",
    "to": "+306912345678",
    "from": "Shop",
    "groups": [],
    "country": "GR",
    "status": {"status": "Delivered", "date": "2019-07-05T10:28:44.996Z", "reason": _REASON},
    "campaign": "Spring",
    "campaignTrackingId": "c",
    "applicationName": "default",
    "originatingService": "Viber",
    "direction": "Outbound",
    "ttl": 300,
    "message": "Hello",
    "viberAction": None,
    "imageUrl": None,
    "viberFile": None,
    "viberVideo": None,
    "price": 0.035,
    "sessionId": None,
    "sessionMessage": False,
    "expireOnDelivery": False,
}


def _read(item: object, **asked: Any) -> DeliveryEvent:  # noqa: ANN401
    event = read_item(item, **asked)
    assert isinstance(event, DeliveryEvent)
    return event


def test_an_item_is_the_same_event_as_the_callback_of_its_status() -> None:
    status = {"name": "DELIVERED", "updatedDate": "2019-07-05T10:28:44.996Z", "reason": _REASON}
    (callback,) = translate(serialise(_ITEM | {"status": status})).records
    event = _read(_ITEM, campaign_tracking_id="c")
    assert isinstance(callback, DeliveryEvent)
    assert event.identity == callback.identity
    assert event.source is Source.TRACKING
    assert event.payload_reserialised
    assert event[5:15] == ("Delivered", *callback[6:15])


@pytest.mark.parametrize(
    ("status", "key", "at"),
    [
        ({"status": "seen", "date": "2019-07-05T10:28:44Z"}, "SEEN", "2019-07-05T10:28:44Z"),
        ({"name": "SEEN", "updatedDate": "2019-07-05T10:28Z"}, "SEEN", "2019-07-05T10:28Z"),
        ({"status": " Seen ", "date": 1562322524996}, "SEEN", "2019-07-05T10:28:44.996Z"),
        ({"status": "NEW", "date": "2019-07-05T10:28:44+02:00"}, "NEW", "2019-07-05T08:28:44Z"),
        ("SEEN", "SEEN", None),
        ({"status": "SEEN"}, "SEEN", None),
    ],
)  # fmt: skip
def test_both_spellings_and_any_case_are_read(status: object, key: str, at: str | None) -> None:
    event = _read(_ITEM | {"status": status})
    expected = UNKNOWN_TIME if at is None else datetime.fromisoformat(at)
    assert (event.status_key, event.occurred_at) == (key, expected)
    assert bool(event.digest) is (at is None)


def test_a_queued_item_without_a_date_has_the_time_of_its_creation() -> None:
    queued = {"status": {"status": "Queued"}, "createdAt": "2019-07-05T10:28:44.566Z"}
    assert _read(_ITEM | queued).occurred_at == datetime.fromisoformat("2019-07-05T10:28:44.566Z")


def test_an_item_belongs_to_what_was_asked_for() -> None:
    own = uuid4()
    event = _read(_ITEM | {"campaignTrackingId": None}, campaign_tracking_id="c", campaign_id=own)
    assert (event.campaign_tracking_id, event.campaign_id) == ("c", own)
    assert read_item(_ITEM, campaign_tracking_id="another") is Unusable.FOREIGN
    assert read_item(_ITEM, message_tracking_id="another") is Unusable.FOREIGN
    assert _read(_ITEM, message_tracking_id="m").campaign_tracking_id == "c"


@pytest.mark.parametrize(
    "item",
    [
        None,
        "text",
        1,
        [],
        {},
        {"trackingId": "m"},
        {"trackingId": "m", "status": {}},
        {"trackingId": "m", "status": {"date": "2019-07-05T10:28:44Z"}},
        {"status": {"status": "SEEN"}},
        _ITEM | {"trackingId": "x" * 513},
        _ITEM | {"direction": "Inbound"},
        {"trackingId": "c", "campaignStatus": "Sent"},
    ],
)
def test_what_is_no_status_of_a_message_is_not_read(item: object) -> None:
    assert read_item(item) is Unusable.UNREADABLE


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*_ITEM, "updatedDate", "messages"]), _JSON), _JSON)
def test_no_item_raises(changes: dict[str, Any], status: object) -> None:
    read_item(_ITEM | changes | {"status": status}, campaign_tracking_id="c")
    read_item(_ITEM | {"status": {"status": status, "date": status}})


@pytest.mark.parametrize(
    ("page", "number", "last"),
    [
        ({"content": [1], "last": False, "totalPages": 2}, 0, False),
        ({"content": [1], "last": False, "totalPages": 2}, 1, True),
        ({"content": [1], "last": True}, 0, True),
        ({"content": [1], "last": "true"}, 0, True),
        ({"content": [1], "totalPages": "9"}, 0, False),
        ({"content": [1], "totalPages": 0}, 0, False),
        *(
            ({"content": [1], "totalPages": odd, "last": None}, 0, False)
            for odd in (None, -1, "many", "9" * 5000, [2])
        ),
        ({"content": []}, 0, True),
        ({"content": [], "last": False}, 0, True),
        ({"content": None}, 0, True),
        ({}, 0, True),
    ],
)
def test_the_last_page_is_known(page: dict[str, Any], number: int, *, last: bool) -> None:
    assert is_last(page, number) is last


def test_a_page_has_a_list_as_its_content() -> None:
    assert content_of({"content": [1]}) == [1]
    assert content_of({"content": []}) == []
    assert content_of({"content": {"a": 1}}) is None
    assert content_of({}) is None
