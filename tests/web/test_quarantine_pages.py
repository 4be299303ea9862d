"""The quarantine as an administrator sees it, over HTTP."""

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from app.domain.api_key import Scope
from app.web.octets import hex_view, visible
from tests.api.conftest import SECRET, Service, new_id, progress
from tests.web.conftest import Browser, words_of

LIST = "/ui/quarantine"
Browsers = Callable[..., Browser]


def _unreadable(text: str = "") -> bytes:
    return f'{{"trackingId": "{new_id()}", {text}'.encode()


def _quarantined(service: Service, octets: bytes, **options: Any) -> int:  # noqa: ANN401
    """The id of *octets*, posted as a callback."""
    service.quarantined(octets, **options)
    row = service.in_quarantine(octets)
    assert row is not None
    return int(row["id"])


def _readable_by_now(service: Service) -> int:
    """The id of a body that a replay can store: its URL was of another campaign, and is no more."""
    _, token = service.add_campaign(new_id("another"))
    tracking_id = new_id("c")
    service.stored(progress(campaignTrackingId=tracking_id))
    octets = json.dumps(progress(campaignTrackingId=tracking_id)).encode()
    body_id = _quarantined(service, octets, token=token)
    service.sql("UPDATE quarantine SET campaign_id = NULL WHERE id = $1", body_id)
    return body_id


def _ids(page: str) -> list[int]:
    """The bodies that a page lists."""
    return [int(found) for found in re.findall(r'href="/ui/quarantine/(\d+)"', page)]


def _next(page: str) -> str | None:
    found = re.search(r'rel="next" href="([^"]+)"', page)
    return unescape(found[1]) if found else None


def _pre(page: str) -> str:
    found = re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert found
    return unescape(found[1])


@pytest.mark.parametrize(
    "path", ["", "/replay", "/1", "/1/replay", "/no-id"], ids=lambda path: path or "list"
)
def test_all_of_it_needs_the_scope_admin(browser: Browsers, path: str) -> None:
    answer = browser(Scope.READ, Scope.CAMPAIGNS, Scope.PII).get(f"{LIST}{path}")
    assert answer.status_code == 403
    assert "This needs an API key of scope `admin`." in unescape(words_of(answer.text))


@pytest.mark.parametrize("path", ["/replay", "/1/replay"])
def test_nothing_is_replayed_without_the_scope_or_a_token(browser: Browsers, path: str) -> None:
    assert browser(Scope.READ).post(f"{LIST}{path}").status_code == 403
    signed_in = browser(Scope.ADMIN)
    assert signed_in.client.post(f"{LIST}{path}", data={"token": "0"}).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    token = {"token": signed_in.token()}
    assert signed_in.client.post(f"{LIST}{path}", data=token, headers=foreign).status_code == 403


@pytest.mark.parametrize(
    "body_id",
    ["999999999", "0", "-1", "x", "1.5", "٣", "9" * 30, "9" * 500, "%3Cb%3E", "%E2%80%AE", "%00"],
)
def test_an_id_of_no_body_is_not_found(browser: Browsers, body_id: str) -> None:
    signed_in = browser(Scope.ADMIN)
    for path in (f"{LIST}/{body_id}", f"{LIST}/{body_id}/replay"):
        answer = signed_in.get(path)
        assert answer.status_code == 404
        assert "<b>" not in answer.text.partition("<main")[2].partition("</main")[0]
    assert signed_in.post(f"{LIST}/{body_id}/replay").status_code == 404


def test_a_body_is_listed_with_its_reason_and_how_often_it_came(
    service: Service, browser: Browsers
) -> None:
    octets = _unreadable(f'"a": "<b>bold</b>", "inboundUrl": "https://x/callbacks/{SECRET}/inbound')
    body_id = _quarantined(service, octets)
    _quarantined(service, octets)
    page = browser(Scope.ADMIN).page(LIST)
    assert _ids(page)[0] == body_id
    row = page[page.index("<tr>\n<td") :].partition("</tr>")[0]
    words = words_of(row)
    assert words.startswith("Not JSON")
    assert "<b>bold</b>" in words
    assert "<b>" not in row
    assert " 2 " in words
    assert SECRET not in page


