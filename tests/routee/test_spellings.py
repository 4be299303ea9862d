"""Callbacks in random spellings, read by the service and by a slow reference reader."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from app.domain.event import UNKNOWN_TIME, DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.status import key_of
from app.routee import reading
from app.routee.translate import Record, translate
from tests.routee import reference_reader as reference
from tests.routee import spellings

PAYLOADS = Path(__file__).parents[1] / "payloads"
PROGRESS: dict[str, Any] = json.loads((PAYLOADS / "progress.json").read_bytes())
INBOUND: dict[str, Any] = json.loads((PAYLOADS / "inbound.json").read_bytes())
STATUS_PATH = "/callbacks/***/status"
PATHS = (STATUS_PATH, "/callbacks/***/inbound")
WORDS = ("QUEUED", "SENT", "DELIVERED", "SEEN", "UNDELIVERED", "EXPIRED", "FAILED", "CLICKED")
#: Of these few, so that facts meet.
STARTS = [datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC) + timedelta(days=at) for at in range(3)]


class Facts(NamedTuple):
    """What a callback is about."""

    word: str
    at: datetime
    message_id: str
    campaign_id: str
    text: str


def _facts(rng: Random) -> Facts:
    fraction = rng.choice([timedelta(), timedelta(milliseconds=250), timedelta(milliseconds=7)])
    return Facts(
        rng.choice(WORDS),
        rng.choice(STARTS) + fraction,
        rng.choice([str(UUID(int=rng.randrange(3))), "Opaque", "opaque"]),
        str(UUID(int=99)),
        rng.choice(["OK", "Ψωμί"]),
    )


def _id(rng: Random, tracking_id: str) -> str:
    is_uuid = len(tracking_id) == 36
    return spellings.padded(rng, spellings.cased(rng, tracking_id) if is_uuid else tracking_id)


def _progress(rng: Random, facts: Facts, at: object) -> dict[str, Any]:
    rest = {name: value for name, value in PROGRESS.items() if name not in ("trackingId", "status")}
    return {
        **rest,
        **spellings.status(rng, facts.word, at),
        rng.choice(["trackingId", "messageId"]): _id(rng, facts.message_id),
        "campaignTrackingId": _id(rng, facts.campaign_id),
        "to": spellings.number(rng, PROGRESS["to"]),
        "createdAt": spellings.instant(rng, facts.at),
        "direction": rng.choice(["Outbound", "outbound ", None]),
    }


def _reply(rng: Random, facts: Facts, at: object) -> dict[str, Any]:
    rest = {name: value for name, value in INBOUND.items() if name != "sentDate"}
    return {
        **rest,
        "message": facts.text,
        "from": spellings.number(rng, INBOUND["from"]),
        "referenceTrackingId": _id(rng, facts.message_id),
        "campaignTrackingId": _id(rng, facts.campaign_id),
        "direction": spellings.padded(rng, spellings.cased(rng, "Inbound")),
        rng.choice(["sentDate", "receivedDate", "timestamp"]): at,
        **rng.choice([{}, {}, {"status": {"name": "RECEIVED"}, "trackingId": "other"}]),
    }


def _body(rng: Random, document: dict[str, Any]) -> tuple[bytes, str | None]:
    """*document* in some encoding, and the charset that is declared."""
    written = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1]))
    encodings = [("utf-8", None), ("utf-8", "UTF-8"), ("utf-8-sig", None), ("utf-16", None)]
    if all(ord(character) < 0x2000 for character in written):
        encodings.append(("utf-16-be", "utf-16-be"))
    encoding, charset = rng.choice(encodings)
    return written.encode(encoding), charset


def _only(body: bytes, charset: str | None, path: str) -> Record:
    translation = translate(body, path=path, charset=charset)
    assert translation.reason is None, body
    [record] = translation.records
    return record


def _read(record: Record) -> reference.Read:
    """What the service has read, as the reference reader says it."""
    if isinstance(record, InboundMessage):
        ids = record.reference_tracking_id, record.campaign_tracking_id
        return reference.Read("reply", *ids, None, record.sent_at)
    assert isinstance(record, DeliveryEvent)
    ids = record.message_tracking_id, record.campaign_tracking_id
    at = None if record.occurred_at == UNKNOWN_TIME else record.occurred_at
    return reference.Read("progress", *ids, record.provider_status or None, at)


def _identity(record: Record) -> object:
    return record.identity


def _compare(rng: Random, known: dict[object, object]) -> None:
    facts = _facts(rng)
    make, path = rng.choice([(_progress, STATUS_PATH), (_reply, rng.choice(PATHS))])
    at = spellings.instant(rng, facts.at)
    if rng.random() < 0.2:
        at = spellings.damaged(rng, str(at))
    document = make(rng, facts, at)
    body, charset = _body(rng, document)
    record = _only(body, charset, path)
    expected = reference.read(document, path)
    assert _read(record) == expected, document
    if isinstance(record, DeliveryEvent):
        assert record.status_key == key_of(record.provider_status) == facts.word
    assert (expected.message_id, expected.campaign_id) == facts[2:4]
    # One identity is one fact, in whatever spelling; without a time, one spelling.
    told: object = body
    if isinstance(record, InboundMessage):
        told = (facts.message_id, facts.text, expected.at or reference.plain(at) or body)
    elif expected.at is not None:
        told = (facts.message_id, facts.word, expected.at)
    assert known.setdefault((make, _identity(record)), told) == told


def _compare_many(times: int, seed: int) -> None:
    rng = Random(seed)  # noqa: S311 (the same every time)
    known: dict[object, object] = {}
    for _ in range(times):
        _compare(rng, known)
    # And one fact is one identity.
    facts = [told for told in known.values() if isinstance(told, tuple)]
    assert len(facts) == len(set(facts))


@pytest.mark.parametrize("seed", range(4))
def test_every_spelling_is_read_as_the_reference_reader_reads_it(seed: int) -> None:
    _compare_many(2_000, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_very_many_spellings_are_read_as_the_reference_reader_reads_them(seed: int) -> None:
    _compare_many(30_000, seed)


def test_the_same_progress_in_another_spelling_is_the_same_event() -> None:
    documented = _only((PAYLOADS / "progress.json").read_bytes(), None, STATUS_PATH)
    other = _only((PAYLOADS / "progress_spelt_otherwise.json").read_bytes(), None, STATUS_PATH)
    assert isinstance(other, DeliveryEvent)
    assert other.identity == documented.identity
    assert other[5:16] == (documented[5], *documented[6:16])


def test_an_object_of_a_session_is_a_reply_at_either_address() -> None:
    body = (PAYLOADS / "session_inbound.json").read_bytes()
    first, second = (_only(body, None, path) for path in PATHS)
    assert isinstance(first, InboundMessage)
    assert first == second
    documented = _only((PAYLOADS / "inbound.json").read_bytes(), None, PATHS[1])
    assert isinstance(documented, InboundMessage)
    assert first.reference_tracking_id == documented.reference_tracking_id
    assert first.campaign_tracking_id == documented.campaign_tracking_id
    assert first.sent_at == documented.sent_at


def test_greek_text_is_read_in_the_charset_that_is_declared() -> None:
    body = (PAYLOADS / "inbound_windows_1253.json").read_bytes()
    declared = _only(body, "windows-1253", PATHS[1])
    assert isinstance(declared, InboundMessage)
    assert (declared.recipient, declared.message) == ("Κατάστημα", "Όχι, ευχαριστώ")
    assert declared.payload == body.decode("cp1253").encode()
    undeclared = _only(body, None, PATHS[1])
    assert isinstance(undeclared, InboundMessage)
    assert undeclared.sent_at == declared.sent_at == datetime(2017, 8, 11, 12, 36, 45, tzinfo=UTC)
    assert undeclared.payload == body


def test_progress_with_an_ill_formed_label_has_its_status_and_its_time() -> None:
    body = (PAYLOADS / "progress_ill_formed.json").read_bytes()
    event = _only(body, None, STATUS_PATH)
    assert isinstance(event, DeliveryEvent)
    assert (event.status_key, event.label) == ("SEEN", "\ufffd" * 6)
    assert event.occurred_at == datetime(2019, 7, 5, 10, 28, 44, tzinfo=UTC)
    assert event.payload == body


def test_a_time_means_the_same_with_a_blank_before_it_which_the_quick_reader_does_not_know() -> (
    None
):
    rng = Random(1)  # noqa: S311 (the same every time)
    for _ in range(20_000):
        text = "2026-03-04T05:06:07.250000"[: rng.randint(19, 26)]
        text += rng.choice(["Z", "z", "", "+00:00", "+00.00", "-0200", "GMZ"])
        for _ in range(rng.randrange(3)):
            text = spellings.damaged(rng, text)
        assert reading.as_time(text) == reading.as_time(f" {text}"), text
