import json
from typing import Any

from app.db.payloads import compressed
from app.domain.api_key import Scope

from .conftest import SECRET, Service, new_id, progress

STORED_AS = "UPDATE events SET payload = $2, payload_dictionary = $3 WHERE message_tracking_id = $1"


def _stored_as(service: Service, body: bytes, payload: bytes, dictionary: int) -> str:
    tracking_id: str = json.loads(body)["trackingId"]
    service.stored(body)
    service.sql(STORED_AS, tracking_id, payload, dictionary)
    return tracking_id


def _raw(service: Service, tracking_id: str, scope: Scope) -> Any:  # noqa: ANN401
    (step,) = service.history(tracking_id, scope=scope, raw=True)
    return step["raw"]


def test_a_payload_that_is_stored_compressed_is_shown_as_it_came(service: Service) -> None:
    url = f"https://receiver.example/callbacks/{SECRET}/inbound"
    body = json.dumps(progress(trackingId=new_id(), inboundUrl=url, label="ά"), indent=1).encode()
    payload, dictionary = compressed(body)
    assert (dictionary, len(payload) < len(body)) == (1, True)
    tracking_id = _stored_as(service, body, payload, dictionary)
    assert _raw(service, tracking_id, Scope.ADMIN) == body.decode()
    assert _raw(service, tracking_id, Scope.READ) == body.decode().replace(SECRET, "***")


def test_a_payload_that_is_stored_plain_is_shown_as_it_came(service: Service) -> None:
    body = json.dumps(progress(), indent=1).encode()
    tracking_id = _stored_as(service, body, body, 0)
    assert _raw(service, tracking_id, Scope.ADMIN) == body.decode()


def test_a_damaged_payload_harms_no_history_without_payloads(service: Service) -> None:
    body = json.dumps(progress()).encode()
    tracking_id = _stored_as(service, body, compressed(body)[0][:-9], 1)
    (step,) = service.history(tracking_id)
    assert step["changed"]
