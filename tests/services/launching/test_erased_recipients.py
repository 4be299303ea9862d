"""Launches that meet an erasure: what Routee answers, and what is asked for again."""

import json
import ssl
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.db.database import Database
from app.domain.callback_token import CallbackTokens
from app.domain.erasure import ErasureKeys
from app.errors import InvalidRequest, RouteeRefused
from app.kit.uuid7 import uuid7
from app.routee.preflight import Prober
from app.services.erasure import erasures
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.erasure.erasures import Eraser
from app.services.launching.attempts import Attempts
from app.services.launching.launches import Launched, Launches
from tests.routee.scripted_routee import ScriptedRoutee, says, scripted_routee

DIGITS = "306912345678"
NUMBER = f"+{DIGITS}"
KEYS = ErasureKeys(["a-key-of-the-tests-0123456789abcdef"])
BODY = {"senderInfoTrackingId": "sender-1", "body": {"text": "Your parcel is on its way."}}
TO_CONTACTS = {**BODY, "contacts": ["contact-1"]}
TO_THEM = {**BODY, "to": [NUMBER]}
CALLER = uuid7()


@pytest.fixture(autouse=True)
def _no_wait_for_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures, "KNOWN_WITHIN_SECONDS", 0)


@pytest.fixture
async def routee() -> AsyncIterator[ScriptedRoutee]:
    async with scripted_routee() as routee:
        yield routee


@pytest.fixture
async def launching(url: str, routee: ScriptedRoutee) -> AsyncIterator[Launches]:
    database, erased = Database(url, name="tests", pool_items=2), ErasedRecipients(KEYS)
    tokens = CallbackTokens(secrets=[], signing_keys=["signing-key-" + "x" * 32])
    async with routee.client() as client:
        yield Launches(
            database,
            Attempts(database, client, tokens, public_url="https://our.example", erased=erased),
            Prober(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
            missing_settings=(),
            erased=erased,
        )
    await database.close()


async def _erase(url: str) -> None:
    await Eraser(url, KEYS).erase(NUMBER, asked_by="the tests")


async def _launch(launching: Launches, request: object, key: str = "order-1") -> Launched:
    return await launching.launch(request, api_key_id=CALLER, idempotency_key=key)


async def test_the_answer_to_a_launch_names_no_erased_recipient(
    launching: Launches, routee: ScriptedRoutee, connection: asyncpg.Connection, url: str
) -> None:
    await _erase(url)
    analysis = {"recipientCountries": {NUMBER: "GR", "+306987654321": "GR"}, "total": 2}
    routee.will(says(200, {"trackingId": "routee-1", "viberAnalysis": analysis}))
    await _launch(launching, TO_CONTACTS)
    answer = json.loads(await connection.fetchval("SELECT answer FROM campaigns"))
    pseudonym = KEYS.hashes_of(DIGITS)[0].pseudonym
    assert answer["viberAnalysis"] == {
        "recipientCountries": {pseudonym: "GR", "+306987654321": "GR"},
        "total": 2,
    }


async def test_the_reason_of_a_refusal_names_no_erased_recipient(
    launching: Launches, routee: ScriptedRoutee, connection: asyncpg.Connection, url: str
) -> None:
    await _erase(url)
    routee.will(says(400, {"code": "400001009", "developerMessage": f"no {DIGITS}"}))
    with pytest.raises(RouteeRefused):
        await _launch(launching, TO_CONTACTS)
    reason = await connection.fetchval("SELECT submission_reason FROM campaigns")
    assert DIGITS not in reason


async def test_a_launch_that_is_asked_for_again_after_an_erasure_is_the_same_launch(
    launching: Launches, routee: ScriptedRoutee, url: str
) -> None:
    routee.will(says(200, {"trackingId": "routee-1"}))
    launched = await _launch(launching, TO_THEM)
    await _erase(url)
    again = await _launch(launching, TO_THEM)
    assert (again.campaign_id, again.replayed) == (launched.campaign_id, True)
    with pytest.raises(InvalidRequest):
        await _launch(launching, TO_THEM, "order-2")


async def test_a_key_with_the_number_still_stands_for_its_launch(
    launching: Launches, routee: ScriptedRoutee, connection: asyncpg.Connection, url: str
) -> None:
    routee.will(says(200, {"trackingId": "routee-1"}), says(200, {"trackingId": "routee-2"}))
    key = f"contacts of {NUMBER}"
    launched = await _launch(launching, TO_CONTACTS, key)
    await _erase(url)
    assert DIGITS not in await connection.fetchval("SELECT key FROM idempotency_keys")
    again = await _launch(launching, TO_CONTACTS, key)
    assert (again.campaign_id, again.replayed) == (launched.campaign_id, True)
    other = await _launch(launching, TO_CONTACTS, f"more of {NUMBER}")
    assert other.campaign_id != launched.campaign_id
    assert (await _launch(launching, TO_CONTACTS, f"more of {NUMBER}")).replayed
    keys = await connection.fetch("SELECT key FROM idempotency_keys")
    assert [row[0] for row in keys if DIGITS in row[0]] == []
