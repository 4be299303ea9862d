import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.campaign import Billing
from app.routee.rules.examination import REQUEST
from app.routee.rules.shapes import Shape
from tests.routee.rules.requests import (
    ACTION,
    FILE,
    IMAGE,
    TEXT,
    VIDEO,
    codes_at,
    examined,
    faulty_fields,
    findings,
    request,
    warnings,
    with_body,
    with_changed,
)

TOO_LONG_URL = "https://media.example/" + "x" * 979
LONGEST_URL = TOO_LONG_URL[:-1]


def known_keys(shape: Shape) -> set[str]:
    nested = (known_keys(member.shape) for member in shape.values() if member.shape)
    return set(shape).union(*nested)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**4000)
    | st.floats()
    | st.decimals()
    | st.text(st.characters(), max_size=40)  # lone surrogates and NUL among them
    | st.sampled_from(
        ["+306912345678", "https://[", "https://x:y/", "2031-99-14T09:30:00Z", "[~name]", "{{x}}"]
    )
)
keys = st.sampled_from(sorted(known_keys(REQUEST))) | st.text(max_size=10)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=8),
    max_leaves=30,
)


@given(anything)
@settings(max_examples=150, deadline=None)
def test_no_json_makes_it_raise_and_every_finding_can_be_sent_as_an_answer(
    document: object,
) -> None:
    for finding in findings(document):
        json.dumps([finding.field, finding.message]).encode()
        finding.field.encode()
        finding.message.encode()
        assert finding.field


@given(st.dictionaries(st.sampled_from(sorted(REQUEST)), anything), st.data())
@settings(max_examples=80, deadline=None)
def test_no_value_of_a_known_field_makes_it_raise(
    members: dict[str, Any], data: st.DataObject
) -> None:
    body = data.draw(st.dictionaries(st.sampled_from(sorted(known_keys(REQUEST))), anything))
    examined(request(**members))
    examined(request(**members | {"body": body}))


def test_nesting_deeper_than_the_stack_does_not_make_it_raise() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert faulty_fields({**request(), "odd": deep}) == ["odd"]
    while deep:  # taken apart here, because freeing it at once recurses
        (deep,) = deep


@pytest.mark.parametrize("document", [None, 5, "text", [], [request()], True, Decimal("NaN")])
def test_a_request_that_is_no_object_has_one_fault(document: object) -> None:
    assert faulty_fields(document) == ["$"]


def test_all_faults_are_reported_at_once() -> None:
    document = {
        "to": ["12", "+306912345678", "+306912345678"],
        "campaignName": "x",
        "ttl": 5,
        "body": {"action": {"caption": ""}},
        "lable": "x",
    }
    assert faulty_fields(document) == [
        "senderInfoTrackingId",
        "to[0]",
        "to[2]",
        "campaignName",
        "body.action.caption",
        "body.action.targetUrl",
        "ttl",
        "lable",
        "body",
    ]


@pytest.mark.parametrize(
    ("value", "is_fine"),
    [
        ("s", True),
        ("s" * 512, True),
        ("s" * 513, False),
        ("é" * 257, False),
        ("", False),
        ("  ", False),
        (None, False),
        (7, False),
    ],
)
def test_the_sender_id_is_required_and_limited(value: object, *, is_fine: bool) -> None:
    found = faulty_fields(request(senderInfoTrackingId=value))
    assert found == ([] if is_fine else ["senderInfoTrackingId"])


def test_the_required_fields_are_required() -> None:
    assert faulty_fields({}) == ["senderInfoTrackingId", "body", "to"]


@pytest.mark.parametrize("value", [True, False, None])
def test_is_session_message_is_a_boolean(value: object) -> None:
    assert faulty_fields(request(isSessionMessage=value)) == []


@pytest.mark.parametrize("value", ["true", 1, 0, "", []])
def test_a_value_that_only_looks_like_a_boolean_is_refused(value: object) -> None:
    assert faulty_fields(request(isSessionMessage=value)) == ["isSessionMessage"]


@pytest.mark.parametrize("value", ["", "x", "x" * 350, "é" * 350, None])
def test_labels_of_up_to_350_characters_are_fine(value: object) -> None:
    assert faulty_fields(request(label=value)) == []


