"""Every known refusal, and arbitrary bodies."""

import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Fault, RouteeRefused, RouteeUnavailable
from app.routee.error_answer import failure_of
from app.routee.exchange import RouteeAnswer
from app.routee.refusals import ADVICE, Meaning


def failure(status: int, content: object) -> RouteeRefused | RouteeUnavailable:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return failure_of(RouteeAnswer(status, {}, body), purpose="launch the campaign")


def refusal(status: int, content: object) -> RouteeRefused:
    found = failure(status, content)
    assert isinstance(found, RouteeRefused)
    return found


class Row(NamedTuple):
    status: int
    code: str | None
    error_code: str | None
    text: str
    meaning: Meaning
    #: Which one to blame.
    field: str | None


TABLE = [
    Row(400, "400001009", None, "Insufficient balance", Meaning.BALANCE_TOO_LOW, None),
    Row(400, "400019002", "001", "Invalid +30691x", Meaning.RECIPIENT_MALFORMED, "to"),
    Row(400, "400019002", "007", "Not supported", Meaning.LAYOUT_NOT_SUPPORTED, "body"),
    Row(
        400,
        "400019002",
        None,
        "Video can be sent alone, with text, or with text and image",
        Meaning.VIDEO_LAYOUT_NOT_SUPPORTED,
        "body.viberVideo",
    ),
    Row(
        400,
        "400019002",
        None,
        "Video is not supported in session messages",
        Meaning.VIDEO_IN_SESSION_MESSAGE,
        "isSessionMessage",
    ),
    Row(400, "400019002", "016", "File over 600 KB", Meaning.FILE_TOO_LARGE, "body.viberFile"),
    Row(
        400,
        "400019002",
        "019",
        "Not supported",
        Meaning.FILE_TYPE_NOT_SUPPORTED,
        "body.viberFile.fileType",
    ),
    Row(
        400,
        "400019002",
        "020",
        "Only Text, Image, File",
        Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED,
        "isSessionMessage",
    ),
    Row(400, "400019002", None, "Something else", Meaning.FIELD_INVALID, "body"),
    Row(400, "400000000", None, "imageURL is invalid", Meaning.IMAGE_URL_INVALID, "body.imageURL"),
    Row(400, "400000000", None, "ttl over 86400", Meaning.TTL_TOO_LONG, "ttl"),
    Row(
        400,
        "400000000",
        None,
        "SRVC_BAD_THUMBNAIL",
        Meaning.THUMBNAIL_TOO_LONG,
        "body.viberVideo.videoThumbnail",
    ),
    Row(
        400,
        "400000000",
        None,
        "Video size over 200 MB",
        Meaning.VIDEO_TOO_LARGE,
        "body.viberVideo.fileSize",
    ),
    Row(
        400,
        "400000000",
        None,
        "Video over 600 seconds",
        Meaning.VIDEO_TOO_LONG,
        "body.viberVideo.duration",
    ),
    Row(400, "400000000", None, "Something else", Meaning.FIELD_INVALID, None),
    Row(404, "404002001", None, "No such contact", Meaning.CONTACT_NOT_FOUND, "contacts"),
    Row(404, "404020001", None, "Bad sender", Meaning.SENDER_NOT_FOUND, "senderInfoTrackingId"),
    Row(409, "409009003", None, "Name exists", Meaning.CAMPAIGN_NAME_IN_USE, "campaignName"),
    Row(404, "404009001", None, "Not found", Meaning.CAMPAIGN_NOT_FOUND, None),
    Row(400, "400009002", None, "Not Scheduled", Meaning.CAMPAIGN_NOT_SCHEDULED, None),
    Row(404, "404999999", None, "What?", Meaning.NOT_FOUND, None),
    Row(400, "400999999", None, "What?", Meaning.REFUSED, None),
    Row(400, None, None, "Viber is not activated", Meaning.VIBER_NOT_ACTIVATED, None),
    Row(403, None, None, "No permission for viber", Meaning.VIBER_NOT_ACTIVATED, None),
    Row(403, None, None, "Access is denied", Meaning.ACCESS_DENIED, None),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.meaning} {row.code}")
def test_each_refusal_has_a_meaning_and_keeps_routees_words(row: Row) -> None:
    body = {"code": row.code, "developerMessage": row.text, "errorCode": row.error_code}

    found = refusal(row.status, {key: value for key, value in body.items() if value})

    assert found.meaning == row.meaning
    assert found.http_status == row.status
    assert (found.code, found.error_code) == (row.code, row.error_code)
    assert found.developer_message == row.text
    assert found.detail == str(found) == ADVICE[row.meaning]
    fault = Fault(row.field, ADVICE[row.meaning], row.code, row.error_code) if row.field else None
    assert found.faults == ((fault,) if fault else ())


def test_every_meaning_has_advice() -> None:
    assert set(ADVICE) == set(Meaning)


