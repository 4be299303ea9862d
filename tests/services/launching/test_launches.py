import ssl
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from starlette.requests import Request
from starlette.responses import Response

from app.db.database import Database
from app.domain.callback_token import CallbackTokens
from app.domain.erasure import ErasureKeys
from app.errors import CampaignNameInUse, InvalidRequest, LaunchingNotConfigured, RouteeRefused
from app.kit.uuid7 import uuid7
from app.routee.preflight import Prober
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.launching.attempts import Attempts
from app.services.launching.launches import Launches
from tests.routee.scripted_routee import ScriptedRoutee, says, scripted_routee

REQUEST = {
    "senderInfoTrackingId": "sender-1",
    "to": ["+306912345678"],
    "body": {"text": "Your parcel is on its way."},
}
CALLER = uuid7()


@pytest.fixture
async def routee() -> AsyncIterator[ScriptedRoutee]:
    async with scripted_routee() as routee:
        yield routee


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests", pool_items=2)
    yield database
    await database.close()


@pytest.fixture
def erased() -> ErasedRecipients:
    return ErasedRecipients(ErasureKeys(()))


@pytest.fixture
async def launching(
    database: Database, routee: ScriptedRoutee, erased: ErasedRecipients
) -> AsyncIterator[Launches]:
    tokens = CallbackTokens(secrets=[], signing_keys=["signing-key-" + "x" * 32])
    async with routee.client() as client:
        attempts = Attempts(
            database, client, tokens, public_url="https://receiver.example", erased=erased
        )
        prober = Prober(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        yield Launches(database, attempts, prober, missing_settings=(), erased=erased)


async def _submissions(connection: asyncpg.Connection) -> dict[UUID, str]:
    rows = await connection.fetch("SELECT id, submission FROM campaigns")
    return {row["id"]: row["submission"] for row in rows}


async def test_the_intent_is_committed_before_routee_is_asked(
    launching: Launches, routee: ScriptedRoutee, connection: asyncpg.Connection
) -> None:
    seen: list[dict[UUID, str]] = []

    async def looking(request: Request) -> Response:
        seen.append(await _submissions(connection))
        return await says(200, {"trackingId": "routee-1"})(request)

    routee.will(looking)
    launched = await launching.launch(REQUEST, api_key_id=CALLER)
    assert seen == [{launched.campaign_id: "launching"}]
    assert await _submissions(connection) == {launched.campaign_id: "launched"}


async def test_an_unanswered_launch_is_asked_for_once_and_kept(
    launching: Launches, routee: ScriptedRoutee, connection: asyncpg.Connection
) -> None:
    routee.will(routee.hangs_up())
    launched = await launching.launch(REQUEST, api_key_id=CALLER)
    assert len(routee.calls) == 1
    assert await _submissions(connection) == {launched.campaign_id: "unconfirmed"}


async def test_a_request_with_faults_leaves_no_trace(
    launching: Launches, routee: ScriptedRoutee, connection: asyncpg.Connection
) -> None:
    faulty: tuple[object, ...] = ({**REQUEST, "to": []}, [], None, "text")
    for request in faulty:
        with pytest.raises(InvalidRequest):
            await launching.launch(request, api_key_id=CALLER)
    assert routee.received == []
    assert await _submissions(connection) == {}


async def test_a_refused_launch_is_kept_as_rejected(
    launching: Launches, routee: ScriptedRoutee, connection: asyncpg.Connection
) -> None:
    routee.will(says(400, {"code": "400001009", "developerMessage": "balance"}))
    with pytest.raises(RouteeRefused):
        await launching.launch(REQUEST, api_key_id=CALLER)
    assert list((await _submissions(connection)).values()) == ["rejected"]


async def test_the_name_of_an_unconfirmed_launch_stays_taken(
    launching: Launches, routee: ScriptedRoutee
) -> None:
    routee.will(routee.hangs_up())
    named = {**REQUEST, "campaignName": "Spring"}
    await launching.launch(named, api_key_id=CALLER)
    with pytest.raises(CampaignNameInUse):
        await launching.launch(named, api_key_id=CALLER)
    assert len(routee.calls) == 1


async def test_what_is_not_configured_is_named(
    database: Database, routee: ScriptedRoutee, erased: ErasedRecipients
) -> None:
    tokens = CallbackTokens(secrets=[], signing_keys=[])
    async with routee.client() as client:
        launching = Launches(
            database,
            Attempts(database, client, tokens, public_url="", erased=erased),
            Prober(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
            missing_settings=("RECEIVER_SIGNING_KEYS",),
            erased=erased,
        )
        with pytest.raises(LaunchingNotConfigured, match="RECEIVER_SIGNING_KEYS"):
            await launching.launch(REQUEST, api_key_id=CALLER)
