"""One message is explained in plain English."""

from typing import Any

import pytest

from app.domain.api_key import Scope
from app.domain.explanations import REASONS, STATUSES
from app.domain.status import Status
from tests.api.conftest import SECRET, Service, new_id, progress

_AT = "2026-03-01T10:00:00Z"


def _stored(service: Service, word: str, reason: object = None, **members: object) -> str:
    """The id of a message that was reported to be in that status, for that reason."""
    reported = {"name": word, "updatedDate": _AT, "reason": reason}
    document = progress(status=reported, **members)
    service.stored(document)
    return str(document["trackingId"])


def _reason(detailed: str, description: str | None = None) -> dict[str, Any]:
    return {"detailedStatus": detailed, "description": description}


def test_a_known_reason_is_explained(service: Service) -> None:
    message = service.message(_stored(service, "UNDELIVERED", _reason(" not viber USER ")))
    word = REASONS["Not Viber User"]
    assert message["explanation"] == {"text": word.text, "action": word.action}


def test_an_unknown_reason_is_quoted(service: Service) -> None:
    reason = _reason("Blocked", "The prefix \u202eis\nblocked")
    message = service.message(_stored(service, "Undelivered", reason))
    word = STATUSES[Status.UNDELIVERED]
    assert message["explanation"] == {
        "text": f"{word.text} Routee says: “Blocked: The prefix is blocked”.",
        "action": word.action,
    }


def test_an_unknown_status_is_named(service: Service) -> None:
    message = service.message(_stored(service, "Clicked"))
    assert message["status"] == "UNKNOWN"
    assert "the word “Clicked”" in message["explanation"]["text"]


def test_a_success_needs_no_action(service: Service) -> None:
    message = service.message(_stored(service, "SEEN"))
    assert message["explanation"] == {"text": STATUSES[Status.SEEN].text, "action": None}


def test_a_quoted_reason_has_none_of_our_secrets(service: Service) -> None:
    tracking_id = _stored(service, "FAILED", _reason(f"See {SECRET}", f"Posted to /{SECRET}/x"))
    message = service.message(tracking_id)
    assert "See ***" in message["detailedStatus"]
    assert SECRET not in str(message)
    assert "“See ***: Posted to /***" in message["explanation"]["text"]


def test_the_explanation_can_be_asked_for_and_left_out(service: Service) -> None:
    tracking_id = _stored(service, "DELIVERED")
    whole = service.message(tracking_id)
    path = f"/v1/messages/{tracking_id}"
    assert service.read(path, fields="explanation") == {"explanation": whole["explanation"]}
    assert service.read(path, fields="*") == whole
    assert service.read(path, fields="status") == {"status": "DELIVERED"}


def test_the_entity_tag_covers_the_explanation(service: Service) -> None:
    path = f"/v1/messages/{_stored(service, 'DELIVERED')}"
    tag = service.get(path, fields="explanation").headers["ETag"]
    headers = {**service.bearer(Scope.READ), "If-None-Match": tag}
    again = service.client.get(path, params={"fields": "explanation"}, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert service.client.get(path, headers=headers).status_code == 200


def test_lists_explain_nothing(service: Service) -> None:
    campaign = new_id("c")
    tracking_id = _stored(service, "DELIVERED", campaignTrackingId=campaign)
    (listed,) = service.read("/v1/messages", campaignTrackingId=campaign)["items"]
    (of_campaign,) = service.read(f"/v1/campaigns/{campaign}/messages")["items"]
    looked_up = service.client.post(
        "/v1/messages/lookup",
        json={"trackingIds": [tracking_id]},
        headers=service.bearer(Scope.READ),
    ).json()["items"][0]
    status = service.read(f"/v1/status/{tracking_id}")
    for message in (listed, of_campaign, looked_up, status):
        assert message["trackingId"] == tracking_id
        assert "explanation" not in message


@pytest.mark.parametrize("path", ["/v1/messages/lookup?fields={}", "/v1/messages?fields={}"])
def test_lists_cannot_be_asked_to_explain(service: Service, path: str) -> None:
    headers = service.bearer(Scope.READ)
    url = path.format("explanation")
    if "lookup" in path:
        answer = service.client.post(url, json={"trackingIds": ["x"]}, headers=headers)
    else:
        answer = service.client.get(url, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"].startswith("unknown member explanation")
