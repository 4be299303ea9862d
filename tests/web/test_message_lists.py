"""Lists of messages: filters in the address, pages that keep them, masks, and CSV."""

import csv
import re
from collections.abc import Callable
from html import unescape
from io import StringIO
from typing import Any
from urllib.parse import parse_qs

import pytest

from app.db import messages as stored_messages
from app.domain.api_key import Scope
from app.kit.cursor import CursorInvalid, decode_cursor
from app.services.dashboard.messages import MessagesWanted
from app.web.pages.messages import download, listing
from tests.api.conftest import Service, new_id, progress
from tests.web.conftest import Browser, new_word

_Browsers = Callable[..., Browser]
_NEXT = re.compile(r'rel="next" href="([^"]+)"')
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_MESSAGE = re.compile(r'<td data-label="Message"><a href="/ui/messages/([^"]+)"')


def _status(name: str, detailed: str | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "updatedDate": "2026-03-01T10:00:00Z",
        "reason": {"detailedStatus": detailed} if detailed else None,
    }


def _stored(service: Service, **changes: Any) -> str:  # noqa: ANN401
    document = progress(**{"status": _status("DELIVERED"), **changes})
    service.stored(document)
    return str(document["trackingId"])


def _ids(page: str) -> list[str]:
    return _MESSAGE.findall(page)


def _all_pages(visitor: Browser, path: str) -> list[str]:
    """The ids of all pages from *path* on, by the links of the pages."""
    found: list[str] = []
    while True:
        page = visitor.page(path)
        found += _ids(page)
        link = _NEXT.search(page)
        if link is None:
            return found
        path = unescape(link[1])


def test_the_message_that_something_was_received_about_last_comes_first(
    service: Service, browser: _Browsers
) -> None:
    older, newer = _stored(service), _stored(service)
    visitor = browser(Scope.READ)
    assert _ids(visitor.page("/ui/messages"))[:2] == [newer, older]
    _stored(service, trackingId=older, status=_status("SEEN"))
    assert _ids(visitor.page("/ui/messages"))[:2] == [older, newer]


def test_filters_are_in_the_address_and_in_the_form(service: Service, browser: _Browsers) -> None:
    campaign, label = new_id("c"), new_word()
    common = {"campaignTrackingId": campaign, "label": label}
    seen = _stored(service, **common, status=_status("SEEN"))
    failed = _stored(service, **common, status=_status("FAILED", "Opted Out"), country="DE")
    other = _stored(service, label=label)
    visitor = browser(Scope.READ)
    for query, wanted in {
        f"campaign={campaign}": {seen, failed},
        f"label={label}": {seen, failed, other},
        f"label={label}&status=SEEN": {seen},
        f"label={label}&status=SEEN&status=FAILED": {seen, failed},
        f"label={label}&reason=Opted+Out": {failed},
        f"label={label}&country=de": {failed},
        f"label={label}&since=2026-01-01T00:00": {seen, failed, other},
        f"label={label}&before=2026-01-01T00:00": set(),
        f"campaign={campaign}&label={label}&status=SEEN": {seen},
        f"campaign={campaign}&label=nothing": set(),
    }.items():
        page = visitor.page(f"/ui/messages?{query}")
        assert set(_ids(page)) == wanted, query
        assert "In the order of their ids." in page or not wanted
    page = visitor.page(f"/ui/messages?label={label}&status=SEEN&since=2026-01-01T00:00")
    assert f'name="label" value="{label}"' in page
    assert 'value="SEEN" checked' in page
    assert 'value="2026-01-01T00:00"' in page
    assert f"/ui/messages.csv?status=SEEN&amp;label={label}&amp;since=2026-01-01T00%3A00" in page


def test_without_a_key_the_newest_activity_is_filtered(
    service: Service, browser: _Browsers
) -> None:
    country = "X" + new_word()
    wanted = _stored(service, country=country, status=_status("FAILED", "Opted Out"))
    _stored(service, country=country)
    visitor = browser(Scope.READ)
    path = f"/ui/messages?country={country}&status=FAILED&reason=Opted+Out"
    page = visitor.page(f"{path}&since=2026-01-01T00:00Z")
    assert _ids(page) == [wanted]
    assert _ids(visitor.page(f"{path}&before=2026-01-01")) == []


@pytest.mark.parametrize("by", ["label", "country"])
def test_a_message_is_active_from_its_first_report_to_its_last(
    service: Service, browser: _Browsers, by: str
) -> None:
    """The time of a filter is that of receipt, in both orders of the list."""
    value = new_word()
    message = _stored(service, **{by: value})
    between = service.sql("SELECT now() AS at")[0]["at"].strftime(_TIME)
    _stored(service, trackingId=message, status=_status("SEEN"), **{by: value})
    after = service.sql("SELECT now() AS at")[0]["at"].strftime(_TIME)
    visitor = browser(Scope.READ)
    for times, wanted in {
        f"since={between}": [message],
        f"before={between}": [message],
        f"since={between}&before={after}": [message],
        f"since={after}": [],
        "before=2026-01-01": [],
    }.items():
        assert _ids(visitor.page(f"/ui/messages?{by}={value}&{times}")) == wanted, times


def test_a_campaign_is_found_by_our_id_and_named(service: Service, browser: _Browsers) -> None:
    campaign = service.launched(campaignName=f"Spring {new_word()}")
    message = _stored(service, campaignTrackingId=campaign["trackingId"])
    page = browser(Scope.READ).page(f"/ui/messages?campaign={campaign['id']}")
    assert _ids(page) == [message]
    assert campaign["campaignName"] in page


