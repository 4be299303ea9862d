"""One message: why its status is what it is, what to do, and what Routee reported."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from app.domain.api_key import Scope
from app.domain.explanations import REASONS
from tests.api.conftest import SECRET, Service, new_id, progress, reply
from tests.web.conftest import Browser, new_word, words_of

_Browsers = Callable[..., Browser]
_AT = "2026-07-05T10:28:44.996Z"


def _status(name: str, at: str | None = _AT, detailed: str | None = None) -> dict[str, Any]:
    reason = {"detailedStatus": detailed, "description": "Routee's own sentence."}
    return {"name": name, "updatedDate": at, "reason": reason if detailed else None}


def _stored(service: Service, **changes: Any) -> str:  # noqa: ANN401
    """The id of a message that was reported."""
    document = progress(**{"status": _status("DELIVERED"), **changes})
    service.stored(document)
    return str(document["trackingId"])


def _page(tracking_id: str, query: str = "") -> str:
    return f"/ui/messages/{quote(tracking_id, safe='')}{query}"


def test_one_sentence_says_why_a_message_is_undelivered(
    service: Service, browser: _Browsers
) -> None:
    message = _stored(service, status=_status("UNDELIVERED", detailed="Not Viber User"))
    words = browser(Scope.READ).words(_page(message))
    assert (
        "Undelivered: the number has no Viber. "
        "Routee said so on 5 July 2026, 10:28:44.996 UTC , " in words
    )
    assert "before we stored it." in words
    word = REASONS["Not Viber User"]
    assert word.text in words
    assert f"What to do: {word.action}" in words


def test_a_status_without_a_time_is_said_to_have_none(service: Service, browser: _Browsers) -> None:
    words = browser(Scope.READ).words(_page(_stored(service, status=_status("SEEN", None))))
    assert "Seen: the recipient has seen it. Routee gave no time for it; we stored it on" in words


def test_a_clock_of_routee_that_is_ahead_is_said_to_be_so(
    service: Service, browser: _Browsers
) -> None:
    words = browser(Scope.READ).words(
        _page(_stored(service, status=_status("SEEN", "2098-01-01T00:00:00Z")))
    )
    assert "Routee said so on 1 January 2098, 00:00:00.000 UTC , by its clock" in words
    assert "after we stored it." in words


def test_the_timeline_says_what_each_report_did(service: Service, browser: _Browsers) -> None:
    message = new_id()
    for name, second in (("SEEN", 9), ("DELIVERED", 1), ("QUEUED", 0), ("QUEUED", 30)):
        status = _status(name, f"2026-03-01T10:00:{second:02}Z")
        _stored(service, trackingId=message, status=status)
    page = browser(Scope.READ).page(_page(message))
    words = words_of(page.partition("What Routee reported")[2])
    effects = ["Changed the status.", "Came late.", "Came late.", "Does not count."]
    places = [words.index(effect) for effect in effects[:2]]
    assert places == sorted(places)
    assert [words.count(effect) for effect in sorted(set(effects))] == [2, 1, 1]
    assert 'datetime="2026-03-01T10:00:09.000Z"' in page


def test_an_unknown_status_is_shown_in_routees_word(service: Service, browser: _Browsers) -> None:
    words = browser(Scope.READ).words(_page(_stored(service, status=_status("Clicked"))))
    assert "Unknown: Routee sent the word “Clicked”." in words


def test_numbers_are_masked_everywhere_without_the_scope_for_them(
    service: Service, browser: _Browsers
) -> None:
    digits = "306912000111"
    message = _stored(
        service,
        to=f"+{digits}",
        label=f"for {digits}",
        status=_status("FAILED", detailed=f"No route to {digits}"),
    )
    service.stored(
        reply(referenceTrackingId=message, **{"from": f"+{digits}"}, message=f"call {digits}")
    )
    service.stored(progress(to=f"+{digits}"))
    reader, whole = browser(Scope.READ), browser(Scope.READ, Scope.PII)
    event = _event_of(reader, message)
    for query in ("", f"?payload={event}"):
        page = reader.page(_page(message, query))
        assert digits not in page
        assert "***111" in page
        assert page.count(digits) == 0 < whole.page(_page(message, query)).count(digits)


def _event_of(visitor: Browser, message: str) -> str:
    page = visitor.page(_page(message))
    return page.split("payload=")[1].split("#")[0]


def test_a_payload_is_shown_on_demand_and_masked(service: Service, browser: _Browsers) -> None:
    escaped = "\\u0033\\u0030\\u0036912000112"
    document = progress(inboundUrl=f"https://receiver.example/callbacks/{SECRET}/inbound")
    body = str(document).replace("'", '"').replace("None", "null").replace("True", "true")
    service.stored(body.replace('"labelName"', f'"{escaped}"').encode())
    message = document["trackingId"]
    reader, admin = browser(Scope.READ), browser(Scope.ADMIN)
    assert SECRET not in reader.page(_page(message))
    shown = reader.page(_page(message, f"?payload={_event_of(reader, message)}"))
    assert SECRET not in shown
    assert "/callbacks/***/inbound" in shown
    assert "912000112" not in shown
    assert "without secrets and without telephone numbers" in shown
    exact = admin.page(_page(message, f"?payload={_event_of(admin, message)}"))
    assert SECRET in exact
    assert escaped in exact
    assert "Exactly as Routee sent it." in exact


def test_a_payload_that_is_nested_deeply_is_no_page_of_blanks(
    service: Service, browser: _Browsers
) -> None:
    depth, width = 900, 20_000
    nested = json.loads(f"{'[' * depth}{','.join('1' * width)}{']' * depth}")
    message = _stored(service, groups=nested)
    reader = browser(Scope.READ)
    page = reader.page(_page(message, f"?payload={_event_of(reader, message)}"))
    assert len(page) < 1_000_000


def test_a_recipient_who_was_erased_is_shown_as_erased(
    service: Service, browser: _Browsers
) -> None:
    message = _stored(service)
    service.sql(
        "UPDATE messages SET recipient = 'erased:09617be4b914a3d6' WHERE message_tracking_id = $1",
        message,
    )
    words = browser(Scope.READ).words(_page(message))
    assert "Number erased " in words
    assert "***3d6" not in words


@pytest.mark.parametrize("event", ["1", "x", "-1", "9" * 30, "9" * 5000, "%00", "1.5", "\u0661"])
def test_a_payload_of_no_event_is_a_page_that_says_so(
    service: Service, browser: _Browsers, event: str
) -> None:
    answer = browser(Scope.READ).get(_page(_stored(service), f"?payload={event}"))
    assert answer.status_code == 404
    assert "no such report about this message" in answer.text


def test_replies_and_other_messages_to_the_number_are_listed(
    service: Service, browser: _Browsers
) -> None:
    number = "+306912000113"
    message, other = _stored(service, to=number), _stored(service, to=number)
    service.stored(reply(referenceTrackingId=message, message="Thank <b>you</b> \u202eevil"))
    page = browser(Scope.READ).page(_page(message))
    assert '<bdi class="said">Thank &lt;b&gt;you&lt;/b&gt; \u202eevil</bdi>' in page
    assert f'href="{_page(other)}"' in page
    assert "All messages to that number" not in page
    assert "None so far." in browser(Scope.READ).words(_page(other))


def test_the_page_leads_to_the_campaign_and_to_json(service: Service, browser: _Browsers) -> None:
    campaign = service.launched(campaignName=f"Spring {new_word()}")
    message = _stored(service, campaignTrackingId=campaign["trackingId"])
    page = browser(Scope.READ).page(_page(message))
    assert f'href="/ui/campaigns/{campaign["id"]}"' in page
    assert campaign["campaignName"] in page
    assert f'href="/v1/messages/{message}"' in page
    assert f'href="/v1/messages/{message}/events?raw=true"' in page
    assert 'href="/ui/statuses#DELIVERED"' in page


def test_only_a_message_that_may_change_is_asked_for_again(
    service: Service, browser: _Browsers
) -> None:
    visitor = browser(Scope.READ)
    running, seen = (
        _stored(service, status=_status("QUEUED")),
        _stored(service, status=_status("SEEN")),
    )
    assert "data-live" in visitor.page(_page(running))
    assert "data-live" not in visitor.page(_page(seen))
    fragment = visitor.fragment(_page(running))
    assert "What Routee reported" in fragment.text
    service.stored(progress(trackingId=running, status=_status("SEEN", "2026-07-05T10:29:00Z")))
    later = visitor.fragment(_page(running), **{"If-None-Match": fragment.headers["etag"]})
    assert "the recipient has seen it" in later.text
    assert "data-live" not in later.text


@pytest.mark.parametrize("tracking_id", ["a/b", "a%2Fb", "<i>", "\u202eabc", "a?b#c", "é" * 240])
def test_any_id_can_be_that_of_a_message(
    service: Service, browser: _Browsers, tracking_id: str
) -> None:
    own = tracking_id + new_id()
    _stored(service, trackingId=own)
    page = browser(Scope.READ).page(_page(own))
    assert "Delivered: it is on the recipient" in page
    assert "<i>" not in page


def test_a_message_that_is_not_known_is_said_to_be_so(browser: _Browsers) -> None:
    answer = browser(Scope.READ).get(_page("nobody's"))
    assert answer.status_code == 404
    assert "No callback has named the message" in answer.text
