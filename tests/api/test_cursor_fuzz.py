"""Cursors that nobody made, with a check that anybody can compute: refused, and never an error."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.campaigns import CampaignFilter
from app.db.inbound_messages import InboundFilter
from app.kit.cursor import encode_cursor
from app.kit.uuid7 import uuid7
from tests.api.conftest import Service, new_id, progress
from tests.api.test_fuzz import fuzz

pytestmark = pytest.mark.slow

_MESSAGE, _CAMPAIGN = new_id("m"), new_id("c")
_SINCE = datetime.now(UTC).replace(microsecond=0)
_NOW = _SINCE.isoformat()
_SINCE_QUERY = quote(_NOW)

#: The path of each list with its query, what its cursors are for, and a position that it can have.
_LISTS: dict[str, tuple[str, str, list[str | int]]] = {
    "campaigns": ("/v1/campaigns?", f"campaigns {CampaignFilter()}", [str(uuid7())]),
    "messages of a campaign": (
        f"/v1/campaigns/{_CAMPAIGN}/messages?",
        f"messages of {(_CAMPAIGN, (), None)}",
        [_MESSAGE],
    ),
    "progress": (
        f"/v1/campaigns/{_CAMPAIGN}/progress?",
        f"progress of {_CAMPAIGN}",
        [_NOW, 3],
    ),
    "awaited messages": (
        f"/v1/campaigns/{_CAMPAIGN}/messages?",
        f"messages of {(_CAMPAIGN, (), None)}",
        [3],
    ),
    "messages": ("/v1/messages?label=x", f"messages {(None, (), 'x', None, None)}", [_MESSAGE]),
    "updated messages": (
        f"/v1/messages?updatedAfter={_SINCE_QUERY}",
        f"messages {(None, (), None, None, _SINCE)}",
        [_NOW, _MESSAGE],
    ),
    "history": (f"/v1/messages/{_MESSAGE}/events?", f"events of {_MESSAGE}", [3]),
    "replies": (
        "/v1/inbound-messages?from=%2B306900000001",
        f"inbound messages {InboundFilter(None, None, '+306900000001', None, None)}",
        [3],
    ),
    "received replies": (
        f"/v1/inbound-messages?receivedSince={_SINCE_QUERY}",
        f"inbound messages {InboundFilter(None, None, None, _SINCE, None)}",
        [_NOW, 3],
    ),
}

_FAR_TIMES = [
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999+00:00",
    "2026-03-01T10:00:00",
    "2026-03-01",
    "-0044-03-15T00:00:00Z",
    "infinity",
    "epoch",
]
_NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.sampled_from([-1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**400]),
)
_PARTS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        _NUMBERS,
        st.floats(),
        st.text(st.characters(), max_size=20),
        st.sampled_from([*_FAR_TIMES, _NOW, _MESSAGE, "x" * 600, "\0", "\ud800", "3", "1e3", ""]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)
_CONTENTS = st.one_of(
    st.lists(_PARTS, max_size=3).map(lambda parts: json.dumps([1, *parts]).encode()),
    _PARTS.map(lambda part: json.dumps(part).encode()),
    st.binary(max_size=40),
    st.integers(1, 2900).map(lambda depth: b"[1," + b"[" * depth),
    st.integers(1, 1400).map(lambda depth: b"[1," + b"[" * depth + b"]" * depth + b"]"),
    st.sampled_from([b"[true]", b"[1.0,3]", b"[NaN]", b"[1,NaN]", b"[1,-Infinity]", b'{"1":1}']),
    st.sampled_from(['[1,"\u00e9"]'.encode("utf-16"), b'\xef\xbb\xbf[1,"x"]', b'[1,"\xff"]']),
)


def _made(content: bytes, scope: str) -> str:
    check = hashlib.sha256(scope.encode() + b"\0" + content).digest()[:6]
    return base64.urlsafe_b64encode(check + content).decode().rstrip("=")


@pytest.fixture(scope="module", autouse=True)
def _stored(service: Service) -> None:
    service.stored(progress(trackingId=_MESSAGE, campaignTrackingId=_CAMPAIGN))


@pytest.mark.parametrize("name", _LISTS)
def test_a_cursor_that_nobody_made_is_refused_and_never_an_error(
    service: Service, name: str
) -> None:
    path, scope, position = _LISTS[name]
    own = json.dumps([1, *position], separators=(",", ":")).encode()
    assert _made(own, scope) == encode_cursor(position, scope=scope)
    assert service.get(f"{path}&cursor={_made(own, scope)}").status_code == 200

    @fuzz
    @given(_CONTENTS)
    def _holds(content: bytes) -> None:
        answer = service.get(f"{path}&cursor={_made(content, scope)}")
        assert answer.status_code in {200, 400}, (content, answer.text)
        if answer.status_code == 400:
            assert answer.json()["type"] == "urn:routee-receiver:problem:invalid-cursor"

    _holds()


@pytest.mark.parametrize("name", _LISTS)
@pytest.mark.parametrize(
    "content",
    [
        b"[1," + b"[" * 2900,
        b"[1,[[3]]]",
        b"[1,true]",
        b"[1,3.5]",
        b"[1,NaN]",
        b"[1,Infinity]",
        b"[1,-1]",
        b"[1,9223372036854775808]",
        b'[1,"\\ud800"]',
        b'[1,"\\u0000"]',
        b"[1,null]",
        b"[1]",
        b"[1,3,3,3]",
        b"[true,3]",
        b'{"1":3}',
        b'"13"',
        b"13",
        b'[1,"0001-01-01T00:00:00+23:59","m"]',
        b'[1,"9999-12-31T23:59:59-23:59",3]',
        b'[1,"2026-03-01T10:00:00","m"]',
        b'[1,"2026-03-01T10:00:00","3"]',
        b'[1,3,"m"]',
    ],
)
def test_a_cursor_with_an_impossible_position_is_refused(
    service: Service, name: str, content: bytes
) -> None:
    path, scope, _ = _LISTS[name]
    answer = service.get(f"{path}&cursor={_made(content, scope)}")
    assert answer.status_code == 400, answer.text


def _position(*numbers: int) -> str:
    text = "-".join(["f1", *map(str, numbers)])
    return f"{text}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


_POSITIONS = st.one_of(
    st.tuples(_NUMBERS, _NUMBERS, _NUMBERS).map(lambda numbers: _position(*numbers)),
    st.tuples(st.integers(0, 2**15 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1)).map(
        lambda numbers: _position(*numbers)
    ),
    st.sampled_from([*_FAR_TIMES, "2026-03-01T10:00:00 02:00", "now ", "\ud800", "\0", "f1"]),
    st.sampled_from([_position(2**15 - 1, 2**64 - 1, 2**63 - 1), _position(0, 0, 0)]),
    st.datetimes().map(lambda instant: f"{instant.isoformat()}-14:00"),
    st.text(st.characters(), max_size=100),
)


@pytest.mark.parametrize(
    "query",
    ["", f"&campaignTrackingId={_CAMPAIGN}", "&type=message.inbound"],
    ids=["all", "of a campaign", "replies"],
)
def test_a_position_that_nobody_was_given_is_no_error(service: Service, query: str) -> None:
    service.stored(progress(trackingId=_MESSAGE, campaignTrackingId=_CAMPAIGN))

    @fuzz
    @given(_POSITIONS)
    def _holds(after: str) -> None:
        encoded = quote(after.encode(errors="surrogatepass"), safe="")
        answer = service.get(f"/v1/events?after={encoded}{query}")
        # 410: retention has removed something after it; 422: longer than any cursor
        assert answer.status_code in {200, 400, 410, 422}, (after, answer.text)

    _holds()
