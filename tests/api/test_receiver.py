"""What Routee posts, well or ill formed, and what it is answered."""

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import (
    OLD_SECRET,
    SECRET,
    Loop,
    Service,
    new_id,
    payload,
    progress,
    received,
    reply,
    running,
    status,
)

MAX_BODY_BYTES = 1_048_576


def _sized(size: int) -> bytes:
    """A callback of exactly *size* bytes."""
    document = progress(body={"text": ""})
    missing = size - len(json.dumps(document))
    return json.dumps(document | {"body": {"text": "x" * missing}}).encode()


def _head(*headers: str, token: str = SECRET, method: str = "POST") -> bytes:
    lines = (f"{method} /callbacks/{token}/status HTTP/1.1", "Host: receiver.example", *headers)
    return "\r\n".join((*lines, "", "")).encode()


def _chunked(body: bytes, *, size: int = 65536) -> bytes:
    parts = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.fixture
def service(each_service: Service) -> Service:
    return each_service


@pytest.fixture
def fresh(loop: Loop, url: str, fast_protocol: bool) -> Iterator[Service]:  # noqa: FBT001
    """A service that nothing else was posted to."""
    with running(loop, url, fast_protocol=fast_protocol) as service:
        yield service


def test_the_documented_progress_callback_is_readable_with_all_its_fields(
    fresh: Service,
) -> None:
    fresh.stored(payload("progress"))
    message = fresh.message("0a047b46-a4dd-4ca8-b817-a6a134dd1234")
    assert message.pop("updatedAt").endswith("Z")
    assert message.pop("explanation")["action"] is None
    assert message == {
        "trackingId": "0a047b46-a4dd-4ca8-b817-a6a134dd1234",
        "campaignTrackingId": "ef03cac2-c03c-4554-b1ce-aabdc1dfc186",
        "to": "+306912345678",
        "from": "Routeetest",
        "country": "GR",
        "label": "labelName",
        "status": "DELIVERED",
        "providerStatus": "DELIVERED",
        "detailedStatus": "Delivered",
        "description": "The message was delivered to its recipient.",
        "statusAt": "2019-07-05T10:28:44.996000Z",
        "final": True,
        "overdue": False,
        "queuedAt": None,
        "sentAt": None,
        "deliveredAt": "2019-07-05T10:28:44.996000Z",
        "seenAt": None,
        "failedAt": None,
        "price": "0.035",
        "createdAt": "2019-07-05T10:28:44.566000Z",
    }


def test_the_documented_inbound_message_is_readable_with_all_its_fields(fresh: Service) -> None:
    fresh.stored(payload("inbound"), kind="inbound")
    (item,) = fresh.replies(referenceTrackingId="dcfa62e1-13af-459a-a6ca-f15727a0b830")
    assert fresh.read(f"/v1/inbound-messages/{item['id']}") == item
    assert item.pop("id").isdecimal()
    assert item.pop("receivedAt").endswith("Z")
    assert item == {
        "from": "+306900000000",
        "to": "your_sender_id",
        "message": "This is the body of the inbound message",
        "media": "https//fileurlxx.xx",
        "filename": "Viber file",
        "sentAt": "2017-08-11T12:36:45.393000Z",
        "campaignTrackingId": "62d4a3cc-6f32-4ba2-b99a-b661fb27fdd5",
        "campaignName": "NameOfCampaign",
        "referenceTrackingId": "dcfa62e1-13af-459a-a6ca-f15727a0b830",
        "label": "Label of the campaign",
    }


def test_each_address_takes_both_kinds(service: Service) -> None:
    document, answer = progress(), reply(referenceTrackingId=new_id())
    service.stored(document, kind="inbound")
    service.stored(answer, kind="status")
    assert service.message(document["trackingId"])["status"] == "DELIVERED"
    assert len(service.replies(referenceTrackingId=answer["referenceTrackingId"])) == 1


def test_the_same_reply_twice_is_one(service: Service) -> None:
    answer = reply(referenceTrackingId=new_id())
    service.stored(answer)
    service.stored(answer)
    assert len(service.replies(referenceTrackingId=answer["referenceTrackingId"])) == 1


