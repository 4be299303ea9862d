import time
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


def _finished(service: Service, asked: dict[str, Any]) -> dict[str, Any]:
    """The erasure that was *asked* for, once it is done."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = service.read(f"/v1/erasures/{asked['id']}", Scope.ADMIN)
        if found["state"] == "done":
            return found
        time.sleep(0.1)
    raise TimeoutError


def test_a_recipient_is_erased_and_later_callbacks_are_pseudonymised(alone: Service) -> None:
    before, after = new_id(), new_id()
    alone.stored(progress(trackingId=before, to=NUMBER))
    alone.stored(reply(referenceTrackingId=before, **{"from": NUMBER}))
    status, asked = _erase(alone, NUMBER)
    assert status == 202
    body = _finished(alone, asked)
    assert body["erasedBefore"] is False
    assert body["rows"] == {"messages": 1, "events": 1, "inbound_messages": 1, "quarantine": 0,
                            "campaigns": 0, "campaign_progress": 0,
                            "idempotency_keys": 0, "notices": 0}  # fmt: skip
    alone.stored(progress(trackingId=after, to=NUMBER.removeprefix("+")))
    recipients = {alone.message(message)["to"] for message in (before, after)}
    assert len(recipients) == 1
    assert recipients.pop().startswith("erased:")
    assert alone.replies(referenceTrackingId=before)[0]["message"] is None
    assert alone.history(before, raw=True)[0].get("raw") is None
    assert _erase(alone, NUMBER)[1]["erasedBefore"] is True


def test_an_erasure_is_a_job_that_never_shows_the_number(alone: Service) -> None:
    path = f"/v1/recipients/{NUMBER.replace('+', '%2B')}"
    answer = alone.client.delete(path, headers=alone.bearer(Scope.ADMIN))
    asked = answer.json()
    assert answer.headers["Location"] == f"/v1/erasures/{asked['id']}"
    assert asked["state"] in {"waiting", "running"}
    assert asked["number"] == "***345"
    again = alone.client.delete(path, headers=alone.bearer(Scope.ADMIN)).json()
    done = _finished(alone, asked)
    assert again["id"] == asked["id"]
    assert done["number"] is None
    assert done["progress"] is None
    assert done["askedAt"] <= done["beganAt"] <= done["endedAt"]
    (row,) = alone.sql("SELECT * FROM erasures")
    digits = NUMBER.removeprefix("+")
    assert digits not in f"{asked}{again}{done}{dict(row)}"


def test_callbacks_are_pseudonymised_from_the_answer_on(alone: Service) -> None:
    asked = _erase(alone, NUMBER)[1]
    message = new_id()
    alone.stored(progress(trackingId=message, to=NUMBER))
    _finished(alone, asked)
    assert alone.message(message)["to"].startswith("erased:")


def test_an_unknown_erasure_is_not_found(alone: Service) -> None:
    for unknown in ("019a31f0-6c1e-7d3a-8f11-2b7c9d0e4a55", "nonsense", "%00"):
        assert alone.get(f"/v1/erasures/{unknown}", Scope.ADMIN).status_code == 404
    assert alone.get(f"/v1/erasures/{unknown}", Scope.READ).status_code == 403


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
    status, asked = _erase(alone, spelling)
    assert (status, _finished(alone, asked)["rows"]["messages"]) == (202, 1)


@pytest.mark.parametrize("number", ["12345", "+30695551234x", "erased:0123456789abcdef"])
def test_an_invalid_number_is_refused(alone: Service, number: str) -> None:
    assert _erase(alone, number)[0] == 422


def _keys(service: Service, *numbers: str) -> list[str]:
    answer = service.client.post(
        "/v1/recipients/keys", json={"numbers": numbers}, headers=service.bearer(Scope.READ)
    )
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["number"] for item in items] == list(numbers)
    return [item["recipientKey"] for item in items]


def test_the_feed_names_who_was_erased_by_the_key_that_was_to_be_had_before(alone: Service) -> None:
    ours, same, other = _keys(alone, NUMBER, "0030 695 551 2345", "+306912345678")
    assert ours == same != other
    alone.stored(progress(trackingId=new_id(), to=NUMBER))
    asked = _erase(alone, NUMBER)[1]
    _finished(alone, asked)
    items = alone.read("/v1/events?type=recipient.erased")["items"]
    (told,) = items
    (earlier,) = told["data"]["earlierRecipientKeys"]  # of the second one of the settings
    assert told["data"] == {
        "erasureId": asked["id"], "recipientKey": ours, "earlierRecipientKeys": [earlier],
    }  # fmt: skip
    assert earlier not in {ours, other}
    assert NUMBER.removeprefix("+") not in str(items)
    assert (told["source"], told["trackingId"], told["campaignTrackingId"]) == (
        "service", None, None,
    )  # fmt: skip
    # Who kept the key with the number does not find what replaced the number.
    stored = str(alone.sql("SELECT recipient FROM messages") + alone.sql("SELECT * FROM events"))
    assert ours not in stored


@pytest.mark.parametrize(
    ("numbers", "fields"),
    [
        (["12345"], ["numbers[0]"]),
        ([NUMBER, "erased:0123456789abcdef", NUMBER, "x"], ["numbers[1]", "numbers[3]"]),
        ([], ["numbers"]),
        ([NUMBER] * 1001, ["numbers"]),
    ],
)
def test_what_is_no_number_has_no_key(
    alone: Service, numbers: list[str], fields: list[str]
) -> None:
    answer = alone.client.post(
        "/v1/recipients/keys", json={"numbers": numbers}, headers=alone.bearer(Scope.READ)
    )
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == fields


def test_only_an_admin_erases(alone: Service) -> None:
    assert _erase(alone, NUMBER, Scope.CAMPAIGNS)[0] == 403


def test_the_requester_is_recorded(alone: Service) -> None:
    _erase(alone, NUMBER)
    (row,) = alone.sql("SELECT asked_by FROM erasures")
    assert row[0].startswith("API key tests (")
