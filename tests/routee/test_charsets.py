import json
from typing import Any

import pytest

from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.quarantine import Reason
from app.routee.charsets import in_utf8
from app.routee.translate import Translation, translate

AT = "2026-03-04T05:06:07Z"
GREEK: dict[str, Any] = {
    "trackingId": "m",
    "status": {"name": "DELIVERED", "updatedDate": AT},
    "label": "Ανοιξιάτικες",
}


def _event(translation: Translation) -> DeliveryEvent:
    assert translation.reason is None
    [event] = translation.records
    assert isinstance(event, DeliveryEvent)
    return event


def _spelt(document: dict[str, Any], encoding: str = "utf-8") -> bytes:
    return json.dumps(document, ensure_ascii=False).encode(encoding)


ILL_FORMED = {
    "Latin-1": b"caf\xe9",
    "an overlong encoding": b"\xc0\x80",
    "a surrogate": b"\xed\xa0\x80",
    "half a character": b"\xce",
    "nothing but continuations": b"\x80\xbf",
    "beyond Unicode": b"\xf5\x80\x80\x80",
}


@pytest.mark.parametrize("octets", ILL_FORMED.values(), ids=ILL_FORMED)
def test_an_ill_formed_byte_costs_its_field_only(octets: bytes) -> None:
    body = _spelt({**GREEK, "country": "GR", "body": {"text": "?"}}).replace(
        b'"GR"', b'"%b"' % octets
    )
    event = _event(translate(body))
    assert event.country == octets.decode("ascii", "replace")
    assert (event.status_key, event.label) == ("DELIVERED", GREEK["label"])
    assert event.occurred_at.isoformat() == "2026-03-04T05:06:07+00:00"
    assert event.payload == body
    assert _event(translate(body.replace(b'"?"', b'"%b"' % octets))).label == GREEK["label"]


@pytest.mark.parametrize("octets", ILL_FORMED.values(), ids=ILL_FORMED)
def test_an_ill_formed_byte_in_an_element_keeps_its_bytes_and_harms_no_neighbour(
    octets: bytes,
) -> None:
    good = _spelt(GREEK).replace(b" ", b"")
    bad = good.replace(b'"m"', b'"n"').replace(b'"label":"', b'"\\ud800":1.50,"label":"%b' % octets)
    first, second, third = translate(b"[%b,%b,%b]" % (good, bad, good)).records
    assert first == third
    assert (first.payload, second.payload) == (good, bad)
    assert isinstance(second, DeliveryEvent)
    assert second.label == octets.decode("ascii", "replace") + GREEK["label"]


def test_an_escaped_surrogate_stays_one_in_an_element_that_is_well_formed() -> None:
    element = b'{"trackingId":"m","status":"","label":"\\udcff\\ud800"}'
    [event] = translate(b"[%b]" % element).records
    assert event.payload == element


@pytest.mark.parametrize("name", ["trackingId", "campaignTrackingId"])
def test_an_id_with_an_ill_formed_byte_is_unusable(name: str) -> None:
    body = _spelt({**GREEK, name: "?"}).replace(b'"?"', b'"a\xe9"')
    assert translate(body) == ((), Reason.UNUSABLE_ID, frozenset())
    both = translate(b"[%b,%b]" % (body, _spelt({**GREEK, "trackingId": "n"})))
    assert both.reason is Reason.PARTLY_UNREADABLE
    assert [record.payload for record in both.records] == [
        _spelt({**GREEK, "trackingId": "n"}).replace(b": ", b":").replace(b", ", b",")
    ]


def test_replies_in_an_undeclared_encoding_stay_apart() -> None:
    replies = [
        translate(
            b'{"direction":"Inbound","from":"+306912345678","sentDate":"%b","message":"%b"}'
            % (AT.encode(), word.encode("iso-8859-7"))
        ).records[0]
        for word in ("Ψωμί", "Όχι")
    ]
    assert all(isinstance(reply, InboundMessage) for reply in replies)
    assert replies[0][0] != replies[1][0]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8"])