def test_the_list_is_filtered_and_goes_on_from_page_to_page(
    service: Service, browser: Browsers
) -> None:
    begin = service.sql("SELECT now() AT TIME ZONE 'UTC'")[0][0].isoformat()
    bodies = [_quarantined(service, _unreadable()) for _ in range(52)]
    empty = _quarantined(service, f'{{"a": "{new_id()}"}}'.encode(), kind="inbound")
    signed_in = browser(Scope.ADMIN)

    def _all(**filters: str) -> list[int]:
        found: list[int] = []
        page = signed_in.page(LIST, params={"since": begin, **filters})
        while True:
            found += _ids(page)
            beyond = _next(page)
            if beyond is None:
                return found
            assert filters.items() <= dict(re.findall(r"(\w+)=([^&]*)", beyond)).items()
            page = signed_in.page(beyond)

    assert _all() == [empty, *reversed(bodies)]
    assert _all(reason="not-json") == bodies[::-1]
    assert _all(path="inbound") == [empty]
    assert _all(reason="not-utf-8") == []
    before = signed_in.words(LIST, params={"before": "2020-01-01T00:00"})
    assert "No quarantined body matches." in before
    page = signed_in.page(LIST, params={"since": begin, "reason": "not-json"})
    assert '<option value="not-json" selected>Not JSON</option>' in page
    assert f'value="{begin}"' in page


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("reason=no-reason", 422, "No reason is called 'no-reason'."),
        ("path=other", 422, "No callback URL is called 'other'."),
        ("since=yesterday", 422, "'yesterday' is no time."),
        ("before=%00", 422, "is no time."),
        ("since=0001-01-01", 200, "Quarantine"),
        ("before=9999-12-31T23:59", 200, "Quarantine"),
        ("cursor=xyz", 400, "The address is of a page of another list."),
        ("reason=&since=&before=&path=&cursor=", 200, "Quarantine"),
    ],
)
def test_whatever_the_filters_are_a_sentence_answers(
    browser: Browsers, query: str, status: int, said: str
) -> None:
    answer = browser(Scope.ADMIN).get(f"{LIST}?{query}")
    assert answer.status_code == status
    assert said in words_of(answer.text)


def test_a_body_says_why_it_is_there_and_what_to_do(service: Service, browser: Browsers) -> None:
    octets = _unreadable(f'"inboundUrl": "https://x/callbacks/{SECRET}/inbound", "Ω": "\u202e"')
    headers = {"Content-Type": b"text/<b>; charset=latin1; x=\xe9"}
    body_id = _quarantined(service, octets, headers=headers)
    page = browser(Scope.ADMIN).page(f"{LIST}/{body_id}")
    words = words_of(page)
    assert "Not JSON: The body is text, but no JSON" in words
    assert "Find out who sent it." in words
    assert f"Size {len(octets)} bytes" in words
    assert "Posted to /callbacks/***/status" in words
    assert "Content-Type text/<b>; charset=latin1" in words
    assert "<b>;" not in page
    assert _pre(page) == octets.decode().replace(SECRET, "***").replace("\u202e", "[U+202E]")


NASTY = {
    "html": b"<script>alert(1)</script>&amp;'\"",
    "nul": b"be\0fore",
    "not-utf-8": b"\xff\xfe\x80caf\xe9",
    "right-to-left": "\u202e\u2066 هذا \u200f".encode(),
    "controls": b"\x1b[31mred\x07\x7f\r\nnext",
    "long": b"x" * 10_000,
    "emoji": "👩‍👩‍👧‍👦 \U0001f600".encode(),
}


@pytest.mark.parametrize("octets", NASTY.values(), ids=NASTY)
def test_any_bytes_are_shown_as_text_and_in_digits(
    service: Service, browser: Browsers, octets: bytes
) -> None:
    octets = new_id().encode() + octets
    signed_in = browser(Scope.ADMIN)
    body_id = _quarantined(service, octets)
    text = _pre(signed_in.page(f"{LIST}/{body_id}"))
    plain = octets.replace(b"\0", b"").decode(errors="replace").replace("\r\n", "\n")
    assert text.replace("\r\n", "\n") == visible(plain)
    assert not set(text) & set("\0\x07\x1b\x7f\u202e\u2066\u200f")
    digits = _pre(signed_in.page(f"{LIST}/{body_id}", params={"as": "hex"}))
    assert bytes.fromhex("".join(row[10:59] for row in digits.splitlines())) == octets
    for path in (LIST, f"{LIST}/{body_id}", f"{LIST}/{body_id}/replay"):
        assert "<script>alert" not in signed_in.page(path)


def test_secrets_in_another_encoding_are_masked_in_the_text(
    service: Service, browser: Browsers
) -> None:
    octets = _unreadable(SECRET).decode().encode("utf-16-le")
    body_id = _quarantined(service, octets)
    page = browser(Scope.ADMIN).page(f"{LIST}/{body_id}")
    assert SECRET not in page
    assert "bytes 0, which are left out" in words_of(page)


