from copy import deepcopy
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routee.rules import generated_name, is_generated, sendable
from tests.routee.rules.requests import ACTION, TEXT, faulty_fields, request

OURS = {
    "name": "rr-x",
    "callback_url": "https://us.example/callbacks/t/status",
    "inbound_url": "https://us.example/callbacks/t/inbound",
}


@pytest.mark.parametrize("name", ["ab", "a" * 30, "Summer sale 2026 - week 3", None])
def test_names_of_2_to_30_allowed_characters_are_fine(name: object) -> None:
    assert faulty_fields(request(campaignName=name)) == []


@pytest.mark.parametrize("name", ["", "a", "a" * 31, "été", "a_b", "a.b", "ab\n", "٣٣", 55, ["ab"]])
def test_other_names_are_refused(name: object) -> None:
    assert faulty_fields(request(campaignName=name)) == ["campaignName"]


@given(st.uuids())
def test_a_generated_name_is_allowed_and_recognised(campaign_id: UUID) -> None:
    name = generated_name(campaign_id)
    assert 2 <= len(name) <= 30
    assert all(
        character.isascii() and (character.isalnum() or character == "-") for character in name
    )
    assert is_generated(name)


@given(st.uuids(), st.uuids())
def test_two_campaigns_never_share_a_generated_name(one: UUID, other: UUID) -> None:
    assert (generated_name(one) == generated_name(other)) == (one == other)


@pytest.mark.parametrize("name", ["rr-", "rr-sale", "Summer sale", "", f"rr-{'1' * 26}", "x" * 29])
def test_other_names_are_not_mistaken_for_generated_ones(name: str) -> None:
    assert not is_generated(name)


def test_a_caller_may_not_choose_a_name_that_looks_generated() -> None:
    name = generated_name(UUID(int=7))
    assert faulty_fields(request(campaignName=name)) == ["campaignName"]


def test_the_whole_request_is_sent_with_our_name_and_urls() -> None:
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


def test_nulls_are_left_out_at_any_depth() -> None:
    given = request(ttl=None, body={**TEXT, "imageURL": None, "fallbackValues": {"a": None}})
    sent = sendable(given, **OURS)
    assert "ttl" not in sent
    assert sent["body"] == {**TEXT, "fallbackValues": {}}


def test_the_request_itself_is_not_changed() -> None:
    given = request(ttl=None, callbackUrl="https://caller.example/a", body={**TEXT, "action": None})
    before = deepcopy(given)
    sendable(given, **OURS)
    assert given == before