@pytest.mark.parametrize("value", ["x" * 351, 5, ["x"]])
def test_other_labels_are_refused(value: object) -> None:
    assert faulty_fields(request(label=value)) == ["label"]


@pytest.mark.parametrize("field", ["callbackUrl", "inboundUrl"])
def test_urls_that_we_replace_are_announced(field: str) -> None:
    document = request(**{field: "https://shop.example/hook"})
    assert faulty_fields(document) == []
    assert warnings(document) == [("url-not-sent", field)]


@pytest.mark.parametrize("field", ["callbackUrl", "inboundUrl"])
def test_urls_that_we_replace_must_still_be_strings(field: str) -> None:
    assert faulty_fields(request(**{field: 5})) == [field]
    assert warnings(request(**{field: None})) == []


@pytest.mark.parametrize(("value", "is_fine"), [("x", True), ("", False), (" \n", False)])
def test_a_text_is_not_empty(value: str, *, is_fine: bool) -> None:
    assert faulty_fields(with_body({"text": value})) == ([] if is_fine else ["body.text"])


@pytest.mark.parametrize("value", [5, ["x"], {"el": "x"}, False])
def test_a_text_is_a_string(value: object) -> None:
    assert faulty_fields(with_body({"text": value})) == ["body.text"]


@pytest.mark.parametrize("body", ["text", [], 5])
def test_a_body_is_an_object(body: object) -> None:
    assert faulty_fields(request(body=body)) == ["body"]


@pytest.mark.parametrize(
    "url",
    [LONGEST_URL, "HTTPS://MEDIA.EXAMPLE/x", "https://media.example:443/ä?b=%20#c"],
)
def test_usable_image_urls_are_fine(url: str) -> None:
    assert faulty_fields(with_body({"imageURL": url})) == []


@pytest.mark.parametrize(
    "url",
    [
        TOO_LONG_URL,
        "http://media.example/x.png",
        "//media.example/x.png",
        "https:/media.example/x.png",
        "https:///x.png",
        "https://media.example/a b.png",
        "https://media.example/a\nb.png",
        "https://media.example\\@other.example/",
        "https://media.example:port/",
        "https://media.example:70000/",
        "https://[::1/",
        "data:image/png;base64,AAAA",
        "",
        5,
    ],
)
def test_unusable_image_urls_carry_routees_code(url: object) -> None:
    document = with_body({"imageURL": url})
    assert faulty_fields(document) == ["body.imageURL"]
    assert codes_at(document, "body.imageURL") == [("400000000", None)]


@pytest.mark.parametrize("caption", ["x", "x" * 30])
def test_captions_of_1_to_30_characters_are_fine(caption: str) -> None:
    assert faulty_fields(with_changed(ACTION, caption=caption)) == []


@pytest.mark.parametrize("caption", ["", "x" * 31, 5, None])
def test_other_captions_are_refused(caption: object) -> None:
    assert faulty_fields(with_changed(ACTION, caption=caption)) == ["body.action.caption"]


@pytest.mark.parametrize("url", ["https://a.example", "http://a.example/"])
def test_a_button_leads_to_a_web_page(url: str) -> None:
    assert faulty_fields(with_changed(ACTION, targetUrl=url)) == []


@pytest.mark.parametrize("url", ["viber://chat", "tel:+30", "a.example", "javascript:x", 5, None])
def test_a_button_leads_nowhere_else(url: object) -> None:
    assert faulty_fields(with_changed(ACTION, targetUrl=url)) == ["body.action.targetUrl"]


@pytest.mark.parametrize("name", ["x", "x" * 25])
def test_file_names_of_up_to_25_characters_are_fine(name: str) -> None:
    assert faulty_fields(with_changed(FILE, fileName=name)) == []


@pytest.mark.parametrize("name", ["", "x" * 26, 5, None])
def test_other_file_names_are_refused(name: object) -> None:
    assert faulty_fields(with_changed(FILE, fileName=name)) == ["body.viberFile.fileName"]


@pytest.mark.parametrize("file_type", ["pdf", "PDF", "Docx", "xltx", "csv"])
def test_listed_file_types_are_fine_in_any_case(file_type: str) -> None:
    assert faulty_fields(with_changed(FILE, fileType=file_type)) == []