def test_every_configured_secret_opens(service: Service) -> None:
    service.stored(progress(), token=OLD_SECRET)


@pytest.mark.parametrize(
    "token",
    [
        "unknown",
        SECRET[:-1],
        SECRET + "x",
        SECRET.swapcase(),
        "%00",
        "%FF",
        "%2E%2E",
        "***",
        f"{SECRET}%2F",
        f"{SECRET}%00",
        f"x/{SECRET}",
    ],
)
def test_an_unknown_token_stores_nothing_anywhere(service: Service, token: str) -> None:
    document = progress()
    body = json.dumps(document).encode()
    answer = service.post(body, token=token)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:routee-receiver:problem:not-found"
    assert service.get(f"/v1/messages/{document['trackingId']}").status_code == 404
    assert service.get(f"/v1/campaigns/{document['campaignTrackingId']}").status_code == 404
    assert service.in_quarantine(body) is None


@pytest.mark.parametrize("path", ["", "/", "/other", "/status/more", "/STATUS", "/status%0A"])
def test_a_valid_token_opens_the_two_addresses_only(service: Service, path: str) -> None:
    answer = service.client.post(f"/callbacks/{SECRET}{path}", content=b"{}")
    assert answer.status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", ["status", "inbound", "status/"])
def test_a_get_of_a_callback_url_is_answered(service: Service, method: str, kind: str) -> None:
    answer = service.client.request(method, f"/callbacks/{SECRET}/{kind}")
    assert answer.status_code == 200
    assert answer.content == (b"" if method == "HEAD" else b'{"result":"ready"}')
    assert service.client.request(method, f"/callbacks/unknown/{kind}").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_answered_with_the_allowed_ones(service: Service, method: str) -> None:
    answer = service.client.request(method, f"/callbacks/{SECRET}/status")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.json()["status"] == 405


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "???"])
def test_the_content_type_does_not_matter(service: Service, content_type: str) -> None:
    service.stored(progress(), headers={"content-type": content_type})


def test_a_body_of_the_greatest_size_is_stored(service: Service) -> None:
    service.stored(_sized(MAX_BODY_BYTES))


@pytest.mark.parametrize("excess", [1, 100, MAX_BODY_BYTES, 4 * MAX_BODY_BYTES])
def test_a_larger_body_is_refused_with_an_answer_that_can_be_read(
    service: Service, excess: int
) -> None:
    body = _sized(MAX_BODY_BYTES + excess)
    answer = service.post(body)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:routee-receiver:problem:too-large"
    assert service.get(f"/v1/messages/{json.loads(body)['trackingId']}").status_code == 404
    assert service.in_quarantine(body) is None


@pytest.mark.parametrize("excess", [1, MAX_BODY_BYTES])
def test_a_larger_body_in_chunks_is_refused_too(service: Service, excess: int) -> None:
    request = _head("Transfer-Encoding: chunked", "Connection: close")
    answer = service.raw(request + _chunked(_sized(MAX_BODY_BYTES + excess)))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_in_chunks_is_stored(service: Service) -> None:
    document = progress()
    request = _head("Transfer-Encoding: chunked", "Connection: close")
    answer = service.raw(request + _chunked(json.dumps(document).encode(), size=7))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert service.message(document["trackingId"])["status"] == "DELIVERED"


def test_expect_100_with_a_large_body_is_refused_at_once(service: Service) -> None:
    head = _head(f"Content-Length: {MAX_BODY_BYTES + 1}", "Expect: 100-continue")
    assert service.raw(head).startswith(b"HTTP/1.1 413 ")


