"""The whole: a Routee that forgets callbacks and loses answers, the service, and the command."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.db.api_keys import add_api_key
from app.db.database import Database
from app.domain.api_key import Scope, digest, make_key
from app.main import build_app
from app.sandbox.behaviour import Behaviour
from app.sandbox.faults import CUT_AFTER, Endpoint
from app.sandbox.ledger import Fate
from app.sandbox.payloads import status_callback
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, served, url_of
from app.settings import Settings
from tests.database import connect
from tests.services.reconcile.reconcile_stage import (
    APPLICATION_ID,
    APPLICATION_SECRET,
    simulated,
    tracked,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CAMPAIGNS, RECIPIENTS, AT_ONCE = 100, 20, 8
SECRET = "callback-secret-Qm3vX9tLk2RwZ7bYc5NdGh8S"
_EVENTS = "SELECT message_tracking_id, status_key, occurred_at, source FROM events ORDER BY 1, 2, 3"
_PAGE = "SELECT coalesce(max(page), 0) FROM reconciliations"
_MESSAGES = "SELECT * FROM messages ORDER BY message_tracking_id"


async def _command(
    database_url: str, routee_url: str, *arguments: str, per_second: float = 100
) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "RECEIVER_DATABASE_URL": database_url,
        "RECEIVER_ROUTEE_API_URL": routee_url,
        "RECEIVER_ROUTEE_AUTH_URL": routee_url,
        "RECEIVER_ROUTEE_APPLICATION_ID": APPLICATION_ID,
        "RECEIVER_ROUTEE_APPLICATION_SECRET": APPLICATION_SECRET,
        "RECEIVER_RECONCILE_REQUESTS_PER_SECOND": str(per_second),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from app.cli import main; main()", "reconcile", *arguments,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def _reconciled(database_url: str, routee_url: str, *arguments: str) -> str:
    process = await _command(database_url, routee_url, *arguments)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@asynccontextmanager
async def _service(
    database_url: str, data_dir: Path, routee: SimulatedRoutee, routee_url: str
) -> AsyncIterator[httpx.AsyncClient]:
    key, database = make_key(), Database(database_url, name="test", pool_items=1)
    scopes = frozenset({Scope.READ, Scope.CAMPAIGNS})
    await add_api_key(database, name="test", sha256=digest(key), scopes=scopes, expires_at=None)
    await database.close()
    listening = listening_socket()
    settings = Settings(
        database_url=database_url,
        data_dir=data_dir,
        public_url=url_of(listening),
        callback_secrets=(SecretStr(SECRET),),
        signing_keys=(SecretStr("signing-key-bV7sD3kPz9QxWc4RnTy6Hj2M"),),
        routee_api_url=routee_url,
        routee_auth_url=routee_url,
        routee_application_id=APPLICATION_ID,
        routee_application_secret=SecretStr(APPLICATION_SECRET),
    )
    async with (
        served(build_app(settings), listening),
        httpx.AsyncClient(
            base_url=url_of(listening),
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        ) as client,
    ):
        yield client
        await routee.aclose()


async def test_every_state_is_that_of_a_routee_which_forgets_and_loses(
    url: str, tmp_path: Path
) -> None:
    routee = SimulatedRoutee(
        behaviour=Behaviour(callbacks_per_second=2000, lost_share=0.05, time_scale=0.001),
        application_id=APPLICATION_ID,
        application_secret=APPLICATION_SECRET,
    )
    # One in a hundred answers, and one for certain.
    routee.faults.script(Endpoint.CAMPAIGN, *[None] * 20, CUT_AFTER)
    routee.faults.sometimes(Endpoint.CAMPAIGN, {CUT_AFTER: 0.01})
    listening = listening_socket()
    async with (
        served(routee.app, listening),
        _service(url, tmp_path, routee, url_of(listening)) as client,
    ):
        limit = asyncio.Semaphore(AT_ONCE)

        async def launched(number: int) -> int:
            to = [f"+30694{number:03}{at:04}" for at in range(RECIPIENTS)]
            request = {"senderInfoTrackingId": "sender", "to": to, "body": {"text": "Hello"}}
            async with limit:
                return (await client.post("/v1/campaigns", json=request)).status_code

        answers = await asyncio.gather(*map(launched, range(CAMPAIGNS)))
        await routee.drained()
        assert set(answers) == {201, 202}
        lost = sum(len(sent.lost_events) for sent in routee.campaigns.values())
        assert lost > CAMPAIGNS
        connection = await connect(url)
        ledger = tracked(routee.campaigns.values())
        assert await _statuses(connection) != ledger
        since = "2026-01-01"
        before = await connection.fetch(_EVENTS)
        shown = await _reconciled(url, url_of(listening), "--since", since, "--dry-run")
        assert "missing" in shown
        assert await connection.fetch(_EVENTS) == before
        shown = await _reconciled(url, url_of(listening), "--since", since)
        assert "stored" in shown
        assert await _statuses(connection) == ledger
        after = [await connection.fetch(query) for query in (_EVENTS, _MESSAGES)]
        assert await _reconciled(url, url_of(listening), "--since", since)
        assert [await connection.fetch(query) for query in (_EVENTS, _MESSAGES)] == after
        await _post_lost(routee, client)
        assert await _statuses(connection) == ledger
        everything = sum(
            len(message.occurrences)
            for sent in routee.campaigns.values()
            for message in sent.messages.values()
        )
        assert await connection.fetchval("SELECT count(*) FROM events") == everything
        assert await connection.fetchval("SELECT count(*) FROM campaigns") == CAMPAIGNS
        await connection.close()


async def _statuses(connection: asyncpg.Connection) -> dict[str, str]:
    rows = await connection.fetch("SELECT message_tracking_id, status FROM messages")
    return {row[0]: row[1] for row in rows}


async def _post_lost(routee: SimulatedRoutee, client: httpx.AsyncClient) -> None:
    """Post the callbacks that were forgotten, through the campaigns' own URLs."""
    for sent in routee.campaigns.values():
        documents = [
            status_callback(sent, message, occurrence)
            for message in sent.messages.values()
            for occurrence in message.occurrences
            if occurrence.fate is Fate.LOST
        ]
        if documents:
            answer = await client.post(str(sent.request.callback_url), json=documents)
            assert answer.json() == {"result": "stored"}


async def test_a_command_that_is_killed_between_pages_is_resumed(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched(500)
        campaign = await stage.known(sent)
        address = str(stage.api.base_url)
        killed = await _command(url, address, sent.tracking_id, per_second=1)
        async with asyncio.timeout(120):
            while await stage.number(_PAGE) < 2:  # noqa: ASYNC110 (of another process)
                await asyncio.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        await killed.wait()
        half = await stage.reconciliation(campaign)
        assert (half.ended_at, half.counts["messages"]) == (None, half.page * 100)
        await _reconciled(url, address, sent.tracking_id)
        found = await stage.reconciliation(campaign)
        assert (found.counts["pages"], found.counts["messages"]) == (5, 500)
        assert await stage.statuses() == tracked([sent])


async def test_the_command_reconciles_a_single_message(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched(3)
        message = next(iter(sent.messages))
        address = str(stage.api.base_url)
        await _reconciled(url, address, message, "--dry-run")
        assert await stage.statuses() == {}
        await _reconciled(url, address, message)
        assert await stage.statuses() == {message: sent.messages[message].final.status}
        unknown = await _command(url, address, "unknown")
        assert b"not" in (await unknown.communicate())[0]
        assert unknown.returncode == 1
