"""The search box leads to what is called so, and a number stands in no address."""

import re
from collections.abc import Callable

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Service, new_id, progress, reply
from tests.web.conftest import Browser, new_word, words_of

_Browsers = Callable[..., Browser]


def _led(visitor: Browser, text: str) -> str:
    """Where a search for *text* leads."""
    answer = visitor.post("/ui/search", q=text)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def _number() -> str:
    """A number that no other test has."""
    digits = "".join(filter(str.isdigit, new_id()))
    return f"+30{digits:0<9}"[:13].ljust(13, "7")


def test_the_id_of_a_message_leads_to_it(service: Service, browser: _Browsers) -> None:
    document = progress()
    service.stored(document)
    visitor = browser(Scope.READ)
    message = document["trackingId"]
    assert _led(visitor, message) == f"/ui/messages/{message}"
    assert _led(visitor, f"  {message}\u200b ") == f"/ui/messages/{message}"


def test_either_id_the_name_and_a_part_of_it_lead_to_a_campaign(
    service: Service, browser: _Browsers
) -> None:
    name = f"Spring {new_word()}"
    campaign = service.launched(campaignName=name)
    visitor = browser(Scope.READ)
    for text in (campaign["trackingId"], campaign["id"], name, name[2:].lower()):
        assert _led(visitor, text) == f"/ui/campaigns/{campaign['id']}"


def test_a_label_leads_to_its_messages(service: Service, browser: _Browsers) -> None:
    label = f"{new_word()} & <b>"
    service.stored(progress(label=label))
    location = _led(browser(Scope.READ), label)
    assert location.startswith("/ui/messages?label=")
    assert "1 message" not in location
    assert label.partition(" ")[0] in browser(Scope.READ).words(location)


@pytest.mark.parametrize("scopes", [(Scope.READ,), (Scope.READ, Scope.PII)])
@pytest.mark.parametrize("label", ["+306912777888", "VIP +306912777888 gold"])
def test_a_label_with_a_number_gets_no_address(
    service: Service, browser: _Browsers, label: str, scopes: tuple[Scope, ...]
) -> None:
    service.stored(progress(label=label))
    answer = browser(*scopes).post("/ui/search", q=label)
    assert answer.status_code == 200
    assert "Messages have the label" in words_of(answer.text)
    assert not re.search('href="[^"]*6912777888', answer.text)


def test_several_things_of_one_name_are_listed_at_an_address(
    service: Service, browser: _Browsers
) -> None:
    name = f"Autumn {new_word()}"
    campaign = service.launched(campaignName=name)
    service.stored(progress(label=name))
    visitor = browser(Scope.READ)
    location = _led(visitor, name)
    assert location.startswith("/ui/search?q=")
    page = visitor.page(location)
    assert f'href="/ui/campaigns/{campaign["id"]}"' in page
    assert "Messages with the label" in page


def test_what_is_not_found_is_named_with_what_was_looked_for(browser: _Browsers) -> None:
    visitor = browser(Scope.READ)
    words = visitor.words(_led(visitor, "no such <thing>"))
    assert "Nothing is found for “ no such <thing> ”." in words
    assert "Looked for were the trackingId of a message" in words


@pytest.mark.parametrize(
    "spelling", ["{}", "00{1}", "tel:{}", " {} ", "({})", "\u202a{}\u202c", "{2}"]
)
def test_a_number_in_any_spelling_leads_to_its_message(
    service: Service, browser: _Browsers, spelling: str
) -> None:
    number = _number()
    spelt = spelling.format(number, number[1:], f"{number[:3]} {number[3:7]}-{number[7:]}")
    if spelling == "{2}":
        spelt = f"{number[:3]} {number[3:7]}-{number[7:]}"
    if spelling.startswith("00"):
        spelt = f"00{number[1:]}"
    document = progress(to=number)
    service.stored(document)
    assert _led(browser(Scope.READ), spelt) == f"/ui/messages/{document['trackingId']}"


def test_a_number_of_several_messages_leads_to_them_without_the_number(
    service: Service, browser: _Browsers
) -> None:
    number = _number()
    ids = []
    for _ in range(3):
        document = progress(to=number)
        service.stored(document)
        ids.append(document["trackingId"])
    visitor = browser(Scope.READ)
    location = _led(visitor, number)
    assert location.startswith("/ui/messages?number_of=")
    assert number[1:] not in location
    page = visitor.page(location)
    assert all(one in page for one in ids)
    assert number[1:] not in page


def test_a_number_that_is_not_known_is_said_to_be_so_without_an_address(
    browser: _Browsers,
) -> None:
    number = _number()
    for scopes, shown in (((Scope.READ,), f"***{number[-3:]}"), ((Scope.ADMIN,), number)):
        answer = browser(*scopes).post("/ui/search", q=number)
        assert answer.status_code == 200
        words = words_of(answer.text)
        assert f"Nothing is found for “ {shown} ”." in words
        assert "Looked for were messages to this number" in words


def test_replies_from_a_number_without_messages_are_shown(
    service: Service, browser: _Browsers
) -> None:
    number, text = _number(), "What is this about?"
    service.stored(reply(message=text, referenceTrackingId=None, **{"from": number}))
    answer = browser(Scope.READ).post("/ui/search", q=number)
    assert answer.status_code == 200
    assert text in answer.text
    assert number[1:] not in answer.text


def test_a_text_that_has_a_number_in_it_gets_no_address(browser: _Browsers) -> None:
    answer = browser(Scope.READ).post("/ui/search", q="Maria +306912000551")
    assert answer.status_code == 200
    assert "Nothing is found" in answer.text


def test_an_address_with_a_number_is_answered_with_advice(
    service: Service, browser: _Browsers
) -> None:
    number = _number()
    service.stored(progress(to=number))
    words = browser(Scope.READ).words(f"/ui/search?q={number[1:]}")
    assert "Search for a telephone number in the field above" in words
    assert "The message to this number" not in words


def test_an_id_that_is_also_a_number_leads_to_both(service: Service, browser: _Browsers) -> None:
    number = _number()
    service.stored(progress(trackingId=number[1:]))
    service.stored(progress(to=number))
    answer = browser(Scope.READ).post("/ui/search", q=number[1:])
    assert answer.status_code == 200
    assert f'href="/ui/messages/{number[1:]}"' in answer.text
    assert "The message to this number" in words_of(answer.text)


@pytest.mark.parametrize("text", ["", "   ", "\u200b", "\0", "a\0b", "x" * 600, "%", "_", "'--"])
def test_any_text_is_answered_with_a_page(browser: _Browsers, text: str) -> None:
    visitor = browser(Scope.READ)
    answer = visitor.post("/ui/search", q=text)
    assert answer.status_code in {200, 303}
    if answer.status_code == 303:
        assert visitor.get(answer.headers["location"]).status_code == 200


def test_a_search_from_another_site_is_refused(browser: _Browsers) -> None:
    visitor = browser(Scope.READ)
    headers = {"Sec-Fetch-Site": "cross-site"}
    data = {"token": visitor.token(), "q": "x"}
    assert visitor.client.post("/ui/search", data=data, headers=headers).status_code == 403
    assert visitor.client.post("/ui/search", data={"q": "x"}).status_code == 403