def test_expect_100_is_answered_with_100(service: Service) -> None:
    body = json.dumps(progress()).encode()
    with service.connection() as connection:
        connection.sendall(
            _head(f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close")
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert b"HTTP/1.1 200 " in received(connection)


@pytest.mark.parametrize("begun", [b"", b'{"trackingId"'])
def test_a_body_that_does_not_arrive_is_answered_within_the_budget(
    service: Service, begun: bytes
) -> None:
    started = time.monotonic()
    answer = service.raw(_head("Content-Length: 1000") + begun)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 1.4 < time.monotonic() - started < 1.95


def test_a_body_that_arrives_slowly_is_answered_within_the_budget(service: Service) -> None:
    started = time.monotonic()
    with service.connection(timeout=0.1) as connection:
        connection.sendall(_head("Content-Length: 100000"))
        answer = b""
        while not answer and time.monotonic() - started < 5:
            connection.sendall(b" ")
            try:
                answer = connection.recv(1000)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 1.95


def test_a_client_that_leaves_within_a_body_stores_nothing(service: Service) -> None:
    body = json.dumps(progress()).encode()
    with service.connection() as connection:
        connection.sendall(_head(f"Content-Length: {len(body) + 1}") + body)
    assert service.in_quarantine(body) is None
    service.stored(progress())


def test_a_refused_request_does_not_disturb_the_next_one_on_its_connection(
    service: Service,
) -> None:
    body = json.dumps(progress()).encode()
    length = f"Content-Length: {len(body)}"
    with service.connection() as connection:
        connection.sendall(_head(length, token="unknown") + body)
        connection.sendall(_head(length, "Connection: close") + body)
        answers = received(connection)
    assert answers.count(b"HTTP/1.1 404 ") == 1
    assert answers.count(b"HTTP/1.1 200 ") == 1


UNREADABLE = {
    "nothing": (b"", "not-json"),
    "blanks": (b" \r\n\t ", "not-json"),
    "a byte order mark alone": (b"\xef\xbb\xbf", "not-json"),
    "no JSON": (b"trackingId=1&status=DELIVERED", "not-json"),
    "half an object": (b'{"trackingId":"1","status":{"name":"DELI', "not-json"),
    "two objects": (b'{"trackingId":"1"}{"trackingId":"2"}', "not-json"),
    "half an object in UTF-16": ('{"trackingId":"1"'.encode("utf-16"), "not-json"),
    "half an object in Latin-1": ('{"trackingId":"1","label":"é"'.encode("latin-1"), "not-utf-8"),
    "an id with an overlong encoding": (b'{"trackingId":"1\xc0\x80"}', "unusable-id"),
    "an id with a surrogate in UTF-8": (b'{"trackingId":"1\xed\xa0\x80"}', "unusable-id"),
    "a number": (b"1", "not-an-object"),
    "a text": (b'"trackingId"', "not-an-object"),
    "null": (b"null", "not-an-object"),
    "NaN": (b"NaN", "not-an-object"),
    "no elements": (b"[]", "not-an-object"),
    "no objects": (b'[1,"2",null,[]]', "not-an-object"),
    "no members": (b"{}", "no-message-id"),
    "no id": (b'{"status":{"name":"DELIVERED"}}', "no-message-id"),
    "an empty id": (b'{"trackingId":"","status":"SEEN"}', "no-message-id"),
    "an id that is true": (b'{"trackingId":true,"status":"SEEN"}', "no-message-id"),
    "an id that is an object": (b'{"trackingId":{"id":"1"},"status":"SEEN"}', "no-message-id"),
    "an id that is not whole": (b'{"trackingId":1.5,"status":"SEEN"}', "no-message-id"),
    "an id of 513 bytes": (
        b'{"trackingId":"' + b"x" * 513 + b'","status":"SEEN"}',
        "unusable-id",
    ),
    "an id of 600 bytes in 200 characters": (
        '{{"trackingId":"{}","status":"SEEN"}}'.format("€" * 200).encode(),
        "unusable-id",
    ),
    "an id with NUL": (b'{"trackingId":"a\\u0000b","status":"SEEN"}', "unusable-id"),
    "an id with half a character": (b'{"trackingId":"a\\ud800","status":"SEEN"}', "unusable-id"),
    "a long campaign id": (
        b'{"trackingId":"1","campaignTrackingId":"' + b"x" * 600 + b'","status":"SEEN"}',
        "unusable-id",
    ),
    "a reply to a long id": (
        b'{"direction":"Inbound","referenceTrackingId":"' + b"x" * 600 + b'"}',
        "unusable-id",
    ),
    "brackets without end": (b"[" * 3000, "not-json"),
    "nested brackets": (b"[" * 3000 + b"]" * 3000, "not-json"),
    "nested objects": (b'{"a":' * 3000 + b"1" + b"}" * 3000, "not-json"),
}


@pytest.mark.parametrize(("body", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_body_is_kept_byte_for_byte_and_its_repetitions_counted(
    service: Service, body: bytes, reason: str
) -> None:
    service.quarantined(body)
    first = service.in_quarantine(body)  # other tests may have sent the same before
    service.quarantined(body, kind="inbound")
    service.quarantined(body)
    again = service.in_quarantine(body)
    assert first is not None
    assert again is not None
    assert first["reason"] == again["reason"] == reason
    assert (again["id"], again["times"]) == (first["id"], first["times"] + 2)
    assert first["received_at"] == again["received_at"] < again["last_received_at"]
    assert again["path"] == first["path"] == "/callbacks/***/status"
    assert SECRET not in str(dict(again))


NESTED = {
    "arrays": "[" * 3000 + "]" * 3000,
    "objects": '{"a":' * 3000 + "1" + "}" * 3000,
}


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize(
    "place",
    [
        '{{"trackingId":"{id}","status":{{"name":"SEEN"}},"body":{nested}}}',
        '{{"trackingId":"{id}","status":{nested}}}',
        '{{"trackingId":{nested},"id":"{id}","status":"SEEN"}}',
        '{{"trackingId":"{id}","status":{{"name":"SEEN","reason":{nested}}}}}',
        '{{"direction":"Inbound","referenceTrackingId":"{id}","message":{nested}}}',
        '[{{"trackingId":"{id}","status":"SEEN"}},{nested}]',
        '[{{"trackingId":"{id}","status":"SEEN","more":{nested}}}]',
    ],
)
def test_deep_nesting_anywhere_is_durable(service: Service, place: str, nested: str) -> None:
    body = place.format(id=new_id(), nested=nested).encode()
    answer = service.post(body)
    assert answer.status_code == 200
    assert answer.json() == {"result": "quarantined"}
    assert service.in_quarantine(body) is not None


def test_moderate_nesting_is_stored(service: Service) -> None:
    document = progress()
    body = json.dumps(document)[:-1] + ',"more":' + "[" * 500 + "]" * 500 + "}"
    service.stored(body.encode())
    assert service.message(document["trackingId"])["status"] == "DELIVERED"


STORABLE: dict[str, bytes] = {
    "NaN": b'"price":NaN',
    "Infinity": b'"price":Infinity,"ttl":-Infinity',
    "400 digits": b'"price":' + b"9" * 400,
    "400 digits after the point": b'"price":0.' + b"9" * 400,
    "5000 digits": b'"price":' + b"9" * 5000 + b',"ttl":-' + b"9" * 5000,
    "5000 digits as a label": b'"label":' + b"9" * 5000,
    "1e400": b'"price":1e400,"label":1e400',
    "1e400000000": b'"price":1e400000000,"label":1e400000000,"createdAt":1e400000000',
    "1e-400000000": b'"price":1e-400000000,"createdAt":1e-400000000',
    "an exponent that is no number": b'"price":1e99999999999999999999',
    "numbers as texts": b'"price":"0.0350","ttl":"300","createdAt":"1562322524566"',
    "a price that is no number": b'"price":"free"',
    "a price that is true": b'"price":true',
    "NUL": b'"label":"a\\u0000b","to":"\\u0000","from":"\\u0000"',
    "lone surrogates": b'"label":"\\ud800","country":"\\udfff","from":"a\\ud83d"',
    "a raw control character": b'"label":"a\x01b\x0cc"',
    "half of UTF-16 cut off": b'"label":"' + b"x" * 349 + b'\\ud83d\\ude00"',
    "a long label": b'"label":"' + "é".encode() * 10_000 + b'"',
    "a long number": b'"to":"' + b"9" * 10_000 + b'"',
    "unknown members": b'"new":{"deep":[1,2,{"x":null}]},"":0',
    "members twice": b'"label":"one","label":"two","price":1,"price":2',
    "year 0": b'"createdAt":"0000-01-01T00:00:00Z"',
    "year 1": b'"createdAt":"0001-01-01T00:00:00+14:00"',
    "year 9999": b'"createdAt":"9999-12-31T23:59:59.999999999-14:00"',
    "before the epoch": b'"createdAt":-1',
    "long before the epoch": b'"createdAt":-99999999999999999999',
    "long after the epoch": b'"createdAt":99999999999999999999',
    "no date": b'"createdAt":"yesterday"',
    "a date of 10 kB": b'"createdAt":"' + b"2" * 10_000 + b'"',
    "Arabic digits": b'"createdAt":"%b","price":"%b"' % (b"\xd9\xa1" * 13, b"\xd9\xa1"),
    "an inside out status": b'"status":{"name":{"name":"SEEN"},"reason":["x"],"updatedDate":[]}',
}


@pytest.mark.parametrize("members", STORABLE.values(), ids=STORABLE)
def test_odd_values_are_stored_and_readable(service: Service, members: bytes) -> None:
    tracking_id = new_id()
    body = b'{"trackingId":"%b","status":"SEEN",%b}' % (tracking_id.encode(), members)
    service.stored(body)
    assert service.message(tracking_id)["trackingId"] == tracking_id
    assert service.read(f"/v1/status/{tracking_id}")["kind"] == "message"
    (event,) = service.read(f"/v1/messages/{tracking_id}/events", Scope.ADMIN, raw=True)["items"]
    assert event["raw"].encode() == body


@pytest.mark.parametrize("members", STORABLE.values(), ids=STORABLE)
def test_odd_values_in_an_array_are_stored_and_readable(service: Service, members: bytes) -> None:
    tracking_id = new_id()
    service.stored(b'[{"trackingId":"%b","status":"SEEN",%b}]' % (tracking_id.encode(), members))
    (event,) = service.read(f"/v1/messages/{tracking_id}/events", Scope.ADMIN, raw=True)["items"]
    assert event["raw"].startswith('{"trackingId":')
    assert tracking_id in event["raw"]


def test_unstorable_characters_are_replaced_where_they_are_shown(service: Service) -> None:
    tracking_id = new_id()
    service.stored(
        b'{"trackingId":"%b","status":{"name":"S\\u0000EEN","reason":{"description":"\\ud800!"}},'
        b'"label":"a\\u0000b"}' % tracking_id.encode()
    )
    message = service.message(tracking_id)
    assert (message["label"], message["description"]) == ("a\ufffdb", "\ufffd!")
    assert (message["status"], message["providerStatus"]) == ("UNKNOWN", "S\ufffdEEN")


@pytest.mark.parametrize("octets", [b"\xe9", b"\xc0\x80", b"\xed\xa0\x80", b"\xce"])
def test_an_ill_formed_byte_costs_its_field_only_and_is_shown_replaced(
    service: Service, octets: bytes
) -> None:
    document = progress(label="?")
    body = json.dumps(document).encode().replace(b'"?"', b'"caf%b"' % octets)
    service.stored(body)
    message = service.message(document["trackingId"])
    shown = octets.decode("ascii", "replace")
    assert (message["label"], message["status"]) == (f"caf{shown}", "DELIVERED")
    for scope in (Scope.READ, Scope.ADMIN):
        (event,) = service.history(document["trackingId"], scope=scope, raw=True)
        assert "caf\ufffd" in event["raw"]


def test_a_byte_order_mark_does_not_matter(service: Service) -> None:
    document = progress()
    service.stored(b"\xef\xbb\xbf" + json.dumps(document).encode())
    assert service.message(document["trackingId"])["status"] == "DELIVERED"


ANYTHING: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", " ", "x", "\0", "\ud800", "x" * 10_000,
    [], [[]], ["x"], [None], {}, {"": ""}, {"name": []}, {"status": {"status": "SEEN"}},
)  # fmt: skip


@pytest.mark.parametrize("field", sorted({*json.loads(payload("progress")), "message", "sentDate"}))
def test_any_type_in_any_member_of_a_callback_is_durable(service: Service, field: str) -> None:
    for value in ANYTHING:
        document = progress(**{field: value})
        body = json.dumps(document).encode()
        _durable(service, body, document)


@pytest.mark.parametrize("field", sorted(json.loads(payload("inbound"))))
def test_any_type_in_any_member_of_a_reply_is_durable(service: Service, field: str) -> None:
    for value in ANYTHING:
        reference = new_id()
        document = {**reply(referenceTrackingId=reference), field: value}
        answer = service.post(document, kind="inbound")
        assert answer.status_code == 200, (field, value)
        if answer.json() == {"result": "stored"} and field != "referenceTrackingId":
            assert len(service.replies(referenceTrackingId=reference)) == 1
        elif answer.json() == {"result": "quarantined"}:
            assert service.in_quarantine(json.dumps(document).encode()) is not None


@pytest.mark.parametrize("field", ["name", "reason", "updatedDate"])
def test_any_type_in_any_member_of_a_status_is_durable(service: Service, field: str) -> None:
    for value in ANYTHING:
        document = progress(status=status("SEEN", "2026-03-01T10:00:00Z") | {field: value})
        _durable(service, json.dumps(document).encode(), document)


def _durable(service: Service, body: bytes, document: dict[str, Any]) -> None:
    answer = service.post(body)
    assert answer.status_code == 200, document
    if answer.json() == {"result": "quarantined"}:
        assert service.in_quarantine(body) is not None
        return
    assert answer.json() == {"result": "stored"}
    if isinstance(document["trackingId"], str):
        assert service.message(document["trackingId"])


@pytest.mark.parametrize("word", ["CLICKED", "delivered!", "Ω", "x" * 10_240, "ß" * 64])
def test_an_unknown_status_is_kept_verbatim_and_not_final(service: Service, word: str) -> None:
    document = progress(status={"name": word})
    service.stored(document)
    message = service.message(document["trackingId"])
    assert message["status"] == "UNKNOWN"
    assert message["providerStatus"] == word[:64]
    assert message["final"] is False


@pytest.mark.parametrize("word", ["DELIVERED", "delivered", "Delivered"])
@pytest.mark.parametrize("shape", ["name", "status", "word"])
def test_a_status_is_understood_in_every_known_spelling(
    service: Service, word: str, shape: str
) -> None:
    document = progress(status=word if shape == "word" else {shape: word})
    service.stored(document)
    message = service.message(document["trackingId"])
    assert (message["status"], message["providerStatus"]) == ("DELIVERED", word)


@pytest.mark.parametrize("at", [None, "", "yesterday", "0000-00-00", "9999-12-31", 0, -1, 10**20])
def test_a_status_without_a_usable_time_has_none(service: Service, at: object) -> None:
    document = progress(status={"name": "DELIVERED", "updatedDate": at})
    service.stored(document)
    message = service.message(document["trackingId"])
    assert (message["status"], message["statusAt"]) == ("DELIVERED", None)
    (event,) = service.history(document["trackingId"])
    assert event["occurredAt"] is None


def test_an_id_of_512_bytes_is_stored(service: Service) -> None:
    tracking_id = new_id().ljust(512, "x")
    service.stored(progress(trackingId=tracking_id))
    assert service.message(tracking_id)["trackingId"] == tracking_id


def test_an_id_may_be_a_whole_number(service: Service) -> None:
    number = uuid4().int
    service.stored(progress(trackingId=number))
    assert service.message(str(number))["trackingId"] == str(number)


def test_an_array_is_stored_element_by_element(service: Service) -> None:
    documents = [progress(), progress(), reply(referenceTrackingId=new_id())]
    service.stored(documents)
    for document in documents[:2]:
        assert service.message(document["trackingId"])["status"] == "DELIVERED"
    assert service.replies(referenceTrackingId=documents[2]["referenceTrackingId"])


def test_a_thousand_elements_are_stored(service: Service) -> None:
    campaign = new_id("c")
    service.stored(
        [{"trackingId": new_id(), "campaignTrackingId": campaign, "status": "SEEN"}] * 3
        + [
            {"trackingId": new_id(), "campaignTrackingId": campaign, "status": "SEEN"}
            for _ in range(997)
        ]
    )
    assert service.read(f"/v1/campaigns/{campaign}")["counts"]["SEEN"] == 998


def test_as_many_elements_are_stored_as_a_body_holds(service: Service) -> None:
    campaign, prefix = new_id("c"), new_id()
    elements = [
        progress(trackingId=f"{prefix}-{at}", campaignTrackingId=campaign) for at in range(1_400)
    ]
    body = json.dumps(elements, separators=(",", ":")).encode()
    assert 700_000 < len(body) < 1024 * 1024
    service.stored(body)
    assert service.read(f"/v1/campaigns/{campaign}")["counts"]["DELIVERED"] == len(elements)
    broken = json.dumps([*elements, 1], separators=(",", ":")).encode()
    service.quarantined(broken)
    row = service.in_quarantine(broken)
    assert row is not None
    assert (row["reason"], row["times"]) == ("partly-unreadable", 1)
    assert service.read(f"/v1/campaigns/{campaign}")["counts"]["DELIVERED"] == len(elements)


def test_an_array_with_invalid_elements_is_quarantined_once_and_the_others_stored(
    service: Service,
) -> None:
    document = progress()
    body = json.dumps([document, 1, {"no": new_id()}, None]).encode()
    service.quarantined(body)
    assert service.message(document["trackingId"])["status"] == "DELIVERED"
    row = service.in_quarantine(body)
    assert row is not None
    assert (row["reason"], row["times"]) == ("partly-unreadable", 1)


def test_an_element_of_an_array_keeps_its_numbers_digit_by_digit(service: Service) -> None:
    tracking_id = new_id()
    exact = b'{"trackingId":"%b","status":"SEEN","price":0.1000000000000000055511151231257827}'
    element = exact % tracking_id.encode()
    service.stored(b"[%b]" % element)
    (event,) = service.read(f"/v1/messages/{tracking_id}/events", Scope.ADMIN, raw=True)["items"]
    assert event["raw"].encode() == element


def test_an_element_that_is_hard_to_write_keeps_its_numbers_too(service: Service) -> None:
    tracking_id = new_id()
    exact = b'{"trackingId":"%b","status":"SEEN","price":0.035,"label":"\\ud800"}'
    element = exact % tracking_id.encode()
    service.stored(b"[%b]" % element)
    (event,) = service.read(f"/v1/messages/{tracking_id}/events", Scope.ADMIN, raw=True)["items"]
    assert event["raw"].encode().replace(b" ", b"") == element


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("GZIP, deflate", lambda body: zlib.compress(gzip.compress(body))),
    ],
)
def test_a_compressed_body_is_opened(
    service: Service, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    document = progress()
    body = json.dumps(document).encode()
    service.stored(pack(body), headers={"Content-Encoding": encoding})
    (event,) = service.history(document["trackingId"], scope=Scope.ADMIN, raw=True)
    assert event["raw"] == body.decode()
    service.stored(body)
    assert len(service.history(document["trackingId"])) == 1


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("gzip", b"{}?", "not-decompressible"),
        ("br", b"{}!", "unknown-encoding"),
        ("gzip", gzip.compress(bytes(MAX_BODY_BYTES + 1)), "decompressed-too-large"),
        ("gzip", gzip.compress(b"no json here"), "not-json"),
    ],
)
def test_an_encoded_body_that_cannot_be_read_is_kept_with_its_headers(
    service: Service, encoding: str, body: bytes, reason: str
) -> None:
    content_type = "application/json; charset=ISO-8859-7"
    headers = {"Content-Encoding": encoding, "Content-Type": content_type}
    service.quarantined(body, headers=headers)
    row = service.in_quarantine(body)
    assert row is not None
    kept = (row["reason"], row["content_type"], row["content_encoding"])
    assert kept == (reason, content_type, encoding)