@pytest.mark.parametrize("file_type", [".pdf", "exe", "", "application/pdf", 5])
def test_other_file_types_carry_routees_code(file_type: object) -> None:
    document = with_changed(FILE, fileType=file_type)
    assert codes_at(document, "body.viberFile.fileType") == [("400019002", "019")]


def test_a_file_type_with_a_dot_gets_the_advice_to_remove_it() -> None:
    (fault,) = examined(with_changed(FILE, fileType=".pdf")).faults
    assert "without the dot" in fault.message


@pytest.mark.parametrize("url", ["http://media.example/x.pdf", "x.pdf", None, 5])
def test_a_file_is_fetched_by_https(url: object) -> None:
    assert faulty_fields(with_changed(FILE, fileUrl=url)) == ["body.viberFile.fileUrl"]


def test_a_file_url_may_be_long() -> None:
    assert faulty_fields(with_changed(FILE, fileUrl=TOO_LONG_URL)) == []


@pytest.mark.parametrize("field", ["videoThumbnail", "fileSize", "duration"])
def test_a_video_has_all_its_parts(field: str) -> None:
    found = faulty_fields(with_changed(VIDEO, **{field: None}))
    assert found == [f"body.viberVideo.{field}"]


def test_the_url_of_a_video_may_be_spelt_in_both_ways() -> None:
    film = "https://media.example/film.mp4"
    assert faulty_fields(with_changed(VIDEO, videoUrl=None, videoURL=film)) == []
    assert faulty_fields(with_changed(VIDEO, videoURL=film)) == ["body.viberVideo.videoURL"]
    assert faulty_fields(with_changed(VIDEO, videoUrl=None)) == ["body.viberVideo.videoUrl"]


@pytest.mark.parametrize("field", ["videoUrl", "videoThumbnail"])
def test_urls_of_a_video_are_https_of_at_most_1000_characters(field: str) -> None:
    path = f"body.viberVideo.{field}"
    assert faulty_fields(with_changed(VIDEO, **{field: LONGEST_URL})) == []
    assert faulty_fields(with_changed(VIDEO, **{field: TOO_LONG_URL})) == [path]
    assert faulty_fields(with_changed(VIDEO, **{field: "http://media.example/"})) == [path]


def test_a_thumbnail_url_that_is_too_long_carries_routees_code() -> None:
    document = with_changed(VIDEO, videoThumbnail=TOO_LONG_URL)
    assert codes_at(document, "body.viberVideo.videoThumbnail") == [("400000000", None)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fileSize", 1),
        ("fileSize", 200),
        ("fileSize", Decimal("0.1")),
        ("duration", 1),
        ("duration", 600),
        ("duration", Decimal("599.5")),
    ],
)
def test_a_video_within_its_limits_is_fine(field: str, value: object) -> None:
    assert faulty_fields(with_changed(VIDEO, **{field: value})) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fileSize", 201),
        ("fileSize", Decimal("200.01")),
        ("duration", 601),
        ("duration", 10**4000),
    ],
)
def test_a_video_beyond_its_limits_carries_routees_code(field: str, value: object) -> None:
    document = with_changed(VIDEO, **{field: value})
    assert codes_at(document, f"body.viberVideo.{field}") == [("400000000", None)]


@pytest.mark.parametrize("field", ["fileSize", "duration"])
@pytest.mark.parametrize(
    "value", [0, -1, "12", True, Decimal("NaN"), Decimal("Infinity"), float("nan"), [12]]
)
def test_sizes_and_durations_are_positive_numbers(field: str, value: object) -> None:
    found = faulty_fields(with_changed(VIDEO, **{field: value}))
    assert found == [f"body.viberVideo.{field}"]


@pytest.mark.parametrize("values", [{}, {"name": "you"}, {"name": ""}, {"name": None}, None])
def test_fallback_values_are_strings(values: object) -> None:
    assert faulty_fields(with_body(TEXT, {"fallbackValues": values})) == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (["name"], "body.fallbackValues"),
        ("name", "body.fallbackValues"),
        ({"name": 5}, "body.fallbackValues.name"),
        ({"first name": {}}, 'body.fallbackValues["first name"]'),
    ],
)
def test_other_fallback_values_are_refused(values: object, field: str) -> None:
    assert faulty_fields(with_body(TEXT, {"fallbackValues": values})) == [field]