def test_of_a_large_body_the_beginning_is_shown(service: Service, browser: Browsers) -> None:
    octets = _unreadable("x" * 70_000)
    body_id = _quarantined(service, octets)
    signed_in = browser(Scope.ADMIN)
    page = signed_in.page(f"{LIST}/{body_id}")
    assert _pre(page) == octets[:65_536].decode()
    assert f"the first 65,536 of {len(octets):,} bytes" in words_of(page)
    digits = _pre(signed_in.page(f"{LIST}/{body_id}", params={"as": "hex"}))
    assert len(digits.splitlines()) == 4096


def test_one_body_is_replayed_after_a_question(service: Service, browser: Browsers) -> None:
    body_id = _readable_by_now(service)
    signed_in = browser(Scope.ADMIN)
    asked = signed_in.words(f"{LIST}/{body_id}/replay")
    assert "This version can read all of it." in asked
    answer = signed_in.post(f"{LIST}/{body_id}/replay")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{LIST}/{body_id}")
    words = signed_in.words(answer.headers["location"])
    assert "Stored . All of it is stored" in words.replace("Stored.", "Stored .")


def test_a_body_that_cannot_be_stored_says_why_after_a_replay(
    service: Service, browser: Browsers
) -> None:
    body_id = _quarantined(service, _unreadable())
    signed_in = browser(Scope.ADMIN)
    assert "a replay will store nothing" in signed_in.words(f"{LIST}/{body_id}/replay")
    signed_in.post(f"{LIST}/{body_id}/replay")
    words = signed_in.words(f"{LIST}/{body_id}")
    assert "Nothing of it is stored." in words
    assert words.count("Not JSON: The body is text") == 2


def test_all_that_match_are_replayed_after_a_question(service: Service, browser: Browsers) -> None:
    begin = service.sql("SELECT now() AT TIME ZONE 'UTC'")[0][0].isoformat()
    stored = [_readable_by_now(service) for _ in range(2)]
    unreadable = _quarantined(service, _unreadable())
    signed_in = browser(Scope.ADMIN)
    asked = signed_in.page(f"{LIST}/replay", params={"since": begin})
    assert "3 bodies match" in words_of(asked)
    assert f'name="since" value="{begin}"' in asked
    answer = signed_in.post(f"{LIST}/replay", since=begin)
    assert answer.status_code == 200
    words = words_of(answer.text)
    assert "3 bodies were read again." in words
    assert "Stored 2 All of it is stored" in words
    assert "Not stored 1 Nothing of it is stored." in words
    assert _ids(answer.text) == [unreadable]
    again = signed_in.words(f"{LIST}/replay", params={"since": begin})
    assert "1 body matches" in again
    for body_id in stored:
        assert "All of it is stored" in signed_in.words(f"{LIST}/{body_id}")


def test_a_long_replay_goes_on_where_it_ended(service: Service, browser: Browsers) -> None:
    begin = service.sql("SELECT now() AT TIME ZONE 'UTC'")[0][0].isoformat()
    service.sql(
        """
        INSERT INTO quarantine (sha256, reason, body, path)
        SELECT sha256(body), 'not-json', body, '/callbacks/***/status'
        FROM (SELECT convert_to($1 || n, 'UTF8') AS body FROM generate_series(1, 501) AS n)
        """,
        new_id(),
    )
    signed_in = browser(Scope.ADMIN)
    assert "100 or more bodies match" in signed_in.words(f"{LIST}/replay", params={"since": begin})
    replayed, after, pages = 0, "", 0
    while True:
        page = signed_in.post(f"{LIST}/replay", since=begin, after=after).text
        words = re.search(r"(\d+) bod(?:y was|ies were) read again", words_of(page))
        assert words
        replayed, pages = replayed + int(words[1]), pages + 1
        position = re.search(r'name="after" value="(\d+)"', page)
        if position is None:
            break
        after = position[1]
    assert replayed == 501
    assert pages > 1


def test_without_a_match_there_is_nothing_to_replay(browser: Browsers) -> None:
    signed_in = browser(Scope.ADMIN)
    words = signed_in.words(f"{LIST}/replay", params={"before": "2020-01-01"})
    assert "There is nothing to replay" in words
    answer = signed_in.post(f"{LIST}/replay", before="2020-01-01", after="9" * 9000)
    assert "0 bodies were read again." in words_of(answer.text)


def test_hexadecimal_rows_have_their_position_and_ascii() -> None:
    assert hex_view(b"") == ""
    rows = hex_view(bytes(range(0x41, 0x52))).splitlines()
    assert rows == [
        "00000000  41 42 43 44 45 46 47 48  49 4a 4b 4c 4d 4e 4f 50  ABCDEFGHIJKLMNOP",
        "00000010  51                                                Q",
    ]
