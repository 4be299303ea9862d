"""A token opens only what it was made for."""

import json
from uuid import UUID

import pytest

from app.domain.callback_token import CallbackTokens
from app.kit.uuid7 import uuid7
from tests.api.conftest import (
    OLD_SIGNING_KEY,
    SECRET,
    SIGNING_KEY,
    Service,
    new_id,
    progress,
    reply,
    status,
)


@pytest.fixture
def service(each_service: Service) -> Service:
    return each_service


def _counts(service: Service, tracking_id: object) -> dict[str, int]:
    counts: dict[str, int] = service.read(f"/v1/campaigns/{tracking_id}")["counts"]
    return {name: count for name, count in counts.items() if count}


def test_a_callback_is_bound_by_its_token_before_routees_answer_is_known(
    service: Service,
) -> None:
    campaign_id, token = service.add_campaign(submission="launching")
    nameless = progress(campaignTrackingId=None)
    service.stored(nameless, token=token)
    assert service.message(nameless["trackingId"])["campaignTrackingId"] is None
    naming = progress()
    service.stored(naming, token=token)
    tracking_id = naming["campaignTrackingId"]
    for document in (nameless, naming):
        assert service.message(document["trackingId"])["campaignTrackingId"] == tracking_id
    service.knows_events_of(tracking_id)
    campaign = service.read(f"/v1/campaigns/{campaign_id}")
    assert (campaign["trackingId"], campaign["submission"]) == (tracking_id, "launched")
    assert (campaign["counts"]["DELIVERED"], campaign["total"]) == (2, 2)
    assert service.read(f"/v1/campaigns/{tracking_id}") == campaign


def test_a_reply_is_bound_by_its_token_too(service: Service) -> None:
    _, token = service.add_campaign(submission="launching")
    answer = reply(referenceTrackingId=new_id(), campaignTrackingId=None)
    service.stored(answer, token=token, kind="inbound")
    naming = progress()
    service.stored(naming, token=token)
    (item,) = service.replies(referenceTrackingId=answer["referenceTrackingId"])
    assert item["campaignTrackingId"] == naming["campaignTrackingId"]


def test_a_token_fills_in_the_campaign_that_a_callback_does_not_name(service: Service) -> None:
    tracking_id = new_id("c")
    _, token = service.add_campaign(tracking_id)
    document = progress(campaignTrackingId=None)
    service.stored(document, token=token)
    assert service.message(document["trackingId"])["campaignTrackingId"] == tracking_id
    assert _counts(service, tracking_id) == {"DELIVERED": 1}


@pytest.mark.parametrize("submission", ["launched", "launching", "unconfirmed"])
def test_a_token_of_another_campaign_opens_nothing(service: Service, submission: str) -> None:
    own = new_id("a") if submission == "launched" else None
    campaign_a, token_a = service.add_campaign(own, submission=submission)
    tracking_b = new_id("b")
    _, token_b = service.add_campaign(tracking_b)
    service.stored(progress(campaignTrackingId=tracking_b), token=token_b)
    before = service.read(f"/v1/campaigns/{tracking_b}")
    document = progress(campaignTrackingId=tracking_b)
    body = json.dumps(document).encode()
    service.quarantined(body, token=token_a)
    row = service.in_quarantine(body)
    assert row is not None
    assert (row["reason"], row["campaign_id"]) == ("campaign-mismatch", campaign_a)
    assert service.get(f"/v1/messages/{document['trackingId']}").status_code == 404
    after = service.read(f"/v1/campaigns/{tracking_b}")
    # A duty may find these between the two reads.
    assert after == {**before, **{name: after[name] for name in ("firstEventAt", "lastEventAt")}}
    found = service.read(f"/v1/campaigns/{campaign_a}")
    assert (found["trackingId"], found["submission"], found["total"]) == (own, submission, 0)


@pytest.mark.parametrize("naming", [True, False])
def test_a_token_does_not_touch_a_message_of_another_campaign(
    service: Service, *, naming: bool
) -> None:
    tracking_a, tracking_b = new_id("a"), new_id("b")
    _, token_a = service.add_campaign(tracking_a)
    _, token_b = service.add_campaign(tracking_b)
    document = progress(campaignTrackingId=tracking_b, status=status("DELIVERED"))
    service.stored(document, token=token_b)
    before = service.message(document["trackingId"])
    seen = {
        **document,
        "campaignTrackingId": tracking_a if naming else None,
        "status": status("SEEN"),
        "label": "a",
        "price": 9,
    }
    body = json.dumps(seen).encode()
    service.quarantined(body, token=token_a)
    row = service.in_quarantine(body)
    assert row is not None
    assert row["reason"] == "campaign-mismatch"
    assert service.message(document["trackingId"]) == before
    assert len(service.history(document["trackingId"])) == 1
    assert _counts(service, tracking_a) == {}
    assert _counts(service, tracking_b) == {"DELIVERED": 1}