def test_a_campaign_that_is_not_known_is_said_to_be_so(browser: _Browsers) -> None:
    words = browser(Scope.READ).words("/ui/messages?campaign=nothing")
    assert "No campaign with the id “nothing” is known." in words
    assert "No message matches." in words


@pytest.mark.parametrize("by", ["label", "country"])
def test_pages_keep_the_filters_and_have_each_message_once(
    service: Service, browser: _Browsers, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(listing, "_ITEMS", 2)
    value = new_word()
    stored = [_stored(service, **{by: value}, status=_status("SEEN")) for _ in range(5)]
    _stored(service, **{by: value})
    visitor = browser(Scope.READ)
    path = f"/ui/messages?{by}={value}&status=SEEN"
    assert sorted(_all_pages(visitor, path)) == sorted(stored)
    second = unescape(_NEXT.findall(visitor.page(path))[0])
    words = visitor.words(second)
    assert "To the first page" in words or "Newer" in words


def test_a_page_that_looked_at_enough_says_so(
    service: Service, browser: _Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_messages, "MAX_SCANNED_ITEMS", 2)
    label = new_word()
    for _ in range(5):
        _stored(service, label=label)
    last = _stored(service, label=label, status=_status("SEEN"), trackingId=f"z{new_id()}")
    visitor = browser(Scope.READ)
    path = f"/ui/messages?label={label}&status=SEEN"
    words = visitor.words(path)
    assert "0 messages match. There is more to look at. Go on" in words
    assert "No message matches" not in words
    assert _all_pages(visitor, path) == [last]


def test_messages_to_the_number_of_a_message(service: Service, browser: _Browsers) -> None:
    number = "+306912000221"
    stored = {_stored(service, to=number), _stored(service, to=number)}
    one = min(stored)
    page = browser(Scope.READ).page(f"/ui/messages?number_of={one}")
    assert set(_ids(page)) == stored
    assert "***221" in page
    assert number[1:] not in page
    assert f'type="hidden" name="number_of" value="{one}"' in page
    assert number in browser(Scope.READ, Scope.PII).page(f"/ui/messages?number_of={one}")


def test_a_number_cannot_be_guessed_by_the_cursor_of_a_list(
    service: Service, browser: _Browsers
) -> None:
    """Whoever knows how a cursor is checked could try all numbers on it."""
    number = "+306912000333"
    message = min(_stored(service, to=number) for _ in range(listing._ITEMS + 1))
    page = browser(Scope.READ).page(f"/ui/messages?number_of={message}")
    link = _NEXT.search(page)
    assert link
    cursor = parse_qs(unescape(link[1]).partition("?")[2])["cursor"][0]
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor, scope=f"page of messages {MessagesWanted(recipient=number)}")
    scope = f"page of messages {MessagesWanted(recipient=message)}"
    assert len(decode_cursor(cursor, scope=scope)) == 1


def test_a_message_without_a_number_has_no_others(service: Service, browser: _Browsers) -> None:
    message = _stored(service, to=None)
    words = browser(Scope.READ).words(f"/ui/messages?number_of={message}")
    assert "The number of that message is not known." in words
    assert browser(Scope.READ).get(f"/ui/messages.csv?number_of={message}").status_code == 404


def test_a_label_with_a_number_stands_in_no_address_whoever_reads_it(
    service: Service, browser: _Browsers
) -> None:
    campaign, label = new_id("c"), "306912000222"
    _stored(service, campaignTrackingId=campaign, label=label)
    path = f"/ui/messages?campaign={campaign}"
    masked = browser(Scope.READ).page(path)
    assert label not in masked
    assert "***222" in masked
    seen = browser(Scope.READ, Scope.PII).page(path)
    assert label in seen
    assert f"label={label}" not in seen


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


def test_a_list_can_be_downloaded_as_csv(service: Service, browser: _Browsers) -> None:
    label = new_word()
    formula = '=HYPERLINK("http://evil.example";"+1")'
    ids = {
        _stored(service, label=label, to=f"+30691200033{n}", status=_status("FAILED", formula))
        for n in range(3)
    }
    _stored(service, label=label)
    path = f"/ui/messages.csv?label={label}&status=FAILED"
    answer = browser(Scope.READ).get(path)
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert "attachment" in answer.headers["content-disposition"]
    rows = _rows(answer.text)
    assert {row["trackingId"] for row in rows} == ids
    assert {row["to"] for row in rows} == {f"***33{n}" for n in range(3)}
    assert all(row["detailedStatus"].startswith("'=HYPERLINK") for row in rows)
    assert {row["status"] for row in rows} == {"FAILED"}
    whole = _rows(browser(Scope.READ, Scope.PII).page(path))
    assert {row["to"] for row in whole} == {f"+30691200033{n}" for n in range(3)}


def test_a_download_is_bounded_and_read_in_pages(
    service: Service, browser: _Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_DOWNLOADED", 5)
    monkeypatch.setattr(download, "_ITEMS_AT_ONCE", 2)
    label = new_word()
    for _ in range(7):
        _stored(service, label=label)
    visitor = browser(Scope.READ)
    assert len(_rows(visitor.page(f"/ui/messages.csv?label={label}"))) == 5
    assert len(_rows(visitor.page("/ui/messages.csv"))) == 5
    assert "up to 5 messages" not in visitor.page(f"/ui/messages?label={label}")


def test_a_download_needs_somebody_who_is_signed_in(browser: _Browsers) -> None:
    answer = browser().get("/ui/messages.csv")
    assert answer.status_code == 303
