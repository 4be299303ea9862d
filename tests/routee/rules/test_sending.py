from copy import deepcopy

from app.routee.rules import sendable
from tests.routee.rules.requests import ACTION, TEXT, request

OURS = {
    "name": "rr-x",
    "callback_url": "https://us.example/callbacks/t/status",
    "inbound_url": "https://us.example/callbacks/t/inbound",
}


def test_everything_that_was_given_is_sent_under_our_name_and_urls() -> None:
    given = request(ttl=600, label="l", body={**TEXT, **ACTION}, contacts=["c"])
    assert sendable(given, **OURS) == {
        **given,
        "campaignName": "rr-x",
        "callbackUrl": OURS["callback_url"],
        "inboundUrl": OURS["inbound_url"],
    }


def test_the_callers_urls_are_not_sent() -> None:
    given = request(callbackUrl="https://caller.example/a", inboundUrl="https://caller.example/b")
    assert "caller.example" not in str(sendable(given, **OURS))


def test_nulls_are_left_out_wherever_they_stand() -> None:
    given = request(ttl=None, body={**TEXT, "imageURL": None, "fallbackValues": {"a": None}})
    sent = sendable(given, **OURS)
    assert "ttl" not in sent
    assert sent["body"] == {**TEXT, "fallbackValues": {}}


def test_the_request_itself_is_left_as_it_was() -> None:
    given = request(ttl=None, callbackUrl="https://caller.example/a", body={**TEXT, "action": None})
    before = deepcopy(given)
    sendable(given, **OURS)
    assert given == before