def test_a_reply_to_a_message_of_another_campaign_is_quarantined(service: Service) -> None:
    tracking_b = new_id("b")
    _, token_a = service.add_campaign(new_id("a"))
    _, token_b = service.add_campaign(tracking_b)
    document = progress(campaignTrackingId=tracking_b)
    service.stored(document, token=token_b)
    answer = reply(referenceTrackingId=document["trackingId"], campaignTrackingId=None)
    body = json.dumps(answer).encode()
    service.quarantined(body, token=token_a, kind="inbound")
    assert service.replies(referenceTrackingId=document["trackingId"]) == []


def test_of_an_array_only_the_foreign_elements_are_quarantined(service: Service) -> None:
    tracking_a, tracking_b = new_id("a"), new_id("b")
    _, token_a = service.add_campaign(tracking_a)
    service.add_campaign(tracking_b)
    own = progress(campaignTrackingId=tracking_a)
    foreign = progress(campaignTrackingId=tracking_b)
    service.quarantined([own, foreign], token=token_a)
    assert _counts(service, tracking_a) == {"DELIVERED": 1}
    assert service.get(f"/v1/messages/{foreign['trackingId']}").status_code == 404


def test_a_copy_made_in_the_console_is_stored_and_never_rebinds(service: Service) -> None:
    original = new_id("a")
    campaign_id, token = service.add_campaign(original)
    copied = progress()
    service.stored(copied, token=token)
    message = service.message(copied["trackingId"])
    assert message["campaignTrackingId"] == copied["campaignTrackingId"]
    assert service.read(f"/v1/campaigns/{campaign_id}")["trackingId"] == original
    assert _counts(service, original) == {}
    copy = service.read(f"/v1/campaigns/{copied['campaignTrackingId']}")
    assert (copy["submission"], copy["total"]) == ("observed", 1)


def test_a_token_whose_campaign_is_gone_still_stores(service: Service) -> None:
    document = progress(campaignTrackingId=None)
    service.stored(document, token=service.tokens.for_campaign(uuid7()))
    assert service.message(document["trackingId"])["status"] == "DELIVERED"


def test_the_former_signing_key_still_opens(service: Service) -> None:
    tracking_id = new_id("c")
    campaign_id, _ = service.add_campaign(tracking_id)
    former = CallbackTokens(secrets=[], signing_keys=[OLD_SIGNING_KEY])
    service.stored(progress(campaignTrackingId=None), token=former.for_campaign(campaign_id))
    assert _counts(service, tracking_id) == {"DELIVERED": 1}


def _forgeries(campaign_id: UUID, token: str) -> dict[str, str]:
    signature = token.partition(".")[2]
    another_key = CallbackTokens(secrets=[], signing_keys=["another-key-" + "x" * 32])
    flipped = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    return {
        "another campaign's signature": f"{uuid7()}.{signature}",
        "one digit otherwise": f"{campaign_id}.{flipped}",
        "cut": token[:-1],
        "longer": token + "0",
        "no signature": f"{campaign_id}.",
        "no dot": str(campaign_id),
        "signature alone": f".{signature}",
        "upper case": f"{campaign_id}.{signature.upper()}",
        "another key": another_key.for_campaign(campaign_id),
        "the key itself": SIGNING_KEY,
        "the secret as a signature": f"{campaign_id}.{SECRET}",
        "no campaign": f"{'x' * 36}.{signature}",
        "not ASCII": f"{campaign_id}.{'é' * 64}",
    }


@pytest.mark.parametrize("kind", _forgeries(UUID(int=0), "x.y"))
def test_a_forged_token_opens_nothing(service: Service, kind: str) -> None:
    campaign_id, token = service.add_campaign(new_id("c"))
    document = progress()
    answer = service.post(document, token=_forgeries(campaign_id, token)[kind])
    assert answer.status_code == 404
    assert service.get(f"/v1/messages/{document['trackingId']}").status_code == 404