@pytest.mark.parametrize(
    ("document", "field", "suggestion"),
    [
        (request(campaignname="x"), "campaignname", "campaignName"),
        (request(senderInfoTrackingID="x"), "senderInfoTrackingID", "senderInfoTrackingId"),
        (request(callbackURL="x"), "callbackURL", "callbackUrl"),
        (request(text="x"), "text", "body.text"),
        (request(imageUrl="x"), "imageUrl", "body.imageURL"),
        (with_body(TEXT, {"viberAction": {}}), "body.viberAction", "body.action"),
        (with_body(TEXT, {"imageUrl": "x"}), "body.imageUrl", "body.imageURL"),
        (with_body(TEXT, {"ttl": 60}), "body.ttl", "ttl"),
        (
            with_changed(ACTION, targetURL="x"),
            "body.action.targetURL",
            "body.action.targetUrl",
        ),
        (
            with_changed(FILE, filename="x"),
            "body.viberFile.filename",
            "body.viberFile.fileName",
        ),
        (
            with_changed(VIDEO, thumbnail="x"),
            "body.viberVideo.thumbnail",
            "body.viberVideo.videoThumbnail",
        ),
    ],
)
def test_a_misspelt_field_gets_a_suggestion(document: object, field: str, suggestion: str) -> None:
    (fault,) = examined(document).faults
    assert fault.field == field
    assert f"did you mean {suggestion}?" in fault.message


def test_a_field_without_a_similar_one_gets_the_advice_to_remove_it() -> None:
    (fault,) = examined(request(zzz=None)).faults
    assert (fault.field, "remove it" in fault.message) == ("zzz", True)


def test_thousands_of_unknown_fields_are_all_reported_quickly() -> None:
    document = request(**{f"campaignNames{number}": 0 for number in range(20_000)})
    assert len(examined(document).faults) == 20_000


@pytest.mark.parametrize("unsendable", ["a\x00b", "a\ud800", "\udfff"])
@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"label": "?"}, "label"),
        ({"senderInfoTrackingId": "?"}, "senderInfoTrackingId"),
        ({"contacts": ["a", "?"]}, "contacts[1]"),
        ({"body": {"text": "?"}}, "body.text"),
        ({"body": {**TEXT, "fallbackValues": {"a": "?"}}}, "body.fallbackValues.a"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused(
    members: dict[str, Any], field: str, unsendable: str
) -> None:
    text = json.dumps(members).replace("?", json.dumps(unsendable)[1:-1])
    assert faulty_fields(request(**json.loads(text))) == [field]


def test_a_whole_surrogate_pair_is_an_ordinary_character() -> None:
    assert faulty_fields(with_body({"text": json.loads(r'"\ud83d\ude00"')})) == []


def test_no_message_repeats_a_telephone_number() -> None:
    document = request(to=["306912345678", "+15555550100", "+15555550100"])
    texts = [finding.message for finding in findings(document)]
    assert len(texts) >= 3
    assert not any("306912345678 " in text or "5555550100" in text for text in texts)


@pytest.mark.parametrize(
    ("document", "billing"),
    [
        (with_body(TEXT), Billing.TRANSACTIONAL),
        (with_body(TEXT, {"imageURL": None, "fallbackValues": {"a": "b"}}), Billing.TRANSACTIONAL),
        (with_body(IMAGE), Billing.PROMOTIONAL),
        (with_body(FILE), Billing.PROMOTIONAL),
        (with_body(VIDEO), Billing.PROMOTIONAL),
        (with_body(TEXT, ACTION), Billing.PROMOTIONAL),
        (with_body(TEXT) | {"isSessionMessage": True}, Billing.SESSION),
        (with_body(IMAGE) | {"isSessionMessage": True}, Billing.SESSION),
        (with_body(TEXT) | {"isSessionMessage": False}, Billing.TRANSACTIONAL),
    ],
)
def test_billing_follows_from_the_parts(document: object, billing: Billing) -> None:
    assert examined(document).billing is billing
