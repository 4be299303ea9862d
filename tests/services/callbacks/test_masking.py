"""Every text of a record is masked, and nothing else of it changes."""

from pathlib import Path
from typing import Any, get_args

import pytest

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
PROGRESS = _record((Path(__file__).parents[2] / "payloads" / "campaign_progress.json").read_bytes())
TEXTS = [
    (record, name)
    for record in (EVENT, REPLY, PROGRESS)
    for name, annotated in type(record).__annotations__.items()
    if "str" in str(annotated)
]


def test_all_kinds_of_records_are_tried() -> None:
    assert {type(record) for record, _ in TEXTS} == set(get_args(Record))


@pytest.mark.parametrize("record", [EVENT, REPLY, PROGRESS])
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
