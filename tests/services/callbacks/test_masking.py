"""Every text of a record is masked, and nothing else of it changes."""

from typing import Any

import pytest

from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.masking import SecretMask
from app.routee.translate import Record, translate
from app.services.callbacks.masking import without_secrets
from tests.promises.load import callback, reply

SECRET = "callback-secret-Qm3vX9tLk2RwZ7bYc5NdGh8S"
MASK = SecretMask([SECRET])
IDS = {"message_tracking_id", "campaign_tracking_id", "reference_tracking_id"}


def _record(body: bytes) -> Record:
    (record,), _, _ = translate(body)
    return record


def _with(record: Record, name: str, value: str) -> Record:
    changes: dict[str, Any] = {name: value}
    return record._replace(**changes)


EVENT, REPLY = _record(callback("m").body), _record(reply("m", "thanks").body)
TEXTS = [
    (record, name)
    for record, kind in ((EVENT, DeliveryEvent), (REPLY, InboundMessage))
    for name, annotated in kind.__annotations__.items()
    if "str" in str(annotated)
]


@pytest.mark.parametrize("record", [EVENT, REPLY])
def test_a_record_without_a_secret_stays_the_same(record: Record) -> None:
    assert without_secrets(record, MASK) is record


@pytest.mark.parametrize(("record", "name"), TEXTS)
def test_each_text_of_a_record_is_masked(record: Record, name: str) -> None:
    before = _with(record, name, f"see {SECRET} there")
    masked = without_secrets(before, MASK)
    shown = getattr(masked, name)
    assert shown.startswith("***") if name in IDS else shown == "see *** there"
    assert masked == _with(before, name, shown)
    assert without_secrets(masked, MASK) is masked


@pytest.mark.parametrize("name", ["message_tracking_id", "campaign_tracking_id"])
def test_different_ids_with_a_secret_stay_different(name: str) -> None:
    ids = {
        getattr(without_secrets(_with(EVENT, name, f"{SECRET}-{at}"), MASK), name)
        for at in range(3)
    }
    assert len(ids) == 3
