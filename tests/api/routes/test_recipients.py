from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.api_key import Scope
from app.services.erasure import erasures
from tests.api.conftest import Loop, Service, new_id, progress, reply, running
from tests.conftest import fresh_database

NUMBER = "+306955512345"


@pytest.fixture
def alone(loop: Loop, server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service whose database nobody else writes to, so that there is nobody to wait for."""
    monkeypatch.setattr(erasures, "KNOWN_WITHIN_SECONDS", 1.5)
    with fresh_database(server_url) as url, running(loop, url) as alone:
        yield alone


def _erase(service: Service, number: str, scope: Scope = Scope.ADMIN) -> tuple[int, dict[str, Any]]:
    answer = service.client.delete(
        f"/v1/recipients/{number.replace('+', '%2B')}", headers=service.bearer(scope)
    )
    return answer.status_code, answer.json()


def test_a_recipient_is_erased_and_later_callbacks_are_pseudonymised(alone: Service) -> None:
    before, after = new_id(), new_id()
    alone.stored(progress(trackingId=before, to=NUMBER))
    alone.stored(reply(referenceTrackingId=before, **{"from": NUMBER}))
    status, body = _erase(alone, NUMBER)
    assert status == 200
    assert body["erasedBefore"] is False
    assert body["rows"] == {"messages": 1, "events": 1, "inbound_messages": 1, "quarantine": 0,
                            "campaigns": 0, "campaign_progress": 0,
                            "idempotency_keys": 0}  # fmt: skip
    alone.stored(progress(trackingId=after, to=NUMBER.removeprefix("+")))
    recipients = {alone.message(message)["to"] for message in (before, after)}
    assert len(recipients) == 1
    assert recipients.pop().startswith("erased:")
    assert alone.replies(referenceTrackingId=before)[0]["message"] is None
    assert alone.history(before, raw=True)[0].get("raw") is None
    assert _erase(alone, NUMBER)[1]["erasedBefore"] is True


def test_a_campaign_to_an_erased_recipient_is_refused_with_its_index(alone: Service) -> None:
    _erase(alone, NUMBER)
    answer = alone.launch(to=["+306912345678", NUMBER])
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["to[1]"]
    assert alone.sql("SELECT count(*) FROM campaigns")[0][0] == 0


@pytest.mark.parametrize(
    "spelling", ["0030 695 551 2345", "%C2%A030695%E2%80%915512345", "tel:+30-695-551-2345"]
)
def test_a_recipient_is_erased_in_any_spelling(alone: Service, spelling: str) -> None:
    alone.stored(progress(trackingId=new_id(), to=NUMBER))
    status, body = _erase(alone, spelling)
    assert (status, body["rows"]["messages"]) == (200, 1)


@pytest.mark.parametrize("number", ["12345", "+30695551234x", "erased:0123456789abcdef"])
def test_an_invalid_number_is_refused(alone: Service, number: str) -> None:
    assert _erase(alone, number)[0] == 422


def test_only_an_admin_erases(alone: Service) -> None:
    assert _erase(alone, NUMBER, Scope.CAMPAIGNS)[0] == 403


def test_the_requester_is_recorded(alone: Service) -> None:
    _erase(alone, NUMBER)
    (row,) = alone.sql("SELECT asked_by FROM erasures")
    assert row[0].startswith("API key tests (")