@pytest.mark.parametrize("code", [b'"400019002"', b"400019002", b"400019002.0"])
@pytest.mark.parametrize(
    "elsewhere",
    [
        b'"errorCode":"007"',
        b'"errorCode":7',
        b'"properties":{"errorCode":"007"}',
        b'"errors":[{"field":"body"},{"errorCode":"007"}]',
        b'"developerMessage":"Failed with errorCode: 007"',
        b'"developerMessage":"Failed (error code \\"007\\")"',
        b'"developerMessage":"007: that layout is not possible"',
        b'"developerMessage":"400019002/007 that layout"',
        b'"errors":["error code 007"]',
        b'"message":"errorCode=007"',
    ],
)
def test_the_error_code_is_found_in_any_field(code: bytes, elsewhere: bytes) -> None:
    found = refusal(400, b'{"code":' + code + b"," + elsewhere + b"}")

    assert (found.code, found.error_code) == ("400019002", "007")
    assert found.meaning == Meaning.LAYOUT_NOT_SUPPORTED


@pytest.mark.parametrize("text", ["+30 691 001 016 is wrong", "600 KB", "0070 is wrong"])
def test_a_number_in_the_text_is_not_mistaken_for_an_error_code(text: str) -> None:
    assert refusal(400, {"code": "400019002", "developerMessage": text}).error_code is None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("The recipient +30691 is invalid", Meaning.RECIPIENT_MALFORMED),
        ("Layout of message not supported", Meaning.LAYOUT_NOT_SUPPORTED),
        ("File size exceeds 600KB", Meaning.FILE_TOO_LARGE),
        ("File type exe is not supported", Meaning.FILE_TYPE_NOT_SUPPORTED),
        ("Session message must be Text, Image, File", Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED),
    ],
)
def test_without_an_error_code_the_words_decide(text: str, meaning: Meaning) -> None:
    assert refusal(400, {"code": "400019002", "developerMessage": text}).meaning == meaning


def test_properties_become_faults_of_their_fields() -> None:
    found = refusal(
        400,
        {"code": 400000000, "properties": {"ttl": "too long", "to": ["a", 1], "errorCode": "007"}},
    )

    assert found.properties == {"ttl": "too long", "to": '["a",1]', "errorCode": "007"}
    assert found.faults == (
        Fault("ttl", "too long", "400000000", "007"),
        Fault("to", '["a",1]', "400000000", "007"),
    )


def test_errors_become_faults_with_codes_of_their_own() -> None:
    found = refusal(
        400,
        {
            "code": "400000000",
            "errors": [
                {"field": "ttl", "message": "too long"},
                {"property": "to", "developerMessage": "bad", "code": 400019002, "errorCode": 1},
                "odd",
                5,
            ],
        },
    )

    assert found.faults == (
        Fault("ttl", "too long", "400000000"),
        Fault("to", "bad", "400019002", "001"),
        Fault("", "odd", "400000000"),
    )


def test_a_single_property_becomes_a_fault() -> None:
    found = refusal(
        400,
        {"code": "400000000", "developerMessage": "bad", "property": "ttl", "value": 90000},
    )

    assert found.faults == (Fault("ttl", "bad", "400000000"),)


def test_the_token_of_a_quoted_callback_url_is_masked() -> None:
    url = "https://x.example/callbacks/secret-token/status"

    found = refusal(
        400,
        {
            "code": "400000000",
            "developerMessage": f"{url} is bad",
            "properties": {"callbackUrl": url, "more": {"url": url}},
            "errors": [{"field": "inboundUrl", "message": url}],
        },
    )

    everything = repr((found.developer_message, found.properties, found.faults, str(found)))
    assert "callbacks/***/status" in everything
    assert "secret-token" not in everything


def test_the_text_of_the_exception_has_no_telephone_number() -> None:
    found = refusal(
        400, {"code": "400019002", "errorCode": "001", "developerMessage": "+306900000001 is bad"}
    )

    assert found.developer_message == "+306900000001 is bad"
    assert "306900000001" not in f"{found}{found!r}"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("content", [b"", b"<html>", b"[]"])
def test_denied_access_is_definite_whatever_the_body(status: int, content: bytes) -> None:
    found = refusal(status, content)

    assert found.meaning == Meaning.ACCESS_DENIED
    assert found.developer_message is None


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b'"text"', b"[]", b"null", b"{}"])
@pytest.mark.parametrize("status", [400, 404, 422])
def test_other_bodies_are_no_refusal_by_routee(status: int, content: bytes) -> None:
    found = failure(status, content)

    assert isinstance(found, RouteeUnavailable)
    assert found.http_status == status


@pytest.mark.parametrize("status", [429, 500, 503, 408])
def test_a_temporary_status_is_no_refusal_even_with_a_code(status: int) -> None:
    found = failure(status, {"code": f"{status}000000", "developerMessage": "+306900000001"})

    assert isinstance(found, RouteeUnavailable)
    assert found.temporary
    assert found.may_have_been_accepted is (status != 429)
    assert "306900000001" not in f"{found}{found!r}"


SCALARS = st.sampled_from([None, True, 0, -1, 10**40, 1.5, "", "007", "\ud800", "\x00", "a" * 9000])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["code", "errorCode", "field", ""]), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["code", "developerMessage", "errorCode", "properties", "errors", "property", "value", "field"]
)
BODIES = st.binary(max_size=50) | st.dictionaries(KEYS, VALUES).map(
    lambda value: json.dumps(value).encode()
)


@given(body=BODIES)
def test_any_body_is_read(body: bytes) -> None:
    for status in (400, 403, 404, 500):
        assert failure(status, body).http_status == status
