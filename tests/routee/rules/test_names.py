from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routee.rules import generated_name, is_generated
from tests.routee.rules.requests import faulty_fields, request


@pytest.mark.parametrize("name", ["ab", "a" * 30, "Summer sale 2026 - week 3", None])
def test_names_of_2_to_30_allowed_characters_are_fine(name: object) -> None:
    assert faulty_fields(request(campaignName=name)) == []


@pytest.mark.parametrize("name", ["", "a", "a" * 31, "été", "a_b", "a.b", "ab\n", "٣٣", 55, ["ab"]])
def test_other_names_are_refused(name: object) -> None:
    assert faulty_fields(request(campaignName=name)) == ["campaignName"]


@given(st.uuids())
def test_a_generated_name_is_allowed_and_known_as_ours(campaign_id: UUID) -> None:
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
def test_other_names_are_not_taken_for_generated_ones(name: str) -> None:
    assert not is_generated(name)


def test_a_caller_may_not_choose_a_name_that_looks_generated() -> None:
    name = generated_name(UUID(int=7))
    assert faulty_fields(request(campaignName=name)) == ["campaignName"]