def test_a_wide_encoding_is_recognised_with_or_without_its_mark(encoding: str, mark: str) -> None:
    spelt = json.dumps({**GREEK, "country": "\ud83d"}, ensure_ascii=False)
    event = _event(translate((mark + spelt).encode(encoding, "surrogatepass")))
    assert (event.label, event.status_key) == (GREEK["label"], "DELIVERED")
    assert event.country is not None
    assert set(event.country) == {"\ufffd"}
    assert event.payload.removeprefix(b"\xef\xbb\xbf") == spelt.encode(errors="surrogatepass")


GREEK_CHARSETS = ["iso-8859-7", "ISO8859-7", "windows-1253", "Windows-1253", "cp1253", "greek"]


@pytest.mark.parametrize("charset", GREEK_CHARSETS)
@pytest.mark.parametrize("spelling", ["{}", '"{}"', "'{}'", " {} "])
def test_a_declared_charset_is_honoured_and_stored_as_utf8(charset: str, spelling: str) -> None:
    body = _spelt(GREEK, charset)
    event = _event(translate(body, charset=spelling.format(charset)))
    assert event == _event(translate(_spelt(GREEK)))
    assert event.payload == _spelt(GREEK)


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("gb18030", "春天"),
        ("shift_jis", "春"),
        ("koi8-r", "весна"),
        ("iso-8859-1", "été"),
        ("utf-16", "Ω"),
    ],
)
def test_other_text_encodings_are_honoured_too(charset: str, text: str) -> None:
    event = _event(translate(_spelt({**GREEK, "label": text}, charset), charset=charset))
    assert event.label == text


def test_what_a_charset_does_not_define_costs_its_field_and_the_payload_stays_as_it_came() -> None:
    body = _spelt({**GREEK, "country": "GR"}, "cp1253").replace(b"GR", b"G\xaa")
    event = _event(translate(body, charset="windows-1253"))
    assert (event.country, event.label, event.payload) == ("G\ufffd", GREEK["label"], body)


@pytest.mark.parametrize(
    "charset",
    [
        "utf-8", "UTF8", "utf-8-sig", "us-ascii", "rot13", "base64", "zlib", "bz2", "hex", "quopri",
        "uu", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "charmap",
        "utf-7", "mbcs", "oem", "cp037", "cp500", "", "none", "aliases", "__init__", "../os", "a.b",
        "\0", "é", "x" * 100_000,
    ],
)  # fmt: skip
def test_any_other_charset_counts_as_none(charset: str) -> None:
    assert in_utf8(b"{}", charset) is None
    body = _spelt(GREEK)
    assert translate(body, charset=charset) == translate(body)


def test_a_wrong_declaration_of_a_wide_charset_does_not_cost_the_event() -> None:
    for charset in ("utf-16", "utf-16-be", "utf-32"):
        assert translate(_spelt(GREEK), charset=charset) == translate(_spelt(GREEK))


def test_an_array_in_a_declared_charset_is_stored_in_utf8() -> None:
    body = b"[%b,%b]" % (
        _spelt(GREEK, "cp1253"),
        b'{"trackingId":"n","status":1,"label":"\xaa\xe1"}',
    )
    first, second = translate(body, charset="cp1253").records
    assert json.loads(first.payload) == GREEK
    assert second.payload == b'{"trackingId":"n","status":1,"label":"\xaa\xce\xb1"}'


@pytest.mark.parametrize(
    "body", [b"\xff", b"\xff\xfe\x00\xd8", b'{"trackingId":"\xe9', b"\0", b"\0\0"]
)
def test_what_is_neither_json_nor_text_has_a_reason(body: bytes) -> None:
    expected = Reason.NOT_JSON if body.isascii() else Reason.NOT_UTF8
    assert translate(body) == ((), expected, frozenset())
    assert translate(body, charset="cp1253") == ((), expected, frozenset())
