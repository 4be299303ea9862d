"""Any id, filter, cursor and text gets a page with a clear sentence, never a failure of ours."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from app.db.dashboard.reply_pages import ReplyTimes
from app.domain.api_key import Scope
from app.kit.cursor import encode_cursor
from app.services.dashboard.messages import MessagesWanted
from tests.api.conftest import Service, progress, reply
from tests.web.conftest import Browser

_Browsers = Callable[..., Browser]

VALUES = {
    "nothing": "",
    "blanks": " \t\n",
    "NUL": "a\0b",
    "half of a character": "\ud83d",
    "bytes that are no text": b"\xff\xfe",
    "mark of direction": "\u202e\u2066evil",
    "emoji": "👨‍👩‍👧‍👦",
    "markup": '"><script>alert(1)</script>',
    "a template": "{{ 7 * 7 }}{% raw %}",
    "SQL": "' OR 1=1; --",
    "wildcards": "%_\\",
    "a very long word": "x" * 5000,
    "a very long text of other letters": "ß" * 600,
    "a large number": "9" * 400,
    "a negative number": "-1",
    "a number": "1",
    "a number of another script": "\u0663",
    "an exponent": "1e999",
    "the first time": "0001-01-01T00:00:00+23:59",
    "the last time": "9999-12-31T23:59:59.999999-23:59",
    "a status": "DELIVERED",
    "no status": "AWAITING",
    "a path": "../../etc/passwd",
    "a header": "x\r\nSet-Cookie: a=b",
    "words of Python": "__class__",
    "a date": "2026-02-30",
}
QUERIES = {
    "/ui/messages": (
        "campaign", "number_of", "status", "reason", "label", "country", "since", "before",
        "cursor",
    ),
    "/ui/messages.csv": ("campaign", "number_of", "status", "label", "since", "before", "cursor"),
    "/ui/replies": ("campaign", "message", "since", "before", "cursor"),
    "/ui/statuses": ("x",),
    "/ui/search": ("q",),
}  # fmt: skip
#: Cursors that are well made, for a list with the position that none can have.
POSITIONS: list[list[str | int]] = [
    [],
    [0],
    [-1],
    [2**63],
    [2**200],
    ["a\0b"],
    ["x" * 600],
    ["2026-01-01T00:00:00Z", -1],
    ["2026-01-01T00:00:00Z", 2**63],
    ["yesterday", 1],
    ["2026-01-01T00:00:00", 1],
    [0, 0, 0, 0, 0, 0],
    [1, 2**64, 1, 1, 1, 1],
    [2**15, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, -1],
    [1, 1, 1],
]

#: What cursors of these lists are checked with, and a good position in each.
SCOPES = {
    "/ui/messages": f"page of messages {MessagesWanted()}",
    "/ui/messages?label=x": f"page of messages {MessagesWanted(label='x')}",
    "/ui/replies": f"page of replies {(None, None, ReplyTimes())}",
    "/ui/replies?campaign=x": f"page of replies {('x', None, ReplyTimes())}",
}
GOOD: dict[str, list[str | int]] = {
    "/ui/messages": [1, 1, 1, 1, 1, 1],
    "/ui/messages?label=x": ["a"],
    "/ui/replies": ["2026-01-01T00:00:00Z", 1],
    "/ui/replies?campaign=x": [1],
}


def _spelt(value: str | bytes) -> str:
    octets = value if isinstance(value, bytes) else value.encode(errors="surrogatepass")
    return quote(octets, safe="")


def _is_in_order(visitor: Browser, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code in {200, 303, 400, 404, 414, 422}, path
    assert "<script>alert" not in answer.text
    assert "Something went wrong" not in answer.text
    assert "set-cookie" not in answer.headers
    if answer.status_code >= 400:
        main = answer.text.partition("</h1>")[2]
        assert "<p>" in main, path


@pytest.fixture(scope="module")
def visitor(service: Service) -> Browser:
    service.stored(progress())
    service.stored(reply())
    return Browser(service).sign_in(Scope.READ)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_value_of_any_field_is_answered_with_a_page(
    visitor: Browser, value: str | bytes
) -> None:
    for path, names in QUERIES.items():
        for name in names:
            _is_in_order(visitor, f"{path}?{name}={_spelt(value)}")
        everything = "&".join(f"{name}={_spelt(value)}" for name in names)
        _is_in_order(visitor, f"{path}?{everything}")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_id_is_answered_with_a_page(
    service: Service, visitor: Browser, value: str | bytes
) -> None:
    document = progress()
    service.stored(document)
    _is_in_order(visitor, f"/ui/messages/{_spelt(value)}")
    _is_in_order(visitor, f"/ui/messages/{document['trackingId']}?payload={_spelt(value)}")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_text_can_be_searched_for(visitor: Browser, value: str | bytes) -> None:
    fields = f"token={visitor.token()}&q={_spelt(value)}"
    answer = visitor.client.post(
        "/ui/search",
        content=fields,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code in {200, 303, 413}
    assert "<script>alert" not in answer.text
    if answer.status_code == 303:
        _is_in_order(visitor, answer.headers["location"])


@pytest.mark.parametrize("position", POSITIONS, ids=str)
def test_a_cursor_of_a_position_that_cannot_be_is_refused_with_a_sentence(
    visitor: Browser, position: list[str | int]
) -> None:
    """Anybody can compute the check in a cursor."""
    for path, scope in SCOPES.items():
        cursor = encode_cursor(position, scope=scope)
        joint = "&" if "?" in path else "?"
        answer = visitor.get(f"{path}{joint}cursor={cursor}")
        assert answer.status_code in {200, 400}, path
        if answer.status_code == 400:
            assert "Begin at the first page of the list." in answer.text


@pytest.mark.parametrize("path", SCOPES)
def test_the_scopes_above_are_those_of_the_pages(visitor: Browser, path: str) -> None:
    cursor = encode_cursor(GOOD[path], scope=SCOPES[path])
    joint = "&" if "?" in path else "?"
    assert visitor.get(f"{path}{joint}cursor={cursor}").status_code == 200


def test_a_cursor_of_another_list_is_refused_with_a_sentence(visitor: Browser) -> None:
    cursor = encode_cursor([1], scope="another list")
    for path in ("/ui/messages", "/ui/replies"):
        answer = visitor.get(f"{path}?cursor={cursor}")
        assert answer.status_code == 400
        assert "another list" in answer.text
