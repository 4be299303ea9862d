"""Lists of replies, whatever recipients write."""

import re
from collections.abc import Callable
from html import unescape

import pytest

from app.domain.api_key import Scope
from app.web.pages import replies
from tests.api.conftest import Service, new_id, progress, reply
from tests.web.conftest import Browser, new_word, words_of

_Browsers = Callable[..., Browser]
_NEXT = re.compile(r'rel="next" href="([^"]+)"')
_ROW = re.compile(r'<tr id="reply-(\d+)">')


def _all_pages(visitor: Browser, path: str) -> list[int]:
    found: list[int] = []
    while True:
        page = visitor.page(path)
        found += map(int, _ROW.findall(page))
        link = _NEXT.search(page)
        if link is None:
            return found
        path = unescape(link[1])


def test_the_newest_reply_comes_first(service: Service, browser: _Browsers) -> None:
    texts = [new_word() for _ in range(3)]
    for text in texts:
        service.stored(reply(message=text))
    words = browser(Scope.READ).words("/ui/replies")
    places = [words.index(text) for text in reversed(texts)]
    assert places == sorted(places)


def test_numbers_are_masked_in_texts_too(service: Service, browser: _Browsers) -> None:
    campaign = new_id("c")
    sender = {"from": "+306912000441"}
    service.stored(reply(**sender, message="Ring 6912 000 442 please", campaignTrackingId=campaign))
    path = f"/ui/replies?campaign={campaign}"
    masked = browser(Scope.READ).page(path)
    assert "***441" in masked
    assert "***442" in masked
    assert "6912 000" not in masked
    whole = browser(Scope.READ, Scope.PII).page(path)
    assert "+306912000441" in whole
    assert "6912 000 442" in whole


TEXTS = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a template": "{{ 7 * 7 }}{% for %}",
    "a mark of direction": "\u202e\u2067evil",
    "an emoji of many characters": "👨‍👩‍👧‍👦" * 20,
    "lines": "one\n\n\ttwo\r\nthree",
    "quotes": "\"'`&amp;",
    "no text": None,
    "controls": "\x01\x1b[31m\x7f",
    "one word": "x" * 4000,
    "many words": "word " * 800,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_shown_as_text(service: Service, browser: _Browsers, text: str | None) -> None:
    campaign = new_id("c")
    service.stored(reply(message=text, campaignTrackingId=campaign))
    page = browser(Scope.READ).page(f"/ui/replies?campaign={campaign}")
    assert len(_ROW.findall(page)) == 1
    assert "<script>alert" not in page
    assert "<img" not in page
    if text is not None:
        shown = re.findall(r'<bdi class="said">(.*?)</bdi>', page, re.DOTALL)
        assert [unescape(one) for one in shown] == [text.replace("\r\n", "\r\n")]


def test_a_long_text_is_folded(service: Service, browser: _Browsers) -> None:
    campaign = new_id("c")
    service.stored(reply(message="long " * 800, campaignTrackingId=campaign))
    service.stored(reply(message="short", campaignTrackingId=campaign))
    page = browser(Scope.READ).page(f"/ui/replies?campaign={campaign}")
    assert page.count("<details>") == 1
    assert page.count("long ") == 800 + 24


def test_an_attachment_is_text_and_no_link(service: Service, browser: _Browsers) -> None:
    campaign = new_id("c")
    service.stored(reply(media="javascript:alert(1)", filename="<b>", campaignTrackingId=campaign))
    page = browser(Scope.READ).page(f"/ui/replies?campaign={campaign}")
    assert "javascript:alert(1)" in page
    assert 'href="javascript' not in page
    assert "&lt;b&gt;" in page


def test_replies_are_those_of_a_campaign_of_a_message_and_of_a_time(
    service: Service, browser: _Browsers
) -> None:
    campaign = service.launched()
    message = progress(campaignTrackingId=campaign["trackingId"])
    service.stored(message)
    names, answers = new_word(), new_word()
    service.stored(reply(message=names, campaignTrackingId=campaign["trackingId"]))
    service.stored(
        reply(message=answers, campaignTrackingId=None, referenceTrackingId=message["trackingId"])
    )
    visitor = browser(Scope.READ)
    for query, wanted in {
        f"campaign={campaign['trackingId']}": [names, answers],
        f"campaign={campaign['id']}": [names, answers],
        f"message={message['trackingId']}": [answers],
        f"message={message['trackingId']}&campaign={campaign['id']}": [answers],
        f"message={message['trackingId']}&campaign=other": [],
        f"campaign={campaign['id']}&since=2026-01-01T00:00": [names, answers],
        f"campaign={campaign['id']}&before=2026-01-01T00:00": [],
        "before=2026-01-01T00:00": [],
    }.items():
        words = visitor.words(f"/ui/replies?{query}")
        assert [text for text in (names, answers) if text in words] == wanted, query
        assert ("No reply matches." in words) is not bool(wanted)
    page = visitor.page(f"/ui/replies?campaign={campaign['id']}")
    assert campaign["campaignName"] in words_of(page)
    assert f'href="/ui/messages/{message["trackingId"]}"' in page


@pytest.mark.parametrize("by", ["campaign", "message", "since"])
def test_each_reply_is_on_one_page(
    service: Service, browser: _Browsers, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(replies, "_ITEMS", 2)
    campaign, message = new_id("c"), new_id("m")
    for _ in range(5):
        service.stored(reply(campaignTrackingId=campaign, referenceTrackingId=message))
    value = {"campaign": campaign, "message": message, "since": "2026-01-01T00:00"}[by]
    found = _all_pages(browser(Scope.READ), f"/ui/replies?{by}={value}")
    assert len(set(found)) == len(found) >= 5
    assert found == sorted(found, reverse=by != "message")
